//! The K types whose groups have a scale and a minimum: Q2_K, Q4_K, Q5_K.

use super::{
    each_block, nearest, put_half,
    search::{AsymmetricSearch, asymmetric},
};
use crate::dequantize::scale_and_min;
use crate::format::{BLOCK, SUPER_BLOCK};

/// Values in a group of Q2_K.
const SMALL_GROUP: usize = 16;
/// Values in a group of Q4_K and Q5_K.
const GROUP: usize = BLOCK;
const GROUPS: usize = SUPER_BLOCK / GROUP;
/// The largest 6-bit scale.
const SIX_BITS: f32 = 63.0;

/// `scales and minimums: [u8; 16], quants: [u8; 64], d: f16, dmin: f16`: 16 groups of 16 values in 0…3.
pub fn q2_k(values: &[f32], blocks: &mut [u8]) {
    const SEARCH: AsymmetricSearch = AsymmetricSearch {
        levels: 3,
        first: -0.5,
        tries: 15,
        absolute: true,
    };
    /// The largest 4-bit scale.
    const FOUR_BITS: f32 = 15.0;
    each_block(
        values,
        blocks,
        |x: &[f32; SUPER_BLOCK], block: &mut [u8; 84]| {
            let mut quants = [0; SUPER_BLOCK];
            let mut groups = [(0.0, 0.0); SUPER_BLOCK / SMALL_GROUP];
            let inputs = x.chunks_exact(SMALL_GROUP);
            for ((x, q), group) in inputs
                .zip(quants.chunks_exact_mut(SMALL_GROUP))
                .zip(&mut groups)
            {
                let mut weights = [0.0; SMALL_GROUP];
                for (weight, x) in weights.iter_mut().zip(x) {
                    *weight = x.abs();
                }
                *group = asymmetric(&SEARCH, x, &weights, q);
            }
            let (max_scale, max_min) = maxima(&groups);
            let coded = |max: f32, value: f32| {
                if max > 0.0 {
                    nearest(FOUR_BITS / max * value) as u8
                } else {
                    0
                }
            };
            for (byte, &(scale, min)) in block.iter_mut().zip(&groups) {
                *byte = coded(max_scale, scale) | coded(max_min, min) << 4;
            }
            let d = put_half(block, 80, max_scale / FOUR_BITS);
            let dmin = put_half(block, 82, max_min / FOUR_BITS);
            for (j, x) in x.chunks_exact(SMALL_GROUP).enumerate() {
                let scale = d * f32::from(block[j] & 15);
                let min = dmin * f32::from(block[j] >> 4);
                requantize(x, scale, min, SEARCH.levels, &mut quants[j * SMALL_GROUP..]);
            }
            put_two_bits(&quants, &mut block[16..80]);
        },
    );
}

/// Writes 2-bit quants: each half of 128 values takes 32 bytes, whose bits 2i, 2i + 1 are values 32i….
pub(super) fn put_two_bits(quants: &[u8; SUPER_BLOCK], bytes: &mut [u8]) {
    for (q, bytes) in quants.chunks_exact(128).zip(bytes.chunks_exact_mut(32)) {
        for (l, byte) in bytes.iter_mut().enumerate() {
            *byte = q[l] | q[l + 32] << 2 | q[l + 64] << 4 | q[l + 96] << 6;
        }
    }
}

/// `d: f16, dmin: f16, scales and minimums: [u8; 12], nibbles: [u8; 128]`: 8 groups of 32 values in 0…15.
pub fn q4_k(values: &[f32], blocks: &mut [u8]) {
    const SEARCH: AsymmetricSearch = AsymmetricSearch {
        levels: 15,
        first: -1.0,
        tries: 20,
        absolute: false,
    };
    each_block(
        values,
        blocks,
        |x: &[f32; SUPER_BLOCK], block: &mut [u8; 144]| {
            let quants = super_block(&SEARCH, x, &mut block[..16]);
            put_nibbles(&quants, &mut block[16..]);
        },
    );
}

