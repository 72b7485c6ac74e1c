//! MXFP4: 4-bit floats (two bits of exponent, one of mantissa) with one power of two for 32 of them.
//!
//! Source: OCP Microscaling Formats 1.0.

use super::{each_block, largest};
use crate::dequantize::{DOUBLED_FP4, exponent_half};
use crate::format::BLOCK;

/// `exponent: u8, nibbles: [u8; 16]`; values are halves of 2^(exponent − 127) times [`DOUBLED_FP4`].
pub fn mxfp4(values: &[f32], blocks: &mut [u8]) {
    /// The largest float is 1.5 · 2².
    const LARGEST_EXPONENT: f32 = 2.0;
    const BIAS: f32 = 127.0;
    each_block(values, blocks, |x: &[f32; BLOCK], block: &mut [u8; 17]| {
        let max = largest(x);
        block[0] = match max > 0.0 {
            true => (libm::log2f(max).floor() - LARGEST_EXPONENT + BIAS) as u8,
            false => 0,
        };
        let scale = exponent_half(block[0]);
        for (j, byte) in block[1..].iter_mut().enumerate() {
            *byte = nearest_float(x[j], scale) | nearest_float(x[j + BLOCK / 2], scale) << 4;
        }
    });
}

/// Which float is nearest, the first of equals.
fn nearest_float(x: f32, scale: f32) -> u8 {
    let error = |i: u8| (f32::from(DOUBLED_FP4[usize::from(i)]) * scale - x).abs();
    (1..16).fold(0, |best, i| if error(i) < error(best) { i } else { best })
}
