//! Naive products straight from the file's blocks, and data to try them on.

use half::{bf16, f16};
use kernels::{Format, Matrix, Packer, Pool};

/// A small reproducible generator (splitmix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In −1…1.
    pub(crate) fn float(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    pub(crate) fn floats(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.float()).collect()
    }
}

/// Cuts work for `self.0` threads, and does it on this one, last part first.
pub(crate) struct Cut(pub(crate) usize);

impl Pool for Cut {
    fn threads(&self) -> usize {
        self.0
    }

    fn run(&self, parts: usize, job: &(dyn Fn(usize) + Sync)) {
        (0..parts).rev().for_each(job);
    }
}

/// The bytes of a block that hold numbers (scales, minimums, weights of float formats), two (or four) bytes each.
pub(crate) fn numbers_at(format: Format) -> &'static [usize] {
    match format {
        Format::Q4_1 | Format::Q5_1 | Format::Q4_K | Format::Q5_K => &[0, 2],
        Format::Q6_K => &[208],
        _ => &[0],
    }
}

/// Puts a number at byte `at` of a block, in the format's precision.
pub(crate) fn put_number(format: Format, block: &mut [u8], at: usize, value: f32) {
    match format {
        Format::F32 => block[at..at + 4].copy_from_slice(&value.to_le_bytes()),
        Format::BF16 => block[at..at + 2].copy_from_slice(&bf16::from_f32(value).to_le_bytes()),
        _ => block[at..at + 2].copy_from_slice(&f16::from_f32(value).to_le_bytes()),
    }
}

/// Random rows of the file: any bits, with moderate numbers.
pub(crate) fn random_rows(
    format: Format,
    rows: usize,
    cols: usize,
    random: &mut Random,
) -> Vec<u8> {
    let mut bytes = vec![0; rows * format.row_bytes(cols).unwrap()];
    bytes.fill_with(|| random.next() as u8);
    for block in bytes.chunks_exact_mut(format.block_bytes()) {
        for &at in numbers_at(format) {
            put_number(format, block, at, random.float());
        }
    }
    bytes
}

pub(crate) fn pack(format: Format, rows: usize, cols: usize, bytes: &[u8]) -> Matrix {
    let mut packer = Packer::new(format, rows, cols).unwrap();
    packer.write(bytes).unwrap();
    packer.finish().unwrap()
}

