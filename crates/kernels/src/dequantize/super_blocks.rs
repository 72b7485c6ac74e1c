//! The K formats: super-blocks of 256 values with scales for parts of it.

use super::half_at;
use crate::format::{BLOCK, SUPER_BLOCK};

/// `scales and minimums: [u8; 16], pairs of bits: [u8; 64], d: f16, dmin: f16`; `y = (d · sc) · q − dmin · m` with the
/// scale in the lower nibble and the minimum in the upper. [`quarter`] says where a value's bits are.
pub(super) fn q2_k(block: &[u8], y: &mut [f32]) {
    let (scales, pairs) = (&block[..16], &block[16..80]);
    let (d, dmin) = (half_at(block, 80), half_at(block, 82));
    for (k, y) in y[..SUPER_BLOCK].iter_mut().enumerate() {
        let (byte, quarter) = quarter(k);
        let q = pairs[byte] >> (2 * quarter) & 3;
        let (scale, min) = (scales[k / 16] & 15, scales[k / 16] >> 4);
        *y = (d * f32::from(scale)) * f32::from(q) - dmin * f32::from(min);
    }
}

/// Where Q2_K and Q3_K keep two bits of value `k` of a super-block: in each half, 32 bytes hold four runs of 32
/// values. The byte, and which run it is.
fn quarter(k: usize) -> (usize, usize) {
    (k / 128 * 32 + k % 32, k % 128 / 32)
}

/// The 6-bit scale of sub-block `g` (0…15) out of the 12 packed bytes of Q3_K: nibbles in the first 8, upper bits in the
/// last 4.
fn scale_of_16(packed: &[u8], g: usize) -> u8 {
    let low = packed[g % 8] >> (g / 8 * 4) & 15;
    let high = packed[8 + g % 4] >> (g / 4 * 2) & 3;
    low | high << 4
}

/// `third bits: [u8; 32], pairs of bits: [u8; 64], scales: [u8; 12], d: f16`; `y = (d · (sc − 32)) · (q − 4)`. Bit `j` of
/// byte `l` of the third bits belongs to value `32 j + l`; [`quarter`] says where the other two are.
pub(super) fn q3_k(block: &[u8], y: &mut [f32]) {
    let (thirds, pairs, scales) = (&block[..32], &block[32..96], &block[96..108]);
    let d = half_at(block, 108);
    for (k, y) in y[..SUPER_BLOCK].iter_mut().enumerate() {
        let (byte, quarter) = quarter(k);
        let q = pairs[byte] >> (2 * quarter) & 3 | (thirds[k % 32] >> (k / 32) & 1) << 2;
        let scale = scale_of_16(scales, k / 16) as i8 - 32;
        *y = (d * f32::from(scale)) * f32::from(q as i8 - 4);
    }
}

/// The 6-bit scale and minimum of sub-block `j` (0…7) out of the 12 packed bytes of Q4_K and Q5_K:
/// the first four of each have a byte whose upper bits carry the two high bits of the last four.
pub(crate) fn scale_and_min(packed: &[u8], j: usize) -> (u8, u8) {
    if j < 4 {
        (packed[j] & 63, packed[j + 4] & 63)
    } else {
        (
            (packed[j + 4] & 15) | ((packed[j - 4] >> 6) << 4),
            (packed[j + 4] >> 4) | ((packed[j] >> 6) << 4),
        )
    }
}

/// `d: f16, dmin: f16, scales and minimums: [u8; 12], nibbles: [u8; 128]`; `y = (d · sc) · q − dmin · m`.
/// Each 32 bytes hold two sub-blocks: the first in the lower nibbles, the second in the upper.
pub(super) fn q4_k(block: &[u8], y: &mut [f32]) {
    let (d, dmin, scales, nibbles) = (
        half_at(block, 0),
        half_at(block, 2),
        &block[4..16],
        &block[16..],
    );
    for (j, y) in y.chunks_exact_mut(BLOCK).enumerate() {
        let (scale, min) = scale_and_min(scales, j);
        let (d, m) = (d * f32::from(scale), dmin * f32::from(min));
        for (l, y) in y.iter_mut().enumerate() {
            let q = nibbles[j / 2 * BLOCK + l] >> (j % 2 * 4) & 15;
            *y = d * f32::from(q) - m;
        }
    }
}

/// Q4_K with fifth bits before the nibbles: bit `j` of byte `l` belongs to value `l` of sub-block `j`.
pub(super) fn q5_k(block: &[u8], y: &mut [f32]) {
    let (d, dmin, scales) = (half_at(block, 0), half_at(block, 2), &block[4..16]);
    let (bits, nibbles) = (&block[16..48], &block[48..]);
    for (j, y) in y.chunks_exact_mut(BLOCK).enumerate() {
        let (scale, min) = scale_and_min(scales, j);
        let (d, m) = (d * f32::from(scale), dmin * f32::from(min));
        for (l, y) in y.iter_mut().enumerate() {
            let q = nibbles[j / 2 * BLOCK + l] >> (j % 2 * 4) & 15 | (bits[l] >> j & 1) << 4;
            *y = d * f32::from(q) - m;
        }
    }
}

/// `nibbles: [u8; 128], upper bits: [u8; 64], scales: [i8; 16], d: f16`; `y = d · sc · (q − 32)`.
/// Each half of 128 values has 64 bytes of nibbles and 32 of upper bits; its quarter `i` (32 values) takes nibble
/// `i / 2` of bytes `32 · (i % 2)…` and bits `2i, 2i + 1` of the upper bits.
pub(super) fn q6_k(block: &[u8], y: &mut [f32]) {
    let (nibbles, uppers, scales, d) = (
        &block[..128],
        &block[128..192],
        &block[192..208],
        half_at(block, 208),
    );
    for (k, y) in y[..SUPER_BLOCK].iter_mut().enumerate() {
        let (half, quarter, l) = (k / 128, k % 128 / 32, k % 32);
        let low = nibbles[half * 64 + quarter % 2 * 32 + l] >> (quarter / 2 * 4) & 15;
        let high = uppers[half * 32 + l] >> (quarter * 2) & 3;
        let q = (low | high << 4) as i8 - 32;
        *y = d * f32::from(scales[k / 16] as i8) * f32::from(q);
    }
}
