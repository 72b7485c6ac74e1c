//! File blocks to floats: the meaning of each format, value by value.
//!
//! The formulas and their order of operations are those of ggml's `dequantize_row_*`
//! (`ggml/src/ggml-quants.c` in llama.cpp, for I2_S in bitnet.cpp's copy), so results are equal to the bit. Multi-byte
//! fields are little-endian.

mod blocks;
mod super_blocks;
mod tables;
mod ternary;

use half::{bf16, f16};

pub(crate) use super_blocks::scale_and_min;
pub(crate) use tables::{DOUBLED_FP4, UNEVEN, exponent_half, scale_of_32};
pub(crate) use ternary::{POWERS, digit, i2_s_scale, place};

use crate::{Error, Format};

/// Turns whole blocks of `format`, in file order, into floats. I2_S has its scale after the blocks, so `blocks` is to end
/// with the [tail](Format::tail_bytes) of the tensor.
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
    let block_bytes = format.row_bytes(out.len())?;
    let expected = block_bytes + format.tail_bytes();
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
        Format::Q4_0 => blocks::q4_0,
        Format::Q4_1 => blocks::q4_1,
        Format::Q5_0 => blocks::q5_0,
        Format::Q5_1 => blocks::q5_1,
        Format::Q8_0 => blocks::q8_0,
        Format::Q2_K => super_blocks::q2_k,
        Format::Q3_K => super_blocks::q3_k,
        Format::Q4_K => super_blocks::q4_k,
        Format::Q5_K => super_blocks::q5_k,
        Format::Q6_K => super_blocks::q6_k,
        Format::IQ4_NL => tables::iq4_nl,
        Format::IQ4_XS => tables::iq4_xs,
        Format::TQ1_0 => ternary::tq1_0,
        Format::TQ2_0 => ternary::tq2_0,
        Format::I2_S => {
            let (blocks, tail) = blocks.split_at(block_bytes);
            ternary::i2_s(blocks, tail, out);
            return Ok(());
        }
        Format::MXFP4 => tables::mxfp4,
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
