//! Matrices of BitNet: weights that were trained to be rounded to −d, 0 or d, and those that are stored as such.
//!
//! Sources: Ma et al., *The Era of 1-bit LLMs*, arXiv:2402.17764, section 2 (absmean quantization); llama.cpp,
//! `conversion/bitnet.py` and `dequant_bitnet` in `conversion/base.py`.

use super::folder::Stored;

/// The least `d`, so that a matrix of zeros has one.
const LEAST: f32 = 1e-5;
/// What is added up side by side: four vectors of eight.
const LANES: usize = 32;
const VECTOR: usize = 8;
/// Sums of sums, of sums, of sums.
const LEVELS: usize = 4;
/// Rows that have a weight in each byte of a packed matrix.
pub(super) const ROWS_IN_BYTE: usize = 4;
/// Values that are read at a time.
const PART: usize = LANES << 8;

/// `d`: the mean magnitude of `count` values.
///
/// Whether a weight near ±d / 2 becomes 0 depends on the last bit of the mean, so the sum is that of PyTorch's `sum` with one
/// thread on a processor with AVX2: 32 running sums, each a cascade that closes after 16 or more values (`cascade_sum` and
/// `multi_row_sum` in `aten/src/ATen/native/cpu/SumKernel.cpp`, from eight values on).
pub(super) fn scale(stored: &Stored<'_>, count: usize) -> f32 {
    let mut part = vec![0.0; PART];
    let groups = count / LANES;
    let mut sum = Cascade::new(groups);
    for start in (0..groups * LANES).step_by(PART) {
        let values = &mut part[..PART.min(groups * LANES - start)];
        stored.read(start, values);
        values.as_chunks().0.iter().for_each(|group| sum.add(group));
    }
    let rest = &mut part[..count % LANES];
    stored.read(groups * LANES, rest);
    (sum.finish(rest) / count as f32).max(LEAST)
}

struct Cascade {
    sums: [[f32; LANES]; LEVELS],
    added: usize,
    /// A level closes after so many values: a power of two.
    power: u32,
}

impl Cascade {
    fn new(groups: usize) -> Self {
        let log = groups.max(1).next_power_of_two().ilog2();
        Self {
            sums: [[0.0; LANES]; LEVELS],
            added: 0,
            power: (log / LEVELS as u32).max(4),
        }
    }

    fn add(&mut self, group: &[f32; LANES]) {
        add(&mut self.sums[0], group.map(f32::abs));
        self.added += 1;
        let mask = (1_usize << self.power) - 1;
        for level in 1..LEVELS {
            if self.added & (mask << ((level as u32 - 1) * self.power)) != 0 {
                break;
            }
            let below = std::mem::replace(&mut self.sums[level - 1], [0.0; LANES]);
            add(&mut self.sums[level], below);
        }
    }

    /// The sum of all, with a rest that is less than a group.
    fn finish(self, rest: &[f32]) -> f32 {
        let [mut all, above @ ..] = self.sums;
        for sums in above {
            add(&mut all, sums);
        }
        let (vectors, single) = rest.as_chunks::<VECTOR>();
        let (parts, _) = all.as_chunks::<VECTOR>();
        let mut vector = parts[0];
        for other in vectors {
            add(&mut vector, other.map(f32::abs));
        }
        for other in &parts[1..] {
            add(&mut vector, *other);
        }
        let single = single.iter().fold(0.0, |sum, value| sum + value.abs());
        vector.iter().fold(single, |sum, value| sum + value)
    }
}

fn add<const N: usize>(sums: &mut [f32; N], values: [f32; N]) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += value;
    }
}

/// Rounds values to −d, 0 or d. Two divisions make of `d` what the reference makes of it.
pub(super) fn round(values: &mut [f32], d: f32) {
    let inverse = 1.0 / d;
    for value in values {
        *value = (*value * inverse).round_ties_even().clamp(-1.0, 1.0) / inverse;
    }
}

/// Fills `values` with a row of a matrix that is stored as two bits for each weight: the first quarter of its rows in the
/// lowest bits of all bytes, the next in those above.
///
/// `inverse` is 1 / d.
pub(super) fn unpack(bytes: &[u8], row: usize, inverse: f32, values: &mut [f32]) {
    let columns = values.len();
    let packed_rows = bytes.len() / columns;
    let shift = 2 * (row / packed_rows % ROWS_IN_BYTE);
    let bytes = &bytes[row % packed_rows * columns..][..columns];
    for (value, byte) in values.iter_mut().zip(bytes) {
        *value = (f32::from(byte >> shift & 3) - 1.0) / inverse;
    }
}

#[cfg(test)]
mod tests {
    use safetensors::Dtype;
    use testkit::check_table;

    use super::*;

    /// `torch.from_numpy(values).abs().mean()` of PyTorch 2.11.0 with one thread, as bits.
    const MEANS: [(usize, u32); 8] = [
        (8, 0x3e83_910d),
        (32, 0x3e81_fe6a),
        (40, 0x3e81_f8ba),
        (127, 0x3e80_fb39),
        (4141, 0x3e80_03f2),
        (32768, 0x3e80_0086),
        (262_144, 0x3e80_000c),
        (1_000_003, 0x3e80_0005),
    ];

    /// 24 bits of the multiples of Knuth's constant, from -1/2 to 1/2.
    fn value(index: usize) -> f32 {
        const MULTIPLIER: u32 = 2_654_435_761;
        ((index as u32).wrapping_mul(MULTIPLIER) >> 8) as f32 / (1 << 24) as f32 - 0.5
    }

    #[test]
    fn the_scale_is_pytorchs_to_the_last_bit() {
        check_table(MEANS.map(|case| (case.0, case)), |(count, expected)| {
            let bytes: Vec<u8> = (0..count).flat_map(|i| value(i).to_le_bytes()).collect();
            let stored = Stored {
                dtype: Dtype::F32,
                bytes: &bytes,
            };
            let mean = scale(&stored, count);
            match mean.to_bits() == expected {
                true => Ok(()),
                false => Err(format!("{mean} instead of {}", f32::from_bits(expected))),
            }
        });
        let zeros = Stored {
            dtype: Dtype::F32,
            bytes: &[0; 4 * LANES],
        };
        assert_eq!(scale(&zeros, LANES), LEAST);
    }

    #[test]
    fn quarters_of_rows_share_bytes() {
        let bytes = [0b10_01_00_10, 0b00_00_01_10];
        let rows: Vec<_> = (0..4)
            .map(|row| {
                let mut values = [0.0; 2];
                unpack(&bytes, row, 2.0, &mut values);
                values
            })
            .collect();
        assert_eq!(rows, [[0.5, 0.5], [-0.5, 0.0], [0.0, -0.5], [0.5, -0.5]]);
    }
}
