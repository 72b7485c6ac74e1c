//! File blocks to floats: the meaning of each format, value by value.
//!
//! The formulas and their order of operations are those of ggml's `dequantize_row_*`
//! (`ggml/src/ggml-quants.c` in llama.cpp), so results are equal to the bit. Multi-byte fields are little-endian.

use half::{bf16, f16};

use crate::format::{BLOCK, SUPER_BLOCK};
use crate::{Error, Format};

/// Turns whole blocks of `format`, in file order, into floats.
///
/// # Errors
/// [`Error::Length`] unless `blocks` is a whole number of blocks holding exactly `out.len()` values.
pub fn dequantize(format: Format, blocks: &[u8], out: &mut [f32]) -> Result<(), Error> {
    if !out.len().is_multiple_of(format.block_len()) {
        return Err(Error::PartialBlock {
            format,
            cols: out.len(),
        });
    }
    let expected = format.row_bytes(out.len())?;
    if blocks.len() != expected {
        return Err(Error::Length {
            what: "bytes of blocks to dequantize",
            expected,
            got: blocks.len(),
        });
    }
    let one: fn(&[u8], &mut [f32]) = match format {
        Format::F32 => |b, y| y[0] = f32::from_le_bytes([b[0], b[1], b[2], b[3]]),
        Format::F16 => |b, y| y[0] = half_at(b, 0),
        Format::BF16 => |b, y| y[0] = bf16::from_le_bytes([b[0], b[1]]).to_f32(),
        Format::Q4_0 => q4_0,
        Format::Q4_1 => q4_1,
        Format::Q5_0 => q5_0,
        Format::Q5_1 => q5_1,
        Format::Q8_0 => q8_0,
        Format::Q4_K => q4_k,
        Format::Q5_K => q5_k,
        Format::Q6_K => q6_k,
    };
    let values = out.chunks_exact_mut(format.block_len());
    for (block, y) in blocks.chunks_exact(format.block_bytes()).zip(values) {
        one(block, y);
    }
    Ok(())
}

/// The half-precision number at byte `at` of a block.
pub(crate) fn half_at(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

/// `scale: f16, nibbles: [u8; 16]`; `y = (q − 8) · d`. Byte `j` holds value `j` below and value `j + 16` above.
fn q4_0(block: &[u8], y: &mut [f32]) {
    let d = half_at(block, 0);
    for (j, &byte) in block[2..].iter().enumerate() {
        y[j] = f32::from((byte & 15) as i8 - 8) * d;
        y[j + BLOCK / 2] = f32::from((byte >> 4) as i8 - 8) * d;
    }
}

/// `scale: f16, minimum: f16, nibbles: [u8; 16]`; `y = q · d + m`.
fn q4_1(block: &[u8], y: &mut [f32]) {
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
fn q5_0(block: &[u8], y: &mut [f32]) {
    let (d, bits) = (half_at(block, 0), word_at(block, 2));
    for (j, &byte) in block[6..].iter().enumerate() {
        let above = j + BLOCK / 2;
        y[j] = f32::from(((byte & 15) | fifth_bit(bits, j)) as i8 - 16) * d;
        y[above] = f32::from(((byte >> 4) | fifth_bit(bits, above)) as i8 - 16) * d;
    }
}

/// `scale: f16, minimum: f16, fifth bits: u32, nibbles: [u8; 16]`; `y = q · d + m`.
fn q5_1(block: &[u8], y: &mut [f32]) {
    let (d, m, bits) = (half_at(block, 0), half_at(block, 2), word_at(block, 4));
    for (j, &byte) in block[8..].iter().enumerate() {
        let above = j + BLOCK / 2;
        y[j] = f32::from((byte & 15) | fifth_bit(bits, j)) * d + m;
        y[above] = f32::from((byte >> 4) | fifth_bit(bits, above)) * d + m;
    }
}

/// `scale: f16, values: [i8; 32]`; `y = q · d`.
fn q8_0(block: &[u8], y: &mut [f32]) {
    let d = half_at(block, 0);
    for (y, &q) in y.iter_mut().zip(&block[2..]) {
        *y = f32::from(q as i8) * d;
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
fn q4_k(block: &[u8], y: &mut [f32]) {
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
fn q5_k(block: &[u8], y: &mut [f32]) {
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
fn q6_k(block: &[u8], y: &mut [f32]) {
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
