//! Blocks of 32 values that are small integers.

use super::half_at;
use crate::format::BLOCK;

/// `scale: f16, nibbles: [u8; 16]`; `y = (q − 8) · d`. Byte `j` holds value `j` below and value `j + 16` above.
pub(super) fn q4_0(block: &[u8], y: &mut [f32]) {
    let d = half_at(block, 0);
    for (j, &byte) in block[2..].iter().enumerate() {
        y[j] = f32::from((byte & 15) as i8 - 8) * d;
        y[j + BLOCK / 2] = f32::from((byte >> 4) as i8 - 8) * d;
    }
}

/// `scale: f16, minimum: f16, nibbles: [u8; 16]`; `y = q · d + m`.
pub(super) fn q4_1(block: &[u8], y: &mut [f32]) {
    let (d, m) = (half_at(block, 0), half_at(block, 2));
    for (j, &byte) in block[4..].iter().enumerate() {
        y[j] = f32::from(byte & 15) * d + m;
        y[j + BLOCK / 2] = f32::from(byte >> 4) * d + m;
    }
}

/// The fifth bits of a block of 32 (bit `j` belongs to value `j`), moved to where they are added.
fn fifth_bit(bits: u32, value: usize) -> u8 {
    (((bits >> value) & 1) << 4) as u8
}

/// The little-endian word at byte `at` of a block.
fn word_at(block: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]])
}

/// `scale: f16, fifth bits: u32, nibbles: [u8; 16]`; `y = (q − 16) · d`.
pub(super) fn q5_0(block: &[u8], y: &mut [f32]) {
    let (d, bits) = (half_at(block, 0), word_at(block, 2));
    for (j, &byte) in block[6..].iter().enumerate() {
        let above = j + BLOCK / 2;
        y[j] = f32::from(((byte & 15) | fifth_bit(bits, j)) as i8 - 16) * d;
        y[above] = f32::from(((byte >> 4) | fifth_bit(bits, above)) as i8 - 16) * d;
    }
}

/// `scale: f16, minimum: f16, fifth bits: u32, nibbles: [u8; 16]`; `y = q · d + m`.
pub(super) fn q5_1(block: &[u8], y: &mut [f32]) {
    let (d, m, bits) = (half_at(block, 0), half_at(block, 2), word_at(block, 4));
    for (j, &byte) in block[8..].iter().enumerate() {
        let above = j + BLOCK / 2;
        y[j] = f32::from((byte & 15) | fifth_bit(bits, j)) * d + m;
        y[above] = f32::from((byte >> 4) | fifth_bit(bits, above)) * d + m;
    }
}

/// `scale: f16, values: [i8; 32]`; `y = q · d`.
pub(super) fn q8_0(block: &[u8], y: &mut [f32]) {
    let d = half_at(block, 0);
    for (y, &q) in y.iter_mut().zip(&block[2..]) {
        *y = f32::from(q as i8) * d;
    }
}
