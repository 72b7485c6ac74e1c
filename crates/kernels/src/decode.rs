//! Matrix–vector products: bound by how fast weights arrive from memory.
//!
//! Where it helps, two row groups far apart are multiplied together, a block of each in turn: the hardware prefetcher follows
//! both streams, which brings more bytes per second than one.

use std::hint::black_box;
use std::marker::PhantomData;

use crate::Activations;
use crate::isa::{Simd, Task};
use crate::layout::{GROUP, Layout};

/// Products of consecutive row groups with the one row of `acts`.
pub(crate) struct MatVec<'a, L: Layout> {
    pub(crate) blocks: &'a [L::Block],
    pub(crate) per_group: usize,
    pub(crate) acts: &'a Activations,
    /// One value per row; the last group may have fewer than four.
    pub(crate) out: &'a mut [f32],
    pub(crate) layout: PhantomData<L>,
}

impl<L: Layout> Task for MatVec<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let s = s.hold_constants();
        let acts = self.acts.prepared::<L::Row<S>>();
        let group = |g: usize| &self.blocks[g * self.per_group..][..self.per_group];
        let groups = self.out.len().div_ceil(GROUP);
        let apart = if L::TWO_STREAMS { groups / 2 } else { 0 };
        for first in 0..apart {
            let at = [first, first + apart];
            let sums = L::dot_groups(s, at.map(group), acts);
            for (g, sum) in at.into_iter().zip(sums) {
                store(s, sum, &mut self.out[g * GROUP..]);
            }
        }
        for g in 2 * apart..groups {
            let [sum] = L::dot_groups(s, [group(g)], acts);
            store(s, sum, &mut self.out[g * GROUP..]);
        }
    }
}

/// The products of `N` row groups, a block of each in turn.
#[inline(always)]
pub(crate) fn dot_in_turn<S: Simd, L: Layout, const N: usize>(
    s: S,
    groups: [&[L::Block]; N],
    acts: &[L::Row<S>],
) -> [S::V; N] {
    let len = acts.len();
    let groups = groups.map(|blocks| &blocks[..len]);
    // Opaque, so that each stream loads its activations: shared, they would have to be kept in registers, of which
    // there are too few.
    let acts = black_box([acts; N]).map(|acts| &acts[..len]);
    let mut sums = [s.splat_f32(0.0); N];
    for i in 0..len {
        for n in 0..N {
            sums[n] = L::dot(s, &groups[n][i], &acts[n][i], sums[n]);
        }
    }
    sums
}

/// The products of `N` row groups, of which `dot` adds a block each at a time to the sums: what it loads of the activations is
/// for all of them.
#[inline(always)]
pub(crate) fn dot_side_by_side<S: Simd, B, R, const N: usize>(
    s: S,
    groups: [&[B]; N],
    acts: &[R],
    dot: impl Fn([&B; N], &R, [S::V; N]) -> [S::V; N],
) -> [S::V; N] {
    let groups = groups.map(|blocks| &blocks[..acts.len()]);
    let sums = [s.splat_f32(0.0); N];
    acts.iter().enumerate().fold(sums, |sums, (i, acts)| {
        dot(groups.map(|blocks| &blocks[i]), acts, sums)
    })
}

/// Stores the values of four rows, or of those that `out` still has.
#[inline(always)]
pub(crate) fn store<S: Simd>(s: S, v: S::V, out: &mut [f32]) {
    let mut bytes = [0; 16];
    s.store(v, &mut bytes);
    for (out, value) in out.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *out = f32::from_le_bytes(*value);
    }
}
