//! Formats of −1, 0 and 1.

use super::half_at;
use crate::format::I2_S_BLOCK;

/// Values in a run: where one byte holds several values, they are this far apart.
const RUN: usize = 32;

/// 3ⁿ, by which digit `n` of a byte is moved to the front.
pub(crate) const POWERS: [u8; 5] = [1, 3, 9, 27, 81];

/// Digit `n` (0…2, most significant first) of a byte of TQ1_0: the byte is a fraction of 256, in base 3.
pub(crate) fn digit(byte: u8, n: usize) -> u8 {
    let rest = byte.wrapping_mul(POWERS[n]);
    ((u16::from(rest) * 3) >> 8) as u8
}

/// Where TQ1_0 keeps value `k`: its byte and its digit. 32 bytes hold five runs of 32 values, 16 bytes five runs of 16,
/// four bytes four runs of four.
pub(crate) fn place(k: usize) -> (usize, usize) {
    match k {
        0..160 => (k % 32, k / 32),
        160..240 => (32 + k % 16, (k - 160) / 16),
        _ => (48 + k % 4, (k - 240) / 4),
    }
}

/// `digits: [u8; 52], scale: f16`; `y = (q − 1) · d`.
pub(super) fn tq1_0(block: &[u8], y: &mut [f32]) {
    let d = half_at(block, 52);
    for (k, y) in y.iter_mut().enumerate() {
        let (byte, n) = place(k);
        *y = f32::from(digit(block[byte], n) as i8 - 1) * d;
    }
}

/// `pairs of bits: [u8; 64], scale: f16`; `y = (q − 1) · d`. 32 bytes hold four runs of 32 values, lowest bits first.
pub(super) fn tq2_0(block: &[u8], y: &mut [f32]) {
    let d = half_at(block, 64);
    for (k, y) in y.iter_mut().enumerate() {
        let q = block[k / 128 * RUN + k % RUN] >> (k % 128 / RUN * 2) & 3;
        *y = f32::from(q as i8 - 1) * d;
    }
}

/// A whole tensor of I2_S: for each 128 values `pairs of bits: [u8; 32]`, four runs of 32 values, highest bits first;
/// then `scale: f32`. `y = d · (q − 1)`, but the unused `q = 3` is 0, too.
pub(super) fn i2_s(blocks: &[u8], tail: &[u8], y: &mut [f32]) {
    let d = i2_s_scale(tail);
    let blocks = blocks.chunks_exact(RUN);
    for (block, y) in blocks.zip(y.chunks_exact_mut(I2_S_BLOCK)) {
        for (k, y) in y.iter_mut().enumerate() {
            let q = block[k % RUN] >> (6 - k / RUN * 2) & 3;
            *y = d * f32::from([-1_i8, 0, 1, 0][usize::from(q)]);
        }
    }
}

/// The scale of a tensor of I2_S, out of what follows its blocks.
pub(crate) fn i2_s_scale(tail: &[u8]) -> f32 {
    f32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]])
}
