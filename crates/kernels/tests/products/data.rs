//! Matrices to try products on, as they stand in a file.

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

// SAFETY: the loop calls each part once.
unsafe impl Pool for Cut {
    fn threads(&self) -> usize {
        self.0
    }

    fn run(&self, parts: usize, job: &(dyn Fn(usize) + Sync)) {
        (0..parts).rev().for_each(job);
    }
}

/// The bytes of a block that hold numbers (scales, minimums, weights of float formats).
pub(crate) fn numbers_at(format: Format) -> &'static [usize] {
    match format {
        Format::Q4_1 | Format::Q5_1 | Format::Q4_K | Format::Q5_K => &[0, 2],
        Format::Q2_K => &[80, 82],
        Format::Q3_K => &[108],
        Format::Q6_K => &[208],
        Format::TQ1_0 => &[52],
        Format::TQ2_0 => &[64],
        Format::I2_S => &[],
        _ => &[0],
    }
}

/// Puts a number at byte `at` of a block, in the format's precision.
pub(crate) fn put_number(format: Format, block: &mut [u8], at: usize, value: f32) {
    match format {
        Format::F32 | Format::I2_S => block[at..at + 4].copy_from_slice(&value.to_le_bytes()),
        Format::BF16 => block[at..at + 2].copy_from_slice(&bf16::from_f32(value).to_le_bytes()),
        // Its exponent.
        Format::MXFP4 => block[at] = (value.to_bits() >> 23) as u8,
        _ => block[at..at + 2].copy_from_slice(&f16::from_f32(value).to_le_bytes()),
    }
}

/// The file's bytes of a `[rows, cols]` matrix: whatever `byte` gives, with numbers that `number` gives.
pub(crate) fn file(
    format: Format,
    rows: usize,
    cols: usize,
    byte: impl FnMut() -> u8,
    mut number: impl FnMut() -> f32,
) -> Vec<u8> {
    let row_bytes = rows * format.row_bytes(cols).unwrap();
    let mut bytes = vec![0; row_bytes + format.tail_bytes()];
    bytes.fill_with(byte);
    let (blocks, tail) = bytes.split_at_mut(row_bytes);
    for block in blocks.chunks_exact_mut(format.block_bytes()) {
        for &at in numbers_at(format) {
            put_number(format, block, at, number());
        }
    }
    if !tail.is_empty() {
        put_number(format, tail, 0, number());
    }
    bytes
}

/// The rows of a [`file`], and what follows them.
pub(crate) fn split(format: Format, file: &[u8]) -> (&[u8], &[u8]) {
    file.split_at(file.len() - format.tail_bytes())
}

/// A [`file`] of random bits, with moderate numbers.
pub(crate) fn random_rows(
    format: Format,
    rows: usize,
    cols: usize,
    random: &mut Random,
) -> Vec<u8> {
    let mut numbers = Random(random.next());
    file(
        format,
        rows,
        cols,
        || random.next() as u8,
        || numbers.float(),
    )
}

pub(crate) fn pack(format: Format, rows: usize, cols: usize, bytes: &[u8]) -> Matrix {
    let mut packer = Packer::new(format, rows, cols).unwrap();
    packer.write(bytes).unwrap();
    packer.finish().unwrap()
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
