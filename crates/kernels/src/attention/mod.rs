//! Attention over a paged key–value cache, in blocks with an online softmax.
//!
//! For each query q of a head, with the keys k and values v of all tokens it may see:
//! `out = Σ softmax(q · k · scale) v`. The cache is read block by block; a running maximum m, sum l and weighted sum of
//! values o are corrected when the maximum grows, so that no row of scores is ever longer than a block
//! (Milakov and Gimelshein, arXiv:1805.02867; Dao et al., *FlashAttention*, arXiv:2205.14135, algorithm 1):
//!
//! ```text
//! m' = max(m, max s)     c = e^(m − m')     p = e^(s − m')
//! l ← l c + Σ p          o ← o c + p v      m ← m'              at the end: out = o / l
//! ```
//!
//! All query heads that share a key–value head, and the tokens of a prompt chunk, are rows that go through a block
//! together, so that it is read, and converted to floats, once for all of them. What a row computes does not depend on
//! the rows beside it: blocks are always of [`crate::kv::BLOCK`] tokens from the start of the sequence, and every sum has a fixed
//! order (products: ascending, one after the other; the sum of weights: that of `crate::sum`).

mod few;
mod head;
mod rows;
mod tile;

use crate::isa::{Isa, Simd, Task};
use crate::kv::{KvLayout, Page};
use crate::pool::{Pool, for_each_item};

use rows::Scoring;

/// New tokens of one sequence, whose keys and values are already in the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Where the sequence's page table begins in [`Cached::tables`].
    pub table: usize,
    /// The first token's position in the sequence: how many tokens come before it.
    pub start: usize,
    /// How many tokens: rows of queries.
    pub rows: usize,
}

/// A key–value cache.
#[derive(Debug, Clone, Copy)]
pub struct Cached<'a> {
    /// The dimensions of its pages.
    pub layout: &'a KvLayout,
    /// All pages.
    pub pages: &'a [Page],
    /// Page tables, one after the other: numbers of pages, in the order of the tokens they hold.
    pub tables: &'a [u32],
}

/// Queries of all spans.
#[derive(Debug, Clone, Copy)]
pub struct Queries<'a> {
    /// Query heads; a multiple of the key–value heads.
    pub heads: usize,
    /// What products of queries and keys are multiplied by.
    pub scale: f32,
    /// Bounds the scaled products s by cap · tanh(s / cap), where there is one.
    pub soft_cap: Option<f32>,
    /// How many tokens each sees, itself included: the last ones. Pages that only hold earlier tokens than all rows of a
    /// span see are not looked at.
    pub window: Option<usize>,
    /// Whether tokens see none after them. Else they see all that are in the cache and in their span, and there is no
    /// window.
    pub causal: bool,
    /// `[rows of all spans, heads, key_length]`
    pub values: &'a [f32],
}

/// Tokens that are one piece of work: enough for a block to be worth loading, few enough to share among threads.
const TOKENS_PER_ITEM: usize = 16;

/// Attention in `layer` for all rows of all `spans`: `out` is `[rows of all spans, heads, value_length]`.
///
/// # Panics
/// If the lengths of `out` and the queries do not agree with the spans and the layout, or a page table is too short.
pub fn attention(
    pool: &dyn Pool,
    cached: &Cached,
    layer: usize,
    spans: &[Span],
    queries: &Queries,
    out: &mut [f32],
) {
    attention_with(Isa::best(), pool, cached, layer, spans, queries, out);
}

fn attention_with(
    isa: Isa,
    pool: &dyn Pool,
    cached: &Cached,
    layer: usize,
    spans: &[Span],
    queries: &Queries,
    out: &mut [f32],
) {
    let rows: usize = spans.iter().map(|span| span.rows).sum();
    let heads = queries.heads;
    assert_eq!(
        heads % cached.layout.kv_heads(),
        0,
        "each key–value head serves the same number of queries"
    );
    assert_eq!(
        queries.values.len(),
        rows * heads * cached.layout.key_length(),
        "queries are [rows, heads, key_length]"
    );
    assert_eq!(
        out.len(),
        rows * heads * cached.layout.value_length(),
        "out is [rows, heads, value_length]"
    );
    let items = Items {
        spans,
        done: 0,
        row: 0,
        head: 0,
        queries,
        layout: cached.layout,
        out,
    };
    for_each_item(pool, items, &|item: Item| {
        isa.run(Attend {
            item,
            cached,
            layer,
            queries,
        });
    });
}

/// A piece of work: some tokens of a span and some key–value heads, and the place for their results.
struct Item<'a> {
    span: Span,
    /// The first token's row in all queries.
    row: usize,
    /// The first token, counted from the start of the span.
    token: usize,
    tokens: usize,
    kv_heads: std::ops::Range<usize>,
    /// `[tokens, heads that belong to kv_heads, value_length]`
    out: &'a mut [f32],
}

/// Cuts `out` into items, in order.
struct Items<'a> {
    spans: &'a [Span],
    /// Tokens of the first of `spans` that are done.
    done: usize,
    row: usize,
    /// Key–value heads of the next token that are done, where items are single heads.
    head: usize,
    queries: &'a Queries<'a>,
    layout: &'a KvLayout,
    out: &'a mut [f32],
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
        let kv_heads = self.layout.kv_heads();
        // A single token has only its heads to share among threads.
        let (tokens, heads) = if span.rows == 1 {
            (1, self.head..self.head + 1)
        } else {
            (TOKENS_PER_ITEM.min(span.rows - self.done), 0..kv_heads)
        };
        let group = self.queries.heads / kv_heads;
        let length = tokens * heads.len() * group * self.layout.value_length();
        let (out, rest) = std::mem::take(&mut self.out).split_at_mut(length);
        self.out = rest;
        let item = Item {
            span,
            row: self.row,
            token: self.done,
            tokens,
            kv_heads: heads,
            out,
        };
        self.head = item.kv_heads.end % kv_heads;
        if self.head == 0 {
            self.done += tokens;
            self.row += tokens;
        }
        Some(item)
    }
}

struct Attend<'a> {
    item: Item<'a>,
    cached: &'a Cached<'a>,
    layer: usize,
    queries: &'a Queries<'a>,
}

impl Task for Attend<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self {
            item,
            cached,
            layer,
            queries,
        } = self;
        let layout = cached.layout;
        let group = queries.heads / layout.kv_heads();
        let out_heads = item.kv_heads.len() * group;
        for kv_head in item.kv_heads.clone() {
            head::Head {
                cached,
                table: &cached.tables[item.span.table..],
                layer,
                kv_head,
                group,
                queries: &queries.values[item.row * queries.heads * layout.key_length()..],
                query_stride: queries.heads * layout.key_length(),
                query_start: kv_head * group * layout.key_length(),
                scoring: Scoring {
                    scale: queries.scale,
                    soft_cap: queries.soft_cap,
                },
                window: queries.window.unwrap_or(usize::MAX),
                position: item.span.start + item.token,
                sees_up_to: match queries.causal {
                    true => 0,
                    false => item.span.start + item.span.rows,
                },
                out_stride: out_heads * layout.value_length(),
                out_start: (kv_head - item.kv_heads.start) * group * layout.value_length(),
            }
            .run(s, item.tokens, item.out);
        }
    }
}

#[cfg(test)]
mod tests;
