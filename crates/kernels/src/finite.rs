//! Finds numbers no kernel can compute with.

use half::{bf16, f16};

use crate::Format;

/// The first infinite or undefined scale, minimum or weight in a row of the file: which block (for float formats,
/// which column), and its value.
pub(crate) fn first_non_finite(format: Format, row: &[u8]) -> Option<(usize, f32)> {
    let half = |bits: &[u8]| f16::from_le_bytes([bits[0], bits[1]]).to_f32();
    let brain = |bits: &[u8]| bf16::from_le_bytes([bits[0], bits[1]]).to_f32();
    let single = |bits: &[u8]| f32::from_le_bytes([bits[0], bits[1], bits[2], bits[3]]);
    // Where a block has its numbers, by byte.
    match format {
        Format::F32 => scan::<4, 1>(row, [0], single),
        Format::F16 => scan::<2, 1>(row, [0], half),
        Format::BF16 => scan::<2, 1>(row, [0], brain),
        Format::Q4_0 => scan::<18, 1>(row, [0], half),
        Format::Q4_1 => scan::<20, 2>(row, [0, 2], half),
        Format::Q5_0 => scan::<22, 1>(row, [0], half),
        Format::Q5_1 => scan::<24, 2>(row, [0, 2], half),
        Format::Q8_0 => scan::<34, 1>(row, [0], half),
        Format::Q4_K => scan::<144, 2>(row, [0, 2], half),
        Format::Q5_K => scan::<176, 2>(row, [0, 2], half),
        Format::Q6_K => scan::<210, 1>(row, [208], half),
    }
}

/// [`first_non_finite`] for blocks of `BYTES` bytes with numbers at the bytes `fields`.
fn scan<const BYTES: usize, const FIELDS: usize>(
    row: &[u8],
    fields: [usize; FIELDS],
    value: impl Fn(&[u8]) -> f32,
) -> Option<(usize, f32)> {
    let blocks = row.as_chunks::<BYTES>().0;
    // Without an early exit, the usual case is one vectorized pass.
    let is_finite = blocks.iter().fold(true, |all, block| {
        fields
            .iter()
            .fold(all, |all, &at| all & value(&block[at..]).is_finite())
    });
    if is_finite {
        return None;
    }
    let numbers = blocks
        .iter()
        .enumerate()
        .flat_map(|(i, block)| fields.map(|at| (i, value(&block[at..]))));
    numbers.into_iter().find(|(_, value)| !value.is_finite())
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
                Format::F16 | Format::Q4_0 | Format::Q5_0 | Format::Q8_0 => (&[0], &half_infinity),
                Format::Q6_K => (&[208], &half_infinity),
                _ => (&[0, 2], &half_infinity),
            };
            let clean = vec![0; 3 * format.block_bytes()];
            assert_eq!(first_non_finite(format, &clean), None, "{format}");
            for block in 0..3 {
                for at in fields {
                    let mut row = clean.clone();
                    row[block * format.block_bytes() + at..][..bits.len()].copy_from_slice(bits);
                    let (found, value) = first_non_finite(format, &row).expect("an infinity");
                    assert_eq!((found, value.is_infinite()), (block, true), "{format}");
                }
            }
        }
    }
}
