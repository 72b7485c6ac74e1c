//! How attention is cut into pieces of work.

use std::ops::Range;

use super::partial::partial_length;
use super::{Queries, SPLIT, Span};
use crate::kv::KvLayout;

/// Tokens that are one piece of work: enough for a block to be worth loading, few enough to share among threads.
const TOKENS_PER_ITEM: usize = 16;

/// Spans of up to so many tokens are shared among threads by heads and splits: one piece of all heads would leave threads idle.
const FEW_TOKENS: usize = 4;

/// A piece of work.
pub(super) struct Item<'a> {
    pub(super) span: Span,
    /// The first token's row in all queries.
    pub(super) row: usize,
    /// The first token, counted from the start of the span.
    pub(super) token: usize,
    pub(super) tokens: usize,
    pub(super) kv_heads: Range<usize>,
    pub(super) target: Target<'a>,
}

/// What is computed.
pub(super) enum Target<'a> {
    /// All that the tokens see: `[tokens, heads, value_length]`.
    Whole { out: &'a mut [f32] },
    /// One split of it, of one head: `[tokens, group]` partial results.
    Split {
        number: usize,
        partial: &'a mut [f32],
    },
}

impl Span {
    /// Whether it is shared among threads by heads and splits.
    pub(super) fn is_split(&self) -> bool {
        self.rows <= FEW_TOKENS
    }

    /// The splits that its rows see.
    pub(super) fn splits(&self, queries: &Queries) -> Range<usize> {
        let first = (self.start + 1).saturating_sub(queries.window.unwrap_or(usize::MAX));
        first / SPLIT..(self.start + self.rows).div_ceil(SPLIT)
    }

    /// Floats of its partial results.
    pub(super) fn partial_floats(&self, queries: &Queries, layout: &KvLayout) -> usize {
        self.splits(queries).len()
            * self.rows
            * queries.heads
            * partial_length(layout.value_length())
    }
}

/// Floats of the partial results of all `spans` that are shared by splits.
pub(super) fn partial_floats(spans: &[Span], queries: &Queries, layout: &KvLayout) -> usize {
    let split = spans.iter().filter(|span| span.is_split());
    split.map(|span| span.partial_floats(queries, layout)).sum()
}

/// Cuts `out`, or for short spans the partial results, into items, in order.
pub(super) struct Items<'a> {
    spans: &'a [Span],
    /// Tokens of the first of `spans` that are done.
    done: usize,
    row: usize,
    /// Pieces of the first of `spans` that are done, where it is shared by heads and splits.
    pieces: usize,
    queries: &'a Queries<'a>,
    layout: &'a KvLayout,
    partials: &'a mut [f32],
    out: &'a mut [f32],
}

impl<'a> Items<'a> {
    pub(super) fn new(
        spans: &'a [Span],
        queries: &'a Queries<'a>,
        layout: &'a KvLayout,
        partials: &'a mut [f32],
        out: &'a mut [f32],
    ) -> Self {
        Self {
            spans,
            done: 0,
            row: 0,
            pieces: 0,
            queries,
            layout,
            partials,
            out,
        }
    }

    fn next_split(&mut self, span: Span) -> Item<'a> {
        let splits = span.splits(self.queries);
        let kv_heads = self.layout.kv_heads();
        let pieces = kv_heads * splits.len();
        let floats = span.partial_floats(self.queries, self.layout) / pieces;
        let head = self.pieces / splits.len();
        let item = Item {
            span,
            row: self.row,
            token: 0,
            tokens: span.rows,
            kv_heads: head..head + 1,
            target: Target::Split {
                number: splits.start + self.pieces % splits.len(),
                partial: take(&mut self.partials, floats),
            },
        };
        self.pieces += 1;
        if self.pieces == pieces {
            self.pieces = 0;
            self.done = span.rows;
            self.row += span.rows;
            take(
                &mut self.out,
                span.rows * self.queries.heads * self.layout.value_length(),
            );
        }
        item
    }

    fn next_whole(&mut self, span: Span) -> Item<'a> {
        let tokens = TOKENS_PER_ITEM.min(span.rows - self.done);
        let length = tokens * self.queries.heads * self.layout.value_length();
        let item = Item {
            span,
            row: self.row,
            token: self.done,
            tokens,
            kv_heads: 0..self.layout.kv_heads(),
            target: Target::Whole {
                out: take(&mut self.out, length),
            },
        };
        self.done += tokens;
        self.row += tokens;
        item
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Item<'a>;

    fn next(&mut self) -> Option<Item<'a>> {
        while self
            .spans
            .first()
            .is_some_and(|span| span.rows == self.done)
        {
            self.spans = &self.spans[1..];
            self.done = 0;
        }
        let &span = self.spans.first()?;
        Some(if span.is_split() {
            self.next_split(span)
        } else {
            self.next_whole(span)
        })
    }
}

/// The first `count` floats, which are taken away.
fn take<'a>(floats: &mut &'a mut [f32], count: usize) -> &'a mut [f32] {
    let (taken, rest) = std::mem::take(floats).split_at_mut(count);
    *floats = rest;
    taken
}
