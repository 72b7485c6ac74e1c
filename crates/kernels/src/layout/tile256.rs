//! The tile of the super-block formats: as [`super::tile`], with integer scales between the inner loop and the sums.

use std::hint::black_box;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::tile::tile_step;
use super::{PANEL, Sums};
use crate::dot::{DotForm, Pod, Step, parts};
use crate::format::SUPER_BLOCK;
use crate::isa::{Bytes16, Simd};
use crate::prepared::{Block256, STEP, TILE};

/// Steps in a super-block.
const STEPS: usize = SUPER_BLOCK / STEP;

/// Eight rows × 256 columns, in the steps of the activations, with `SCALES` scales a row, and minimums or not.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct Panel256<T: Step, const SCALES: usize, M: Mins> {
    pub(super) steps: [[T; PANEL]; STEPS],
    /// As [`DotForm::scale_u8`] and [`DotForm::scale_i8`] make them.
    pub(super) scales: [[Bytes16; PANEL]; SCALES],
    pub(super) d: [Bytes16; PANEL],
    pub(super) mins: M,
}

/// The minimums of a panel.
pub(crate) trait Mins: Pod {
    /// Minimums times the sums of column `col` of the activations, and their scale: for the rows of half `half`.
    fn sum<S: Simd, D: DotForm>(
        &self,
        s: S,
        acts: &Block256<D::Step, TILE>,
        half: usize,
        col: usize,
    ) -> Option<[S::V; 2]>;
}

/// Weights that have none.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct NoMins;

impl Mins for NoMins {
    #[inline(always)]
    fn sum<S: Simd, D: DotForm>(
        &self,
        _: S,
        _: &Block256<D::Step, TILE>,
        _: usize,
        _: usize,
    ) -> Option<[S::V; 2]> {
        None
    }
}

/// Minimums of sub-blocks of 32, two a lane as `i16`.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct PairedMins {
    pub(super) mins: [[Bytes16; PANEL]; SUPER_BLOCK / 64],
    pub(super) d: [Bytes16; PANEL],
}

impl Mins for PairedMins {
    #[inline(always)]
    fn sum<S: Simd, D: DotForm>(
        &self,
        s: S,
        acts: &Block256<D::Step, TILE>,
        half: usize,
        col: usize,
    ) -> Option<[S::V; 2]> {
        let mins = self.mins.iter().zip(&acts.pairs);
        let sum = mins.fold(s.splat_i32(0), |sum, (m, a)| {
            s.add_i32(sum, s.dot_i16(s.load(&m[half]), s.load(&a[col])))
        });
        Some([sum, s.load(&self.d[half])])
    }
}

/// Minimums of sub-blocks of 16, as [`DotForm::scale_u8`] makes them.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct FineMins {
    pub(super) mins: [[Bytes16; PANEL]; SUPER_BLOCK / 16],
    pub(super) d: [Bytes16; PANEL],
}

impl Mins for FineMins {
    #[inline(always)]
    fn sum<S: Simd, D: DotForm>(
        &self,
        s: S,
        acts: &Block256<D::Step, TILE>,
        half: usize,
        col: usize,
    ) -> Option<[S::V; 2]> {
        let mins = self.mins.iter().zip(&acts.sums);
        let sum = mins.fold(s.splat_i32(0), |sum, (m, a)| {
            s.add_i32(sum, D::scaled(s, s.load(&a[col]), s.load(&m[half])))
        });
        Some([sum, s.load(&self.d[half])])
    }
}

/// `sums += panels · acts`. `start` makes an accumulator of the sum of 16 activations of a column.
#[inline(always)]
pub(super) fn tile256<S: Simd, D: DotForm, const SCALES: usize, M: Mins>(
    s: S,
    panels: &[Panel256<D::Weights, SCALES, M>],
    acts: &[Block256<D::Step, TILE>],
    sums: &mut Sums,
    start: impl Fn(&Bytes16) -> S::V,
) {
    // Opaque, so that the loop over the steps is not unrolled: that would need more registers than there are.
    let steps = black_box(STEPS / SCALES);
    for (panel, acts) in panels.iter().zip(acts) {
        let mut scaled = Sums::default();
        let weights = panel.steps.chunks_exact(steps);
        let columns = acts.steps.chunks_exact(steps);
        for (((w, x), scales), start_sums) in
            weights.zip(columns).zip(&panel.scales).zip(&acts.sums)
        {
            let first = [0, 1, 2, 3].map(|col| start(&start_sums[col]));
            let mut acc = [first, first];
            for (w, x) in parts(w).iter().zip(parts(x)) {
                tile_step::<S, D>(s, &mut acc, w, x);
            }
            for (half, acc) in acc.into_iter().enumerate() {
                let scale = s.load(&scales[half]);
                for (to, acc) in scaled.0[half].iter_mut().zip(acc) {
                    let product = D::scaled(s, acc, scale);
                    s.store(s.add_i32(s.load(to), product), to);
                }
            }
        }
        for half in 0..PANEL {
            for col in 0..TILE {
                let act_scale = s.load(&acts.scale[col]);
                let mut sum = s.load(&sums.0[half][col]);
                if let Some([min, dmin]) = panel.mins.sum::<S, D>(s, acts, half, col) {
                    let scale = s.mul_f32(dmin, act_scale);
                    sum = s.add_f32(sum, s.mul_f32(s.to_f32(min), scale));
                }
                let dot = s.to_f32(s.load(&scaled.0[half][col]));
                let scale = s.mul_f32(s.load(&panel.d[half]), act_scale);
                s.store(
                    s.add_f32(sum, s.mul_f32(dot, scale)),
                    &mut sums.0[half][col],
                );
            }
        }
    }
}
