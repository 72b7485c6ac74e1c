//! The K types whose groups have a scale only: Q3_K, Q6_K.

use super::{
    SMALLEST_GROUP, each_block, extreme,
    k_asymmetric::put_two_bits,
    nearest, put_half,
    search::{symmetric, symmetric_by_coordinate},
};
use crate::format::SUPER_BLOCK;

/// Values in a group.
const GROUP: usize = 16;
const GROUPS: usize = SUPER_BLOCK / GROUP;

/// `upper bits: [u8; 32], quants: [u8; 64], scales: [u8; 12], d: f16`: 16 groups of 16 values in −4…3.
pub fn q3_k(values: &[f32], blocks: &mut [u8]) {
    const LEVELS: i32 = 4;
    /// Group scales are in −32…31.
    const SCALE_LEVELS: i32 = 32;
    each_block(
        values,
        blocks,
        |x: &[f32; SUPER_BLOCK], block: &mut [u8; 110]| {
            let mut quants = [0; SUPER_BLOCK];
            let mut scales = [0.0; GROUPS];
            let (groups, _) = x.as_chunks::<GROUP>();
            let inputs = groups.iter().zip(quants.chunks_exact_mut(GROUP));
            for ((x, q), scale) in inputs.zip(&mut scales) {
                *scale = symmetric_by_coordinate(LEVELS, x, q);
            }
            let max = extreme(&scales);
            let packed = &mut block[96..108];
            packed.fill(0);
            let mut coded = [-SCALE_LEVELS; GROUPS];
            let mut d = 0.0;
            if max != 0.0 {
                let inverse = -(SCALE_LEVELS as f32) / max;
                for (j, (coded, &scale)) in coded.iter_mut().zip(&scales).enumerate() {
                    *coded = nearest(inverse * scale).clamp(-SCALE_LEVELS, SCALE_LEVELS - 1);
                    let bits = (*coded + SCALE_LEVELS) as u8;
                    packed[j % 8] |= (bits & 15) << (j / 8 * 4);
                    packed[8 + j % 4] |= (bits >> 4) << (j / 4 * 2);
                }
                d = 1.0 / inverse;
            }
            let d = put_half(block, 108, d);
            for ((x, &scale), q) in groups
                .iter()
                .zip(&coded)
                .zip(quants.chunks_exact_mut(GROUP))
            {
                requantize(x, d * scale as f32, LEVELS, q);
            }
            // Bit i of byte l is the upper bit of value 32 i + l.
            for (l, byte) in block[..32].iter_mut().enumerate() {
                *byte = (0..8).fold(0, |bits, i| bits | (quants[i * 32 + l] >> 2) << i);
            }
            put_two_bits(&quants.map(|q| q & 3), &mut block[32..96]);
        },
    );
}

/// `nibbles: [u8; 128], upper bits: [u8; 64], scales: [i8; 16], d: f16`: 16 groups of 16 values in −32…31.
pub fn q6_k(values: &[f32], blocks: &mut [u8]) {
    const LEVELS: i32 = 32;
    each_block(
        values,
        blocks,
        |x: &[f32; SUPER_BLOCK], block: &mut [u8; 210]| {
            let mut quants = [0; SUPER_BLOCK];
            let mut scales = [0.0; GROUPS];
            let inputs = x.chunks_exact(GROUP).zip(quants.chunks_exact_mut(GROUP));
            for ((x, q), scale) in inputs.zip(&mut scales) {
                *scale = symmetric(LEVELS, x, q);
            }
            let max = extreme(&scales);
            if max.abs() < SMALLEST_GROUP {
                block.fill(0);
                return;
            }
            let inverse = -128.0 / max;
            let d = put_half(block, 208, 1.0 / inverse);
            for (j, (x, &scale)) in x.chunks_exact(GROUP).zip(&scales).enumerate() {
                let coded = nearest(inverse * scale).min(127) as i8;
                block[192 + j] = coded as u8;
                requantize(x, d * f32::from(coded), LEVELS, &mut quants[j * GROUP..]);
            }
            for (half, q) in quants.chunks_exact(128).enumerate() {
                for l in 0..32 {
                    let [a, b, c, e] = [q[l], q[l + 32], q[l + 64], q[l + 96]];
                    block[half * 64 + l] = a & 15 | (c & 15) << 4;
                    block[half * 64 + l + 32] = b & 15 | (e & 15) << 4;
                    block[128 + half * 32 + l] = a >> 4 | b >> 4 << 2 | c >> 4 << 4 | e >> 4 << 6;
                }
            }
        },
    );
}

/// Quants, shifted up by `levels`, for the scale as it stands in the file; those found by the search stay where it is 0.
fn requantize(x: &[f32], scale: f32, levels: i32, quants: &mut [u8]) {
    if scale == 0.0 {
        return;
    }
    for (q, x) in quants.iter_mut().zip(x) {
        *q = (nearest(x / scale).clamp(-levels, levels - 1) + levels) as u8;
    }
}
