//! Finds numbers no kernel can compute with.

use half::{bf16, f16};

use crate::Format;
use crate::dequantize::exponent_half;

/// The first infinite or undefined scale, minimum or weight in a row of the file: which block (for float formats,
/// which column), and its value.
pub(crate) fn first_non_finite(format: Format, row: &[u8]) -> Option<(usize, f32)> {
    // Where a block has its numbers, by byte.
    match format {
        Format::F32 => scan::<f32, 4, 1>(row, [0]),
        Format::F16 => scan::<f16, 2, 1>(row, [0]),
        Format::BF16 => scan::<bf16, 2, 1>(row, [0]),
        Format::Q4_0 => scan::<f16, 18, 1>(row, [0]),
        Format::Q4_1 => scan::<f16, 20, 2>(row, [0, 2]),
        Format::Q5_0 => scan::<f16, 22, 1>(row, [0]),
        Format::Q5_1 => scan::<f16, 24, 2>(row, [0, 2]),
        Format::Q8_0 => scan::<f16, 34, 1>(row, [0]),
        Format::Q2_K => scan::<f16, 84, 2>(row, [80, 82]),
        Format::Q3_K => scan::<f16, 110, 1>(row, [108]),
        Format::Q4_K => scan::<f16, 144, 2>(row, [0, 2]),
        Format::Q5_K => scan::<f16, 176, 2>(row, [0, 2]),
        Format::Q6_K => scan::<f16, 210, 1>(row, [208]),
        Format::IQ4_NL => scan::<f16, 18, 1>(row, [0]),
        Format::IQ4_XS => scan::<f16, 136, 1>(row, [0]),
        Format::TQ1_0 => scan::<f16, 54, 1>(row, [52]),
        Format::TQ2_0 => scan::<f16, 66, 1>(row, [64]),
        // Its one scale is not in the rows.
        Format::I2_S => None,
        Format::MXFP4 => scan::<Exponent, 17, 1>(row, [0]),
    }
}

/// A number as the file stores it.
trait Number {
    /// Whether the number at the beginning of `bytes` is neither infinite nor undefined: not all bits of its
    /// exponent are set.
    fn is_finite(bytes: &[u8]) -> bool;

    /// The number at the beginning of `bytes`.
    fn value(bytes: &[u8]) -> f32;
}

impl Number for f32 {
    fn is_finite(bytes: &[u8]) -> bool {
        const EXPONENT: u16 = 0x7f80;
        u16::from_le_bytes([bytes[2], bytes[3]]) & EXPONENT != EXPONENT
    }

    fn value(bytes: &[u8]) -> f32 {
        Self::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
    }
}

impl Number for f16 {
    fn is_finite(bytes: &[u8]) -> bool {
        const EXPONENT: u16 = 0x7c00;
        u16::from_le_bytes([bytes[0], bytes[1]]) & EXPONENT != EXPONENT
    }

    fn value(bytes: &[u8]) -> f32 {
        Self::from_le_bytes([bytes[0], bytes[1]]).to_f32()
    }
}

impl Number for bf16 {
    fn is_finite(bytes: &[u8]) -> bool {
        const EXPONENT: u16 = 0x7f80;
        u16::from_le_bytes([bytes[0], bytes[1]]) & EXPONENT != EXPONENT
    }

    fn value(bytes: &[u8]) -> f32 {
        Self::from_le_bytes([bytes[0], bytes[1]]).to_f32()
    }
}

/// The power of two of MXFP4, E8M0 in the OCP specification: all bits set is NaN.
struct Exponent;

impl Number for Exponent {
    fn is_finite(bytes: &[u8]) -> bool {
        bytes[0] != u8::MAX
    }

    fn value(bytes: &[u8]) -> f32 {
        match bytes[0] {
            u8::MAX => f32::NAN,
            e => exponent_half(e) * 2.0,
        }
    }
}

/// [`first_non_finite`] for blocks of `BYTES` bytes with numbers at the bytes `fields`.
fn scan<N: Number, const BYTES: usize, const FIELDS: usize>(
    row: &[u8],
    fields: [usize; FIELDS],
) -> Option<(usize, f32)> {
    let blocks = row.as_chunks::<BYTES>().0;
    // Without an early exit, the usual case is one vectorized pass.
    let is_finite = blocks.iter().fold(true, |all, block| {
        fields
            .iter()
            .fold(all, |all, &at| all & N::is_finite(&block[at..]))
    });
    if is_finite {
        return None;
    }
    blocks.iter().enumerate().find_map(|(i, block)| {
        let at = fields.into_iter().find(|&at| !N::is_finite(&block[at..]))?;
        Some((i, N::value(&block[at..])))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_of_every_format_is_seen() {
        let half_infinity = 0x7c00_u16.to_le_bytes();
        for format in Format::ALL {
            let (fields, bits): (&[usize], &[u8]) = match format {
                Format::F32 => (&[0], &[0, 0, 0x80, 0xff]),
                Format::BF16 => (&[0], &[0x80, 0x7f]),
                Format::Q4_1 | Format::Q5_1 | Format::Q4_K | Format::Q5_K => {
                    (&[0, 2], &half_infinity)
                }
                Format::Q2_K => (&[80, 82], &half_infinity),
                Format::Q3_K => (&[108], &half_infinity),
                Format::Q6_K => (&[208], &half_infinity),
                Format::TQ1_0 => (&[52], &half_infinity),
                Format::TQ2_0 => (&[64], &half_infinity),
                Format::I2_S => (&[], &[]),
                Format::MXFP4 => (&[0], &[0xff]),
                _ => (&[0], &half_infinity),
            };
            let clean = vec![0; 3 * format.block_bytes()];
            assert_eq!(first_non_finite(format, &clean), None, "{format}");
            for block in 0..3 {
                for at in fields {
                    let mut row = clean.clone();
                    row[block * format.block_bytes() + at..][..bits.len()].copy_from_slice(bits);
                    let (found, value) = first_non_finite(format, &row).expect("an infinity");
                    assert_eq!((found, value.is_finite()), (block, false), "{format}");
                }
            }
        }
    }
}
