//! The simple types: one scale, and sometimes a minimum, for 32 values.

use super::{each_block, extreme, largest, put_half, reciprocal};
use crate::format::BLOCK;

const HALF_BLOCK: usize = BLOCK / 2;

/// The scale that puts the value of largest magnitude on −8; the other values are rounded to −8…7.
pub fn q4_0(values: &[f32], blocks: &mut [u8]) {
    each_block(values, blocks, |x: &[f32; BLOCK], block: &mut [u8; 18]| {
        let d = extreme(x) / -8.0;
        put_half(block, 0, d);
        let inverse = reciprocal(d);
        let quant = |x: f32| ((x * inverse + 8.5) as i8 as u8).min(15);
        for j in 0..HALF_BLOCK {
            block[2 + j] = quant(x[j]) | quant(x[j + HALF_BLOCK]) << 4;
        }
    });
}

/// Sixteen even steps from the smallest value to the largest.
pub fn q4_1(values: &[f32], blocks: &mut [u8]) {
    each_block(values, blocks, |x: &[f32; BLOCK], block: &mut [u8; 20]| {
        let (min, inverse) = put_range(x, 15.0, block);
        let quant = |x: f32| (((x - min) * inverse + 0.5) as i8 as u8).min(15);
        for j in 0..HALF_BLOCK {
            block[4 + j] = quant(x[j]) | quant(x[j + HALF_BLOCK]) << 4;
        }
    });
}

/// As [`q4_0`], with the value of largest magnitude on −16.
pub fn q5_0(values: &[f32], blocks: &mut [u8]) {
    each_block(values, blocks, |x: &[f32; BLOCK], block: &mut [u8; 22]| {
        let d = extreme(x) / -16.0;
        put_half(block, 0, d);
        let inverse = reciprocal(d);
        let quant = |x: f32| ((x * inverse + 16.5) as i8 as u8).min(31);
        put_five_bits(x.map(quant), &mut block[2..]);
    });
}

/// Thirty-two even steps from the smallest value to the largest.
pub fn q5_1(values: &[f32], blocks: &mut [u8]) {
    each_block(values, blocks, |x: &[f32; BLOCK], block: &mut [u8; 24]| {
        let (min, inverse) = put_range(x, 31.0, block);
        let quant = |x: f32| ((x - min) * inverse + 0.5) as u8;
        put_five_bits(x.map(quant), &mut block[4..]);
    });
}

/// The scale that puts the largest magnitude on 127; ties are rounded away from zero.
pub fn q8_0(values: &[f32], blocks: &mut [u8]) {
    each_block(values, blocks, |x: &[f32; BLOCK], block: &mut [u8; 34]| {
        let d = largest(x) / 127.0;
        put_half(block, 0, d);
        let inverse = reciprocal(d);
        for (byte, x) in block[2..].iter_mut().zip(x) {
            *byte = (x * inverse).round() as i8 as u8;
        }
    });
}

/// Writes the step and the minimum of `steps` even steps over all values; gives the minimum and the step's reciprocal,
/// both as they are before they are rounded for the file.
fn put_range(x: &[f32; BLOCK], steps: f32, block: &mut [u8]) -> (f32, f32) {
    let (min, max) = x.iter().fold((f32::MAX, f32::MIN), |(min, max), &x| {
        (if x < min { x } else { min }, if x > max { x } else { max })
    });
    let d = (max - min) / steps;
    put_half(block, 0, d);
    put_half(block, 2, min);
    (min, reciprocal(d))
}

/// Writes the fifth bits, one word with bit `j` for value `j`, and then the nibbles.
fn put_five_bits(quants: [u8; BLOCK], bytes: &mut [u8]) {
    let fifths = quants
        .iter()
        .enumerate()
        .fold(0, |bits, (j, &q)| bits | u32::from(q >> 4 & 1) << j);
    bytes[..4].copy_from_slice(&fifths.to_le_bytes());
    for j in 0..HALF_BLOCK {
        bytes[4 + j] = quants[j] & 15 | (quants[j + HALF_BLOCK] & 15) << 4;
    }
}
