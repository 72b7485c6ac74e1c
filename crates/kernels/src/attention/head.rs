//! Attention of the queries that share one key–value head.

use std::ops::Range;

use super::partial::{State, partial_length, write};
use super::rows::{ROWS, Rows, Scoring};
use super::{Cached, SPLIT};
use crate::isa::Simd;
use crate::kv::{BLOCK, BlockAt, Page, StoredBlock};

/// One key–value head of one sequence, and the tokens whose queries attend to it.
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
    pub(super) tokens: usize,
}

impl Head<'_> {
    /// Computes all rows: `out` is `[tokens, heads, value_length]`, of which the rows of this head are written.
    #[inline(always)]
    pub(super) fn whole<S: Simd>(&self, s: S, rows: &mut Rows, out: &mut [f32]) {
        let length = self.cached.layout.value_length();
        let kv_heads = self.cached.layout.kv_heads();
        for range in self.row_ranges() {
            self.take_rows(rows, range.clone());
            let seen = rows.seen();
            let mut states = [State::NONE; ROWS];
            let place = |row: usize| {
                let (token, head) = (
                    (range.start + row) / self.group,
                    (range.start + row) % self.group,
                );
                let start = ((token * kv_heads + self.kv_head) * self.group + head) * length;
                start..start + length
            };
            for split in seen.start / SPLIT..seen.end.div_ceil(SPLIT) {
                self.sum_split(s, rows, split);
                for (row, state) in states[..rows.count()].iter_mut().enumerate() {
                    state.join(&mut out[place(row)], rows.state(row), rows.sums(row));
                }
            }
            for (row, state) in states[..rows.count()].iter().enumerate() {
                state.finish(&mut out[place(row)]);
            }
        }
    }

    /// Computes all rows in one split: `[tokens, group]` partial results.
    #[inline(always)]
    pub(super) fn split<S: Simd>(
        &self,
        s: S,
        rows: &mut Rows,
        number: usize,
        partials: &mut [f32],
    ) {
        let length = partial_length(self.cached.layout.value_length());
        for range in self.row_ranges() {
            self.take_rows(rows, range.clone());
            self.sum_split(s, rows, number);
            let partials = partials.chunks_exact_mut(length).skip(range.start);
            for (row, partial) in (0..rows.count()).zip(partials) {
                write(partial, rows.state(row), rows.sums(row));
            }
        }
    }

    /// Rows that go through blocks together.
    #[inline(always)]
    fn row_ranges(&self) -> impl Iterator<Item = Range<usize>> {
        let total = self.tokens * self.group;
        (0..total)
            .step_by(ROWS)
            .map(move |first| first..total.min(first + ROWS))
    }

    /// Begins with the rows in `range`.
    #[inline(always)]
    fn take_rows(&self, rows: &mut Rows, range: Range<usize>) {
        let layout = self.cached.layout;
        rows.clear(layout);
        for row in range {
            let (token, head) = (row / self.group, row % self.group);
            let start = token * self.query_stride + self.query_start + head * layout.key_length();
            let visible = self.position + token + 1;
            rows.push(
                &self.queries[start..][..layout.key_length()],
                visible.saturating_sub(self.window)..visible.max(self.sees_up_to),
            );
        }
    }

    /// Sums what the rows see of a split.
    #[inline(always)]
    fn sum_split<S: Simd>(&self, s: S, rows: &mut Rows, split: usize) {
        rows.begin_split();
        let seen = rows.seen();
        let first = seen.start.max(split * SPLIT) / BLOCK;
        let end = seen.end.min((split + 1) * SPLIT).div_ceil(BLOCK);
        for block in first..end {
            self.touch(s, block);
        }
        for block in first..end {
            let visible = BLOCK.min(seen.end - block * BLOCK);
            rows.take_in(s, self.block(block), block * BLOCK, visible, &self.scoring);
        }
    }

    #[inline(always)]
    fn block(&self, block: usize) -> StoredBlock<'_> {
        let (page, at) = self.place(block);
        page.block(self.cached.layout, at)
    }

    #[inline(always)]
    fn touch<S: Simd>(&self, s: S, block: usize) {
        let (page, at) = self.place(block);
        page.touch(s, self.cached.layout, at);
    }

    /// The page that a block is in, and where.
    #[inline(always)]
    fn place(&self, block: usize) -> (&Page, BlockAt) {
        let blocks_per_page = self.cached.layout.page_tokens() / BLOCK;
        let page = &self.cached.pages[self.table[block / blocks_per_page] as usize];
        let at = BlockAt {
            layer: self.layer,
            block: block % blocks_per_page,
            head: self.kv_head,
        };
        (page, at)
    }
}