fn half(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

/// A block of activations as bytes and their scale.
fn quantize(x: &[f32]) -> (Vec<i32>, f32) {
    let max = x.iter().fold(0.0, |max: f32, x| max.max(x.abs()));
    let scale = max / 127.0;
    if x.iter().any(|x| !x.is_finite()) {
        return (vec![0; x.len()], f32::NAN);
    }
    if scale < f32::MIN_POSITIVE {
        return (vec![0; x.len()], 0.0);
    }
    let inverse = 1.0 / scale;
    (
        x.iter()
            .map(|x| (x * inverse).round_ties_even() as i32)
            .collect(),
        scale,
    )
}

fn dot(w: impl IntoIterator<Item = i32>, q: &[i32]) -> i32 {
    w.into_iter().zip(q).map(|(w, q)| w * q).sum()
}

/// The unsigned weights of a block of nibbles, with the fifth bits that begin at byte `high`.
fn nibbles(block: &[u8], at: usize, high: Option<usize>) -> Vec<i32> {
    (0..32)
        .map(|k| {
            let nibble = block[at + k % 16] >> (k / 16 * 4) & 15;
            let fifth = high.map_or(0, |high| block[high + k / 8] >> (k % 8) & 1);
            i32::from(nibble | fifth << 4)
        })
        .collect()
}

/// Scale and minimum of sub-block `j` of Q4_K and Q5_K.
fn six_bits(packed: &[u8], j: usize) -> (i32, i32) {
    let bits = |byte: usize, shift: usize, mask: u8| i32::from(packed[byte] >> shift & mask);
    if j < 4 {
        (bits(j, 0, 63), bits(j + 4, 0, 63))
    } else {
        (
            bits(j + 4, 0, 15) | bits(j - 4, 6, 3) << 4,
            bits(j + 4, 4, 15) | bits(j, 6, 3) << 4,
        )
    }
}

/// Σₖ w[k] · x[k] in the documented order of operations.
pub(crate) fn reference(format: Format, row: &[u8], x: &[f32]) -> f32 {
    let mut acc = 0.0;
    for (block, x) in row
        .chunks_exact(format.block_bytes())
        .zip(x.chunks(format.block_len()))
    {
        match format {
            Format::F32 => acc += f32::from_le_bytes(block.try_into().unwrap()) * x[0],
            Format::F16 => acc += half(block, 0) * x[0],
            Format::BF16 => acc += bf16::from_le_bytes([block[0], block[1]]).to_f32() * x[0],
            _ => {
                let (q, a) = quantize(x);
                acc = reference_block(format, block, &q, a, acc);
            }
        }
    }
    acc
}

fn reference_block(format: Format, block: &[u8], q: &[i32], a: f32, mut acc: f32) -> f32 {
    let total = || a * q.iter().sum::<i32>() as f32;
    match format {
        Format::Q4_0 => {
            let w = nibbles(block, 2, None).into_iter().map(|w| w - 8);
            acc += dot(w, q) as f32 * (half(block, 0) * a);
        }
        Format::Q5_0 => {
            let w = nibbles(block, 6, Some(2)).into_iter().map(|w| w - 16);
            acc += dot(w, q) as f32 * (half(block, 0) * a);
        }
        Format::Q4_1 => {
            acc += dot(nibbles(block, 4, None), q) as f32 * (half(block, 0) * a);
            acc += half(block, 2) * total();
        }
        Format::Q5_1 => {
            acc += dot(nibbles(block, 8, Some(4)), q) as f32 * (half(block, 0) * a);
            acc += half(block, 2) * total();
        }
        Format::Q8_0 => {
            let w = block[2..].iter().map(|&w| i32::from(w as i8));
            acc += dot(w, q) as f32 * (half(block, 0) * a);
        }
        Format::Q4_K | Format::Q5_K => {
            let (mut values, mut mins) = (0, 0);
            let nibbles = if format == Format::Q4_K { 16 } else { 48 };
            for (j, q) in q.chunks_exact(32).enumerate() {
                let (scale, min) = six_bits(&block[4..16], j);
                let w = (0..32).map(|l| {
                    let w = block[nibbles + j / 2 * 32 + l] >> (j % 2 * 4) & 15;
                    let fifth = if nibbles == 48 {
                        block[16 + l] >> j & 1
                    } else {
                        0
                    };
                    i32::from(w | fifth << 4)
                });
                values += scale * dot(w, q);
                mins += min * q.iter().sum::<i32>();
            }
            acc -= mins as f32 * (half(block, 2) * a);
            acc += values as f32 * (half(block, 0) * a);
        }
        Format::Q6_K => {
            let w = (0..256).map(|k| {
                let (n, l) = (k / 128, k % 32);
                let quarter = k % 128 / 32;
                let low = block[n * 64 + quarter % 2 * 32 + l] >> (quarter / 2 * 4) & 15;
                let high = block[128 + n * 32 + l] >> (2 * quarter) & 3;
                i32::from(block[192 + k / 16] as i8) * (i32::from(low | high << 4) - 32)
            });
            acc += dot(w, q) as f32 * (half(block, 208) * a);
        }
        Format::F32 | Format::F16 | Format::BF16 => unreachable!("float formats have no blocks"),
    }
    acc
}

/// Equal to the bit, or both undefined.
#[track_caller]
pub(crate) fn assert_same(got: &[f32], expected: &[f32], what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        let is_same = got.to_bits() == expected.to_bits() || got.is_nan() && expected.is_nan();
        assert!(
            is_same,
            "{what}: output {i} is {got:e}, expected {expected:e}"
        );
    }
}
