//! Activations as the kernels read them: quantized, summed and repeated, once per matrix product.
//!
//! A block of `LEN` values of a row becomes `LEN` signed bytes `q` and a scale `a` with `x ≈ a · q`:
//! `a = max|x| / 127`, `q = x · (1 / a)` rounded to nearest, ties to even. A block whose scale would be subnormal
//! counts as zero; a block with an infinite or undefined value has an undefined scale (NaN) and zero bytes, so that
//! its outputs are NaN whatever the instruction set.
//!
//! What inner loops read once for each step is a lane, which is repeated over a vector as it is loaded: that is one
//! instruction, as a plain load is, and activations stay in the first-level cache beside the weights that pass. What is
//! read once for each block is repeated already. `COLS` rows of activations (columns of the product) lie side by side:
//! one for matrix–vector products, [`TILE`] for tiles.

use std::marker::PhantomData;

use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::dot::{ActStep, DotForm, Lanes, Pod, SignedDotForm, set_row, widen_pairs};
use crate::format::{BLOCK, SUPER_BLOCK};
use crate::isa::{Bytes16, Lane, Simd};

/// Rows of activations in a tile.
pub(crate) const TILE: usize = 4;

/// Values in a step: the columns of a row that one 32-bit lane of a weight vector holds.
pub(crate) const STEP: usize = 4;

/// Steps of a block of 32.
pub(crate) const STEPS: usize = BLOCK / STEP;

/// Largest magnitude of a quantized activation.
const QUANT_MAX: f32 = 127.0;

/// 2²³ + 2²²: added to a float below 2²² in magnitude it leaves the nearest integer in the low bits.
pub(crate) const ROUNDER: f32 = 12_582_912.0;

/// Quantizes one block, returning its scale.
#[inline(always)]
pub(crate) fn quantize(x: &[f32], q: &mut [u8]) -> f32 {
    quantize_to(QUANT_MAX, x, q, |integer| integer as u8)
}

/// Quantizes one block to integers of up to `largest`, at most 32767, which are cut to what is wanted of them. Returns its scale.
#[inline(always)]
pub(crate) fn quantize_to<T: Default + Clone>(
    largest: f32,
    x: &[f32],
    q: &mut [T],
    cut: impl Fn(u32) -> T,
) -> f32 {
    const MAGNITUDE: u32 = 0x7fff_ffff;
    const INFINITE: i32 = 0x7f80_0000;
    // Magnitudes compare as integers, where an undefined value is larger than all others.
    let max = x
        .iter()
        .fold(0, |max: i32, x| max.max((x.to_bits() & MAGNITUDE) as i32));
    let scale = f32::from_bits(max as u32) / largest;
    if max >= INFINITE || scale < f32::MIN_POSITIVE {
        q.fill(T::default());
        return if max >= INFINITE { f32::NAN } else { 0.0 };
    }
    let inverse = 1.0 / scale;
    for (q, x) in q.iter_mut().zip(x) {
        *q = cut((x * inverse + ROUNDER).to_bits());
    }
    scale
}

/// A block of 32 values of `COLS` rows.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct Block32<T: ActStep, const COLS: usize> {
    /// The bytes `q`, four at a time.
    pub(crate) steps: [[T; COLS]; STEPS],
    /// Σq as [`DotForm::add_sum`] makes it.
    pub(crate) sum: [Bytes16; COLS],
    /// −a.
    pub(crate) scale: [Bytes16; COLS],
    /// a · Σq, for formats with minimums; of arrangements for signed bytes, which have none, it means nothing.
    pub(crate) total: [Bytes16; COLS],
}

/// A block of 32 values of one row for signed weights, without the repetition that some of their arrangements have.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct Lanes32<D: SignedDotForm> {
    pub(crate) steps: [Lanes; STEPS],
    /// As in [`Block32`], which this is made from.
    pub(crate) sum: Bytes16,
    pub(crate) scale: Bytes16,
    arrangement: PhantomData<D>,
}

