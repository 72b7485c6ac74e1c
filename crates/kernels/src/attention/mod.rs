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
//! A sequence is cut into *splits* of [`SPLIT`] tokens, each of which has m, l and o of its own; they are joined in order, by the
//! same formula. So a token that is being generated can be shared among threads by key–value heads and by splits.
//!
//! All query heads that share a key–value head, and the tokens of a prompt chunk, are rows that go through a block
//! together, so that it is read, and converted to floats, once for all of them. What a row computes does not depend on
//! the rows beside it: blocks and splits begin at fixed tokens of the sequence, and every sum has a fixed order (products:
//! ascending, one after the other; the sum of weights: that of `crate::sum`).
//!
//! Keys and values that are stored as floats are multiplied as floats ([`floats`]), bytes as integers ([`integers`]).

mod floats;
mod head;
mod integers;
mod partial;
mod rows;
mod work;

use std::sync::{Mutex, PoisonError};

use crate::isa::{Isa, Simd, Task};
use crate::kv::{BLOCK, KvLayout, Page};
use crate::pool::{Pool, for_each_chunk};

use head::Head;
use rows::{Rows, Scoring};
use work::{Item, Items, Target};

/// Tokens that are summed on their own before they are joined with what came before: few enough to share a long context
/// among threads, enough for the joining not to count.
pub(crate) const SPLIT: usize = 8 * BLOCK;

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

/// Memory that attention needs while it computes, kept between calls: some 100 KB for each thread, and for each token
/// that is being generated as many floats for every [`SPLIT`] tokens before it as it has values.
#[derive(Debug, Default)]
pub struct Scratch {
    /// One for each thread.
    rows: Vec<Rows>,
    /// Splits that are still to be joined, as [`partial`] has them.
    partials: Vec<f32>,
}

impl Scratch {
    /// Bytes it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.rows.len() * Rows::bytes() + self.partials.capacity() * size_of::<f32>()
    }
}

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
    scratch: &mut Scratch,
    out: &mut [f32],
) {
    attention_with(
        Isa::best(),
        pool,
        cached,
        layer,
        spans,
        queries,
        scratch,
        out,
    );
}

/// [`attention`] with one instruction set.
///
/// # Panics
/// As [`attention`].
#[allow(
    clippy::too_many_arguments,
    reason = "those of `attention`, and the instruction set"
)]
pub fn attention_with(
    isa: Isa,
    pool: &dyn Pool,
    cached: &Cached,
    layer: usize,
    spans: &[Span],
    queries: &Queries,
    scratch: &mut Scratch,
    out: &mut [f32],
) {
    let rows: usize = spans.iter().map(|span| span.rows).sum();
    let layout = cached.layout;
    assert_eq!(
        queries.heads % layout.kv_heads(),
        0,
        "each key–value head serves the same number of queries"
    );
    assert_eq!(
        queries.values.len(),
        rows * queries.heads * layout.key_length(),
        "queries are [rows, heads, key_length]"
    );
    assert_eq!(
        out.len(),
        rows * queries.heads * layout.value_length(),
        "out is [rows, heads, value_length]"
    );
    let Scratch {
        rows: rooms,
        partials,
    } = scratch;
    let floats = work::partial_floats(spans, queries, layout);
    if partials.len() < floats {
        partials.resize(floats, 0.0);
    }
    if rooms.len() < pool.threads() {
        rooms.resize_with(pool.threads(), Rows::new);
    }
    let items = Mutex::new(Items::new(spans, queries, layout, partials, out));
    for_each_chunk(pool, &mut rooms[..pool.threads()], 1, &|_, rows| {
        for rows in rows {
            loop {
                let item = items.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some(item) = item else { break };
                isa.run(Attend {
                    item,
                    cached,
                    layer,
                    queries,
                    rows,
                });
            }
        }
    });
    partial::join_all(isa, pool, spans, queries, layout, partials, out);
}

struct Attend<'a> {
    item: Item<'a>,
    cached: &'a Cached<'a>,
    layer: usize,
    queries: &'a Queries<'a>,
    rows: &'a mut Rows,
}

impl Task for Attend<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self {
            mut item,
            cached,
            layer,
            queries,
            rows,
        } = self;
        let layout = cached.layout;
        let group = queries.heads / layout.kv_heads();
        for kv_head in item.kv_heads {
            let head = Head {
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
                tokens: item.tokens,
            };
            match &mut item.target {
                Target::Split { number, partial } => head.split(s, rows, *number, partial),
                Target::Whole { out } => head.whole(s, rows, out),
            }
        }
    }
}

#[cfg(test)]
mod tests;
