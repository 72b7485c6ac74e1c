//! Formats whose four bits choose from a table.

use super::half_at;
use crate::format::BLOCK;

/// The steps of IQ4_NL and IQ4_XS: `kvalues_iq4nl` of ggml.
pub(crate) const UNEVEN: [i8; 16] = [
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113,
];

/// Twice the numbers of 4 bits (E2M1) of MXFP4, so that they are integers: `kvalues_mxfp4` of ggml.
pub(crate) const DOUBLED_FP4: [i8; 16] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

/// Half of the power of two that MXFP4 stores as its exponent, 2^(e − 128): half, because the table is doubled.
/// `ggml_e8m0_to_fp32_half` of ggml, which has no NaN either.
pub(crate) fn exponent_half(e: u8) -> f32 {
    const MANTISSA_BITS: u32 = 23;
    // The two smallest are subnormal.
    f32::from_bits(match e {
        0 | 1 => 1 << (MANTISSA_BITS - 2 + u32::from(e)),
        _ => (u32::from(e) - 1) << MANTISSA_BITS,
    })
}

/// A run of 32 values of scale `d`: byte `j` holds value `j` below and value `j + 16` above.
fn choose(table: &[i8; 16], nibbles: &[u8], d: f32, y: &mut [f32]) {
    for (j, &byte) in nibbles.iter().enumerate() {
        y[j] = d * f32::from(table[usize::from(byte & 15)]);
        y[j + BLOCK / 2] = d * f32::from(table[usize::from(byte >> 4)]);
    }
}

/// `scale: f16, nibbles: [u8; 16]`; `y = d · table[q]`.
pub(super) fn iq4_nl(block: &[u8], y: &mut [f32]) {
    choose(&UNEVEN, &block[2..], half_at(block, 0), y);
}

/// `exponent: u8, nibbles: [u8; 16]`; `y = 2^(e − 128) · table[q]`.
pub(super) fn mxfp4(block: &[u8], y: &mut [f32]) {
    choose(&DOUBLED_FP4, &block[1..], exponent_half(block[0]), y);
}

/// The 6-bit scale of sub-block `j` (0…7) of IQ4_XS out of its 2 bytes of upper bits and 4 of nibbles.
pub(crate) fn scale_of_32(uppers: &[u8], nibbles: &[u8], j: usize) -> u8 {
    let low = nibbles[j / 2] >> (j % 2 * 4) & 15;
    let high = uppers[j / 4] >> (j % 4 * 2) & 3;
    low | high << 4
}

/// `d: f16, upper bits of scales: [u8; 2], nibbles of scales: [u8; 4], nibbles: [u8; 128]`;
/// `y = (d · (sc − 32)) · table[q]`, 16 bytes for each 32 values.
pub(super) fn iq4_xs(block: &[u8], y: &mut [f32]) {
    let d = half_at(block, 0);
    let nibbles = block[8..].chunks_exact(BLOCK / 2);
    for (j, (y, nibbles)) in y.chunks_exact_mut(BLOCK).zip(nibbles).enumerate() {
        let scale = scale_of_32(&block[2..4], &block[4..8], j) as i8 - 32;
        choose(&UNEVEN, nibbles, d * f32::from(scale), y);
    }
}
