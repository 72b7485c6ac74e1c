//! The tile of the block formats: two vectors of weights × four rows of activations.

use std::hint::black_box;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{PANEL, Sums};
use crate::dot::{DotForm, PartOf, Step, parts};
use crate::isa::{Bytes16, Simd};
use crate::prepared::{Block32, STEPS, TILE};

/// Eight rows × 32 columns, in the steps of the activations.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct Panel32<T: Step, const MIN: usize> {
    pub(super) steps: [[T; PANEL]; STEPS],
    pub(super) scales: [Bytes16; PANEL],
    pub(super) mins: [[Bytes16; PANEL]; MIN],
}

/// The accumulators of a tile, decreased by one part of a step of weights and activations.
#[inline(always)]
pub(crate) fn tile_step<S: Simd, D: DotForm>(
    s: S,
    acc: &mut [[S::V; TILE]; PANEL],
    weights: &[Bytes16; PANEL],
    acts: &[PartOf<D>; TILE],
) {
    let [w0, w1] = [s.load(&weights[0]), s.load(&weights[1])];
    for (col, x) in acts.iter().enumerate() {
        acc[0][col] = D::sub_part(s, acc[0][col], w0, x);
        acc[1][col] = D::sub_part(s, acc[1][col], w1, x);
    }
}

/// `sums += panels · acts`. `start` makes an accumulator of a column's sum of activations, `finish` widens it.
#[inline(always)]
pub(super) fn tile32<S: Simd, D: DotForm, const MIN: usize>(
    s: S,
    panels: &[Panel32<D::Weights, MIN>],
    acts: &[Block32<D::Step, TILE>],
    sums: &mut Sums,
    start: impl Fn(&Bytes16) -> S::V,
    finish: impl Fn(S::V, &Bytes16) -> S::V,
) {
    // Opaque, so that the loop over the steps is not unrolled: that would need more registers than there are.
    let steps = black_box(STEPS * D::Step::PARTS);
    for (panel, acts) in panels.iter().zip(acts) {
        let first = [0, 1, 2, 3].map(|col| start(&acts.sum[col]));
        let mut acc = [first, first];
        for (w, x) in parts(&panel.steps)
            .iter()
            .zip(parts(&acts.steps))
            .take(steps)
        {
            tile_step::<S, D>(s, &mut acc, w, x);
        }
        for (half, acc) in acc.into_iter().enumerate() {
            for (col, acc) in acc.into_iter().enumerate() {
                let dot = s.to_f32(finish(acc, &acts.sum[col]));
                let scale = s.mul_f32(s.load(&panel.scales[half]), s.load(&acts.scale[col]));
                let mut sum = s.add_f32(s.load(&sums.0[half][col]), s.mul_f32(dot, scale));
                if let Some(mins) = panel.mins.first() {
                    let min = s.mul_f32(s.load(&mins[half]), s.load(&acts.total[col]));
                    sum = s.add_f32(sum, min);
                }
                s.store(sum, &mut sums.0[half][col]);
            }
        }
    }
}
