//! Attention of the queries that share one key–value head.

use super::Cached;
use super::tile::{self, PANELS, Sums, TILE};
use crate::kv::{BLOCK, BlockAt, LANES, MAX_HEAD_LENGTH};
use crate::softmax;
use crate::sum::Partial;

/// Rows that go through a block together.
const ROWS: usize = 32;

/// One key–value head of one sequence, and where the rows that attend to it lie.
///
/// Row r is query head r mod `group` of token r / `group`.
pub(super) struct Head<'a> {
    pub(super) cached: &'a Cached<'a>,
    /// The sequence's pages.
    pub(super) table: &'a [u32],
    pub(super) layer: usize,
    pub(super) kv_head: usize,
    /// Query heads that share the key–value head.
    pub(super) group: usize,
    pub(super) queries: &'a [f32],
    /// Floats from one token's queries to the next's.
    pub(super) query_stride: usize,
    /// Where the group begins in a token's queries.
    pub(super) query_start: usize,
    pub(super) scale: f32,
    /// The first token's position in the sequence.
    pub(super) position: usize,
    pub(super) out_stride: usize,
    pub(super) out_start: usize,
}

/// The state of up to [`ROWS`] rows.
struct Rows {
    first: usize,
    count: usize,
    /// Scores of one block, then their exponentials.
    weights: [[f32; BLOCK]; ROWS],
    /// The largest score so far.
    max: [f32; ROWS],
    /// The sum of exponentials so far, relative to `max`.
    sum: [f32; ROWS],
}

