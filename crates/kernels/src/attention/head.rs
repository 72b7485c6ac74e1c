//! Attention of the queries that share one key–value head.

use super::Cached;
use super::rows::{ROWS, Rows, Scoring};
use super::tile::{self, PANELS, Sums, TILE};
use crate::isa::Simd;
use crate::kv::{BLOCK, BlockAt, LANES, MAX_HEAD_LENGTH, Page};

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
    pub(super) scoring: Scoring,
    /// Tokens that each row sees, itself included.
    pub(super) window: usize,
    /// The first token's position in the sequence.
    pub(super) position: usize,
    /// Each row sees the tokens up to here, even those after it.
    pub(super) sees_up_to: usize,
    pub(super) out_stride: usize,
    pub(super) out_start: usize,
}

impl Head<'_> {
    /// Computes all rows of `tokens` tokens; `out` has room for them at the strides given.
    #[inline(always)]
    pub(super) fn run<S: Simd>(&self, s: S, tokens: usize, out: &mut [f32]) {
        let total = tokens * self.group;
        // Both kinds of panels fit: [key_length][LANES] and [BLOCK][LANES].
        let mut scratch = [0.0; PANELS * MAX_HEAD_LENGTH * LANES];
        let mut rows = Rows::new(self.cached.layout.key_length());
        for first in (0..total).step_by(ROWS) {
            self.take_rows(&mut rows, first..total.min(first + ROWS));
            for row in 0..rows.count {
                self.out(&rows, row, out).fill(0.0);
            }
            let visible = rows.visible[rows.count - 1];
            for block in rows.hidden[0] / BLOCK..visible.div_ceil(BLOCK) {
                self.score(s, &mut rows, block, &mut scratch);
                for row in 0..rows.count {
                    let correction = rows.weigh(row, block * BLOCK, &self.scoring);
                    if correction != 1.0 {
                        self.out(&rows, row, out)
                            .iter_mut()
                            .for_each(|x| *x *= correction);
                    }
                }
                self.accumulate(s, &rows, block, visible, &mut scratch, out);
            }
            for row in 0..rows.count {
                let scale = 1.0 / rows.sum[row];
                self.out(&rows, row, out)
                    .iter_mut()
                    .for_each(|x| *x *= scale);
            }
        }
    }

    /// Begins with the rows in `range`.
    #[inline(always)]
    fn take_rows(&self, rows: &mut Rows, range: std::ops::Range<usize>) {
        let layout = self.cached.layout;
        rows.clear();
        for row in range {
            let (token, head) = (row / self.group, row % self.group);
            let start = token * self.query_stride + self.query_start + head * layout.key_length();
            let visible = self.position + token + 1;
            rows.push(
                &self.queries[start..][..layout.key_length()],
                visible.saturating_sub(self.window)..visible.max(self.sees_up_to),
                token * self.out_stride + self.out_start + head * layout.value_length(),
            );
        }
    }

    #[inline(always)]
    fn out<'o>(&self, rows: &Rows, row: usize, out: &'o mut [f32]) -> &'o mut [f32] {
        &mut out[rows.out_start[row]..][..self.cached.layout.value_length()]
    }

    /// Which page a block is in, and where.
    #[inline(always)]
    fn page(&self, block: usize) -> (&Page, BlockAt) {
        let blocks_per_page = self.cached.layout.page_tokens() / BLOCK;
        let page = &self.cached.pages[self.table[block / blocks_per_page] as usize];
        let at = BlockAt {
            layer: self.layer,
            block: block % blocks_per_page,
            head: self.kv_head,
        };
        (page, at)
    }

    /// `scores = queries · keysᵀ`
    #[inline(always)]
    fn score<S: Simd>(&self, s: S, rows: &mut Rows, block: usize, scratch: &mut [f32]) {
        let layout = self.cached.layout;
        let (page, at) = self.page(block);
        if let Some(stored) = page.stored_keys(layout, at).filter(|_| rows.are_few()) {
            return rows.score_few(s, stored);
        }
        for first in (0..BLOCK / LANES).step_by(PANELS) {
            let keys = page.key_panels(s, layout, at, first, PANELS, scratch);
            let panels = tile::panels(keys, layout.key_length() * LANES, layout.key_length());
            for tile in 0..rows.count.div_ceil(TILE) {
                let mut sums = Sums::default();
                tile::multiply_add(rows.in_tile(tile), rows.queries(tile), &panels, &mut sums);
                for (panel, sums) in (first..).zip(&sums) {
                    for (row, sums) in sums[..rows.in_tile(tile)].iter().enumerate() {
                        rows.scores[tile * TILE + row][panel * LANES..][..LANES]
                            .copy_from_slice(sums);
                    }
                }
            }
        }
    }

    /// `out += weights · values`
    #[inline(always)]
    fn accumulate<S: Simd>(
        &self,
        s: S,
        rows: &Rows,
        block: usize,
        visible: usize,
        scratch: &mut [f32],
        out: &mut [f32],
    ) {
        let layout = self.cached.layout;
        let (page, at) = self.page(block);
        let tokens = BLOCK.min(visible - block * BLOCK);
        if let Some(stored) = page.stored_values(layout, at).filter(|_| rows.are_few()) {
            return rows.accumulate_few(s, stored, tokens, out);
        }
        let panel_count = layout.value_length() / LANES;
        for first in (0..panel_count).step_by(PANELS) {
            let count = PANELS.min(panel_count - first);
            let values = page.value_panels(s, layout, at, first, count, scratch);
            let panels = tile::panels(values, BLOCK * LANES, tokens);
            for tile in 0..rows.count.div_ceil(TILE) {
                let starts = &rows.out_start[tile * TILE..][..rows.in_tile(tile)];
                let mut sums = Sums::default();
                for (panel, sums) in (first..first + count).zip(&mut sums) {
                    for (&start, sums) in starts.iter().zip(sums) {
                        sums.copy_from_slice(&out[start + panel * LANES..][..LANES]);
                    }
                }
                tile::multiply_add(
                    starts.len(),
                    rows.weights(tile),
                    &panels[..count],
                    &mut sums,
                );
                for (panel, sums) in (first..first + count).zip(&sums) {
                    for (&start, sums) in starts.iter().zip(sums) {
                        out[start + panel * LANES..][..LANES].copy_from_slice(sums);
                    }
                }
            }
        }
    }
}