/// A super-block of 256 values of `COLS` rows.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct Block256<T: ActStep, const COLS: usize> {
    /// The bytes `q`, four at a time.
    pub(crate) steps: [[T; COLS]; SUPER_BLOCK / STEP],
    /// The same of each 16 values.
    pub(crate) sums: [[Bytes16; COLS]; SUPER_BLOCK / 16],
    /// Σq over each 32 values, two sums a lane as `i16`.
    pub(crate) pairs: [[Bytes16; COLS]; SUPER_BLOCK / 64],
    /// −a.
    pub(crate) scale: [Bytes16; COLS],
}

/// One step.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct Floats<const COLS: usize> {
    /// Four consecutive values of each row.
    pub(crate) values: [[Lane; COLS]; STEP],
}

/// A block of prepared activations.
pub(crate) trait Prepare: Pod + Send + Sync + 'static {
    /// Values of a row it holds.
    const LEN: usize;

    /// Fills in column `col` from [`Self::LEN`] values, or fewer at the end of a row of floats.
    fn set<S: Simd>(&mut self, s: S, col: usize, x: &[f32]);
}

impl<T: ActStep, const COLS: usize> Prepare for Block32<T, COLS> {
    const LEN: usize = BLOCK;

    #[inline(always)]
    fn set<S: Simd>(&mut self, s: S, col: usize, x: &[f32]) {
        let mut q = [[0; 16]; 2];
        let scale = quantize(x, q.as_flattened_mut());
        let q = q.map(|q| s.load(&q));
        for (step, to) in T::Dot::steps(s, q).into_iter().zip(&mut self.steps) {
            set_row(col, step, to);
        }
        let sum = q
            .into_iter()
            .fold(s.splat_i32(0), |sum, q| T::Dot::add_sum(s, sum, q));
        s.store(sum, &mut self.sum[col]);
        let total = s.mul_f32(s.to_f32(widen_pairs(s, sum)), s.splat_f32(scale));
        s.store(total, &mut self.total[col]);
        s.store(s.splat_f32(-scale), &mut self.scale[col]);
    }
}

impl<D: SignedDotForm> Prepare for Lanes32<D> {
    const LEN: usize = BLOCK;

    #[inline(always)]
    fn set<S: Simd>(&mut self, s: S, col: usize, x: &[f32]) {
        let mut block = Block32::<D::Step, 1>::new_zeroed();
        block.set(s, col, x);
        self.steps = block.steps.map(|[step]| D::lanes(&step));
        [self.sum] = block.sum;
        [self.scale] = block.scale;
    }
}

impl<T: ActStep, const COLS: usize> Prepare for Block256<T, COLS> {
    const LEN: usize = SUPER_BLOCK;

    #[inline(always)]
    fn set<S: Simd>(&mut self, s: S, col: usize, x: &[f32]) {
        let mut q = [[0; 16]; SUPER_BLOCK / 16];
        let scale = quantize(x, q.as_flattened_mut());
        let mut sums = [s.splat_i32(0); SUPER_BLOCK / 16];
        for ((q, sum), to) in q.iter().zip(&mut sums).zip(&mut self.sums) {
            let accumulator = T::Dot::add_sum(s, s.splat_i32(0), s.load(q));
            s.store(accumulator, &mut to[col]);
            *sum = widen_pairs(s, accumulator);
        }
        let blocks = self.steps.as_chunks_mut::<STEPS>().0;
        for (q, to) in q.as_chunks::<2>().0.iter().zip(blocks) {
            let q = q.each_ref().map(|q| s.load(q));
            for (step, to) in T::Dot::steps(s, q).into_iter().zip(to) {
                set_row(col, step, to);
            }
        }
        for (sums, to) in sums.as_chunks::<4>().0.iter().zip(&mut self.pairs) {
            let even = s.add_i32(sums[0], sums[1]);
            let odd = s.add_i32(sums[2], sums[3]);
            let pair = s.or(s.and(even, s.splat_i32(0xffff)), s.shl_i32::<16>(odd));
            s.store(pair, &mut to[col]);
        }
        s.store(s.splat_f32(-scale), &mut self.scale[col]);
    }
}

impl<const COLS: usize> Prepare for Floats<COLS> {
    const LEN: usize = STEP;

    #[inline(always)]
    fn set<S: Simd>(&mut self, _: S, col: usize, x: &[f32]) {
        for (k, to) in self.values.iter_mut().enumerate() {
            let value = x.get(k).copied().unwrap_or(0.0);
            to[col] = value.to_le_bytes();
        }
    }
}
