//! Matrix–matrix products: bound by multiplications, so weights are unpacked once for many rows of activations.
//!
//! A panel of eight rows of weights is unpacked to a byte per weight, some columns at a time so that it stays in
//! the first-level cache, and multiplied with tiles of four rows of activations. Activations are taken in chunks
//! that stay in the second-level cache while all panels pass.

use std::marker::PhantomData;
use std::ops::Range;

use zerocopy::FromZeros;

use crate::Activations;
use crate::decode::store;
use crate::isa::{Simd, Task};
use crate::layout::{GROUP, Layout, PANEL, Sums};
use crate::prepared::TILE;

/// Rows of weights in a panel.
pub(crate) const PANEL_ROWS: usize = PANEL * GROUP;

/// Tiles of activations in a chunk.
const CHUNK: usize = 8;

/// Bytes of a panel that are unpacked at a time.
const PANEL_BYTES: usize = 12 * 1024;

/// Products of some rows of weights with all rows of `acts`.
pub(crate) struct MatMul<'a, 'out, L: Layout> {
    /// Blocks of the whole matrix.
    pub(crate) blocks: &'a [L::Block],
    pub(crate) per_group: usize,
    pub(crate) acts: &'a Activations,
    /// The row groups to multiply; the first is even.
    pub(crate) groups: Range<usize>,
    /// For each row of activations, the outputs of these groups (the last may have fewer than four).
    pub(crate) out: Vec<&'out mut [f32]>,
    pub(crate) layout: PhantomData<L>,
}

impl<L: Layout> Task for MatMul<'_, '_, L> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let acts = self.acts.prepared::<L::Acts<S, TILE>>();
        let at_a_time = (PANEL_BYTES / size_of::<L::Panel>()).clamp(1, self.per_group);
        let mut panels = vec![L::Panel::new_zeroed(); at_a_time];
        for (outs, tiles) in self
            .out
            .chunks_mut(TILE * CHUNK)
            .zip(acts.chunks(self.per_group * CHUNK))
        {
            for first in self.groups.clone().step_by(PANEL) {
                // The last panel may have one group only; the other half is computed twice and not stored.
                let second = (first + 1).min(self.groups.end - 1);
                let mut sums = [Sums::default(); CHUNK];
                for start in (0..self.per_group).step_by(at_a_time) {
                    let end = self.per_group.min(start + at_a_time);
                    let panels = &mut panels[..end - start];
                    for (i, panel) in panels.iter_mut().enumerate() {
                        let block = |group: usize| &self.blocks[group * self.per_group + start + i];
                        L::panel(s, [block(first), block(second)], panel);
                    }
                    for (tile, sums) in tiles.chunks_exact(self.per_group).zip(&mut sums) {
                        L::tile(s, panels, &tile[start..end], sums);
                    }
                }
                let row = (first - self.groups.start) * GROUP;
                for (outs, sums) in outs.chunks_mut(TILE).zip(&sums) {
                    for (col, out) in outs.iter_mut().enumerate() {
                        for (half, sums) in sums.0.iter().enumerate() {
                            let at = out.len().min(row + half * GROUP);
                            store(s, s.load(&sums[col]), &mut out[at..]);
                        }
                    }
                }
            }
        }
    }
}
