//! Matrix–matrix products: bound by multiplications, so weights are unpacked once for many rows of activations.
//!
//! A panel of eight rows of weights is unpacked to a byte per weight, some columns at a time so that it stays in
//! the first-level cache, and multiplied with tiles of four rows of activations. Activations are taken in chunks
//! that stay in the second-level cache while all panels pass.

use std::marker::PhantomData;
use std::ops::Range;

use zerocopy::FromBytes;

use crate::Activations;
use crate::bands::Band;
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

/// Room for panels: on the stack, so that nothing is allocated, and aligned, so that no vector straddles cache lines.
#[repr(C, align(64))]
struct Panels([u8; PANEL_BYTES]);

/// Products of some rows of weights with all rows of `acts`.
pub(crate) struct MatMul<'a, L: Layout> {
    /// Blocks of the whole matrix.
    pub(crate) blocks: &'a [L::Block],
    pub(crate) per_group: usize,
    pub(crate) acts: &'a Activations,
    /// The row groups to multiply; the first is even.
    pub(crate) groups: Range<usize>,
    /// For each row of activations, the outputs of these groups (the last may have fewer than four).
    pub(crate) out: Band<'a>,
    pub(crate) layout: PhantomData<L>,
}

impl<L: Layout> Task for MatMul<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let acts = self.acts.prepared::<L::Tile<S>>();
        let panel_bytes = size_of::<L::Panel<S>>();
        let at_a_time = (PANEL_BYTES / panel_bytes).min(self.per_group);
        let mut room = Panels([0; PANEL_BYTES]);
        let panels = <[L::Panel<S>]>::mut_from_bytes(&mut room.0[..at_a_time * panel_bytes])
            .expect("panels have no alignment and fill the bytes");
        for (chunk, tiles) in acts.chunks(self.per_group * CHUNK).enumerate() {
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
                let at = (first - self.groups.start) * GROUP;
                let rows = chunk * CHUNK * TILE..self.out.rows();
                for (row, (tile, col)) in rows.zip(columns()) {
                    let out = &mut self.out.row(row)[at..];
                    for (out, sums) in out.chunks_mut(GROUP).zip(&sums[tile].0) {
                        store(s, s.load(&sums[col]), out);
                    }
                }
            }
        }
    }
}

/// Tile and place in it of each row of a chunk.
fn columns() -> impl Iterator<Item = (usize, usize)> {
    (0..CHUNK * TILE).map(|row| (row / TILE, row % TILE))
}