/// Q4_K with fifth bits before the nibbles: bit `j` of byte `l` belongs to value `l` of group `j`.
pub fn q5_k(values: &[f32], blocks: &mut [u8]) {
    const SEARCH: AsymmetricSearch = AsymmetricSearch {
        levels: 31,
        first: -0.5,
        tries: 15,
        absolute: false,
    };
    each_block(
        values,
        blocks,
        |x: &[f32; SUPER_BLOCK], block: &mut [u8; 176]| {
            let quants = super_block(&SEARCH, x, &mut block[..16]);
            for (l, byte) in block[16..48].iter_mut().enumerate() {
                *byte = (0..GROUPS).fold(0, |bits, j| bits | (quants[j * GROUP + l] >> 4) << j);
            }
            put_nibbles(&quants, &mut block[48..]);
        },
    );
}

/// Scales and quants of Q4_K and Q5_K; `head` takes the block's first 16 bytes.
fn super_block(
    search: &AsymmetricSearch,
    x: &[f32; SUPER_BLOCK],
    head: &mut [u8],
) -> [u8; SUPER_BLOCK] {
    let mut quants = [0; SUPER_BLOCK];
    let mut groups = [(0.0, 0.0); GROUPS];
    let inputs = x.chunks_exact(GROUP).zip(quants.chunks_exact_mut(GROUP));
    for ((x, q), group) in inputs.zip(&mut groups) {
        *group = asymmetric(search, x, &weights(x), q);
    }
    let (max_scale, max_min) = maxima(&groups);
    let inverse = |max: f32| if max > 0.0 { SIX_BITS / max } else { 0.0 };
    let (scales, mins) = (inverse(max_scale), inverse(max_min));
    // A negative scale wraps to a large one, as ggml's does.
    let coded = |inverse: f32, value: f32| (nearest(inverse * value) as u8).min(63);
    let packed = &mut head[4..16];
    packed.fill(0);
    for (j, &(scale, min)) in groups.iter().enumerate() {
        let (scale, min) = (coded(scales, scale), coded(mins, min));
        if j < GROUPS / 2 {
            packed[j] = scale;
            packed[j + 4] = min;
        } else {
            packed[j + 4] = scale & 15 | (min & 15) << 4;
            packed[j - 4] |= (scale >> 4) << 6;
            packed[j] |= (min >> 4) << 6;
        }
    }
    let d = put_half(head, 0, max_scale / SIX_BITS);
    let dmin = put_half(head, 2, max_min / SIX_BITS);
    for (j, x) in x.chunks_exact(GROUP).enumerate() {
        let (scale, min) = scale_and_min(&head[4..16], j);
        let (scale, min) = (d * f32::from(scale), dmin * f32::from(min));
        requantize(x, scale, min, search.levels, &mut quants[j * GROUP..]);
    }
    quants
}

/// How much each value's error counts: its magnitude and the group's root mean square.
fn weights(x: &[f32]) -> [f32; GROUP] {
    let mut squares = 0.0;
    for x in x {
        squares += x * x;
    }
    let rms = (squares / GROUP as f32).sqrt();
    let mut weights = [0.0; GROUP];
    for (weight, x) in weights.iter_mut().zip(x) {
        *weight = rms + x.abs();
    }
    weights
}

/// The largest positive scale and the largest positive minimum; 0 if there is none.
fn maxima(groups: &[(f32, f32)]) -> (f32, f32) {
    groups.iter().fold((0.0, 0.0), |(scale, min), group| {
        (
            if group.0 > scale { group.0 } else { scale },
            if group.1 > min { group.1 } else { min },
        )
    })
}

/// Quants for the scale and minimum as they stand in the file; those found by the search stay where the scale is 0.
fn requantize(x: &[f32], scale: f32, min: f32, levels: i32, quants: &mut [u8]) {
    if scale == 0.0 {
        return;
    }
    for (q, x) in quants.iter_mut().zip(x) {
        *q = nearest((x + min) / scale).clamp(0, levels) as u8;
    }
}

/// Writes the low four bits: each 32 bytes hold two groups, the first in the lower nibbles.
fn put_nibbles(quants: &[u8; SUPER_BLOCK], bytes: &mut [u8]) {
    for (q, bytes) in quants
        .chunks_exact(2 * GROUP)
        .zip(bytes.chunks_exact_mut(GROUP))
    {
        for (l, byte) in bytes.iter_mut().enumerate() {
            *byte = q[l] & 15 | (q[l + GROUP] & 15) << 4;
        }
    }
}