impl Head<'_> {
    /// Computes all rows of `tokens` tokens; `out` has room for them at the strides given.
    #[inline(always)]
    pub(super) fn run(&self, tokens: usize, out: &mut [f32]) {
        let total = tokens * self.group;
        // Both kinds of panels fit: [key_length][LANES] and [BLOCK][LANES].
        let mut scratch = [0.0; PANELS * MAX_HEAD_LENGTH * LANES];
        let mut rows = Rows {
            first: 0,
            count: 0,
            weights: [[0.0; BLOCK]; ROWS],
            max: [f32::NEG_INFINITY; ROWS],
            sum: [0.0; ROWS],
        };
        for first in (0..total).step_by(ROWS) {
            rows.first = first;
            rows.count = ROWS.min(total - first);
            rows.max.fill(f32::NEG_INFINITY);
            rows.sum.fill(0.0);
            for row in first..first + rows.count {
                self.out(row, out).fill(0.0);
            }
            let visible = self.visible(first + rows.count - 1);
            for block in 0..visible.div_ceil(BLOCK) {
                self.score(&mut rows, block, &mut scratch);
                self.normalize(&mut rows, block, out);
                self.accumulate(&rows, block, visible, &mut scratch, out);
            }
            for (row, sum) in (first..first + rows.count).zip(rows.sum) {
                let scale = 1.0 / sum;
                self.out(row, out).iter_mut().for_each(|x| *x *= scale);
            }
        }
    }

    /// Tokens that a row sees: all up to its own.
    #[inline(always)]
    fn visible(&self, row: usize) -> usize {
        self.position + row / self.group + 1
    }

    #[inline(always)]
    fn query(&self, row: usize) -> &[f32] {
        let length = self.cached.layout.key_length();
        let start =
            row / self.group * self.query_stride + self.query_start + row % self.group * length;
        &self.queries[start..][..length]
    }

    #[inline(always)]
    fn out<'o>(&self, row: usize, out: &'o mut [f32]) -> &'o mut [f32] {
        let length = self.cached.layout.value_length();
        let start = row / self.group * self.out_stride + self.out_start + row % self.group * length;
        &mut out[start..][..length]
    }

    /// Which page a block is in, and where.
    #[inline(always)]
    fn page(&self, block: usize) -> (&crate::kv::Page, BlockAt) {
        let blocks_per_page = self.cached.layout.page_tokens() / BLOCK;
        let page = &self.cached.pages[self.table[block / blocks_per_page] as usize];
        (
            page,
            BlockAt {
                layer: self.layer,
                block: block % blocks_per_page,
                head: self.kv_head,
            },
        )
    }

    /// `weights = queries · keysᵀ`
    #[inline(always)]
    fn score(&self, rows: &mut Rows, block: usize, scratch: &mut [f32]) {
        let layout = self.cached.layout;
        let (page, at) = self.page(block);
        for first in (0..BLOCK / LANES).step_by(PANELS) {
            let keys = page.key_panels(layout, at, first, PANELS, scratch);
            let panels = tile::panels(keys, layout.key_length() * LANES, layout.key_length());
            for tile in (0..rows.count).step_by(TILE) {
                let count = TILE.min(rows.count - tile);
                let queries =
                    std::array::from_fn(|i| self.query(rows.first + tile + i.min(count - 1)));
                let mut sums = Sums::default();
                tile::multiply_add(count, queries, &panels, &mut sums);
                for (panel, sums) in (first..).zip(&sums) {
                    for (row, sums) in rows.weights[tile..tile + count].iter_mut().zip(sums) {
                        row[panel * LANES..][..LANES].copy_from_slice(sums);
                    }
                }
            }
        }
    }

    /// Turns scores into exponentials relative to the running maximum, and corrects what was summed before.
    #[inline(always)]
    fn normalize(&self, rows: &mut Rows, block: usize, out: &mut [f32]) {
        for i in 0..rows.count {
            let row = rows.first + i;
            let weights = &mut rows.weights[i];
            let seen = self.visible(row).saturating_sub(block * BLOCK).min(BLOCK);
            for weight in weights.iter_mut() {
                *weight *= self.scale;
            }
            weights[seen..].fill(f32::NEG_INFINITY);
            let max = softmax::max(weights).max(rows.max[i]);
            let correction = softmax::exp(rows.max[i] - max);
            for weight in weights.iter_mut() {
                *weight = softmax::exp(*weight - max);
            }
            let mut sum = Partial::default();
            sum.add(weights, |weight| weight);
            rows.sum[i] = rows.sum[i] * correction + sum.total();
            rows.max[i] = max;
            if correction != 1.0 {
                self.out(row, out).iter_mut().for_each(|x| *x *= correction);
            }
        }
    }

    /// `out += weights · values`
    #[inline(always)]
    fn accumulate(
        &self,
        rows: &Rows,
        block: usize,
        visible: usize,
        scratch: &mut [f32],
        out: &mut [f32],
    ) {
        let layout = self.cached.layout;
        let (page, at) = self.page(block);
        let tokens = BLOCK.min(visible - block * BLOCK);
        let panel_count = layout.value_length() / LANES;
        for first in (0..panel_count).step_by(PANELS) {
            let count = PANELS.min(panel_count - first);
            let values = page.value_panels(layout, at, first, count, scratch);
            let panels = tile::panels(values, BLOCK * LANES, tokens);
            let channels = first * LANES..(first + count) * LANES;
            for tile in (0..rows.count).step_by(TILE) {
                let row_count = TILE.min(rows.count - tile);
                let weights =
                    std::array::from_fn(|i| &rows.weights[tile + i.min(row_count - 1)][..tokens]);
                let mut sums = Sums::default();
                for i in 0..row_count {
                    let out = &self.out(rows.first + tile + i, out)[channels.clone()];
                    for (sums, out) in sums.iter_mut().zip(out.chunks_exact(LANES)) {
                        sums[i].copy_from_slice(out);
                    }
                }
                tile::multiply_add(row_count, weights, &panels[..count], &mut sums);
                for i in 0..row_count {
                    let out = &mut self.out(rows.first + tile + i, out)[channels.clone()];
                    for (sums, out) in sums.iter().zip(out.chunks_exact_mut(LANES)) {
                        out.copy_from_slice(&sums[i]);
                    }
                }
            }
        }
    }
}
