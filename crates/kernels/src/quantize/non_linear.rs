//! IQ4_NL and IQ4_XS: 4 bits that choose from 16 uneven steps.

use super::{SMALLEST_GROUP, each_block, extreme, nearest, put_half, reciprocal};
use crate::dequantize::UNEVEN as STEPS;
use crate::format::{BLOCK, SUPER_BLOCK};

/// `d: f16, nibbles: [u8; 16]`.
pub fn iq4_nl(values: &[f32], blocks: &mut [u8]) {
    each_block(values, blocks, |x: &[f32; BLOCK], block: &mut [u8; 18]| {
        let d = search(x);
        put_half(block, 0, d);
        put_nibbles(x, reciprocal(d), &mut block[2..]);
    });
}

/// `d: f16, upper bits of scales: u16, lower bits of scales: [u8; 4], nibbles: [u8; 128]`: 8 groups of 32.
pub fn iq4_xs(values: &[f32], blocks: &mut [u8]) {
    /// Group scales are in −32…31.
    const LEVELS: i32 = 32;
    each_block(
        values,
        blocks,
        |x: &[f32; SUPER_BLOCK], block: &mut [u8; 136]| {
            let (groups, _) = x.as_chunks::<BLOCK>();
            let mut scales = [0.0; SUPER_BLOCK / BLOCK];
            for (scale, x) in scales.iter_mut().zip(groups) {
                *scale = search(x);
            }
            let d = -extreme(&scales) / LEVELS as f32;
            put_half(block, 0, d);
            let inverse = reciprocal(d);
            let mut upper = 0;
            block[4..8].fill(0);
            for (j, (x, scale)) in groups.iter().zip(scales).enumerate() {
                let coded = nearest(inverse * scale).clamp(-LEVELS, LEVELS - 1);
                let group = reciprocal(d * coded as f32);
                put_nibbles(x, group, &mut block[8 + j * BLOCK / 2..][..BLOCK / 2]);
                let bits = (coded + LEVELS) as u16;
                upper |= (bits >> 4) << (2 * j);
                block[4 + j / 2] |= ((bits & 15) as u8) << (j % 2 * 4);
            }
            block[2..4].copy_from_slice(&upper.to_le_bytes());
        },
    );
}

/// The scale with the least squared error, weighted by the values' squares, among the least-squares ones for several
/// ranges.
fn search(x: &[f32; BLOCK]) -> f32 {
    /// Ranges tried to each side, each a step of −127 wider or narrower.
    const TRIES: i32 = 7;
    let max = extreme(x);
    if max.abs() < SMALLEST_GROUP {
        return 0.0;
    }
    let lowest = f32::from(STEPS[0]);
    let sums = |inverse: f32| {
        let (mut qx, mut q2) = (0.0, 0.0);
        for &x in x {
            let q = f32::from(STEPS[usize::from(nearest_step(inverse * x))]);
            let w = x * x;
            qx += w * q * x;
            q2 += w * q * q;
        }
        (qx, q2)
    };
    let (qx, q2) = sums(1.0 / (-max / lowest));
    let mut d = if q2 > 0.0 { qx / q2 } else { 0.0 };
    let mut best = d * qx;
    for step in -TRIES..=TRIES {
        let (qx, q2) = sums((step as f32 + lowest) / max);
        if q2 > 0.0 && qx * qx > best * q2 {
            d = qx / q2;
            best = d * qx;
        }
    }
    d
}

/// Which step is nearest; halfway between two, the upper one.
fn nearest_step(x: f32) -> u8 {
    let last = STEPS.len() - 1;
    let step = |i: usize| f32::from(STEPS[i]);
    if x <= step(0) {
        return 0;
    }
    if x >= step(last) {
        return last as u8;
    }
    let above = STEPS.partition_point(|&s| f32::from(s) <= x);
    let nearer_below = x - step(above - 1) < step(above) - x;
    (above - usize::from(nearer_below)) as u8
}

/// Byte `j` holds value `j` below and value `j + 16` above.
fn put_nibbles(x: &[f32; BLOCK], inverse: f32, bytes: &mut [u8]) {
    for (j, byte) in bytes.iter_mut().enumerate() {
        let quant = |j: usize| nearest_step(inverse * x[j]);
        *byte = quant(j) | quant(j + BLOCK / 2) << 4;
    }
}
