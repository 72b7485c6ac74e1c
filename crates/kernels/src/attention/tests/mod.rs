//! Sequences with keys, values and queries, which are attended to by the kernels and by the formula.

mod formula;
mod sameness;

use half::f16;

use super::*;
use crate::kv::{BLOCK, KvType};
use crate::pool::Serial;
use crate::testing::Random;

#[derive(Debug, Clone, Copy)]
struct Shape {
    heads: usize,
    kv_heads: usize,
    key_length: usize,
    value_length: usize,
}

const SMOLLM2: Shape = Shape {
    heads: 9,
    kv_heads: 3,
    key_length: 64,
    value_length: 64,
};

/// Small enough for sequences of several splits.
const SMALL: Shape = Shape {
    heads: 2,
    kv_heads: 2,
    key_length: 8,
    value_length: 8,
};

/// Plain attention, more query heads to a key than rows of a block, keys and values of different lengths.
const SHAPES: [Shape; 4] = [
    SMOLLM2,
    SMALL,
    Shape {
        heads: 40,
        kv_heads: 1,
        key_length: 16,
        value_length: 16,
    },
    Shape {
        heads: 4,
        kv_heads: 2,
        key_length: 128,
        value_length: 80,
    },
];

/// Shorter than a block, whole blocks, neither, and longer than any sequence.
const WINDOWS: [usize; 5] = [1, 7, 32, 45, 200];

const LAYERS: usize = 2;

/// Sequences with keys, values and queries for all their tokens.
struct Case {
    shape: Shape,
    window: Option<usize>,
    soft_cap: Option<f32>,
    causal: bool,
    /// Tokens of each sequence.
    lengths: Vec<usize>,
    /// `[sequences][layers][tokens, kv_heads, key_length]`
    keys: Vec<Vec<Vec<f32>>>,
    values: Vec<Vec<Vec<f32>>>,
    /// `[sequences][tokens, heads, key_length]`
    queries: Vec<Vec<f32>>,
}

/// A case's keys and values in pages.
struct Filled {
    layout: KvLayout,
    pages: Vec<Page>,
    tables: Vec<u32>,
    /// Where each sequence's table begins.
    starts: Vec<usize>,
}

impl Case {
    fn new(shape: Shape, lengths: &[usize], spread: f32, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut layers = |tokens: usize, width: usize, spread| -> Vec<Vec<f32>> {
            (0..LAYERS)
                .map(|_| random.floats(tokens * width, spread))
                .collect()
        };
        let Shape {
            heads,
            kv_heads,
            key_length,
            value_length,
        } = shape;
        Self {
            keys: lengths
                .iter()
                .map(|&tokens| layers(tokens, kv_heads * key_length, spread))
                .collect(),
            values: lengths
                .iter()
                .map(|&tokens| layers(tokens, kv_heads * value_length, 1.0))
                .collect(),
            queries: lengths
                .iter()
                .map(|&tokens| layers(tokens, heads * key_length, spread).remove(0))
                .collect(),
            shape,
            window: None,
            soft_cap: None,
            causal: true,
            lengths: lengths.to_vec(),
        }
    }

    fn fill(&self, kind: KvType, page_tokens: usize) -> Filled {
        let Shape {
            kv_heads,
            key_length,
            value_length,
            ..
        } = self.shape;
        let layout = KvLayout::new(
            kind,
            LAYERS,
            kv_heads,
            key_length,
            value_length,
            page_tokens,
        )
        .unwrap();
        let count: usize = self
            .lengths
            .iter()
            .map(|tokens| tokens.div_ceil(page_tokens))
            .sum();
        let mut pages: Vec<Page> = (0..count).map(|_| Page::new(&layout).unwrap()).collect();
        // Pages are handed out backwards, so that tables are not simply ascending.
        let tables: Vec<u32> = (0..count as u32).rev().collect();
        let mut starts = vec![0];
        for (sequence, &tokens) in self.lengths.iter().enumerate() {
            let start = starts[sequence];
            for layer in 0..LAYERS {
                let keys = self.keys[sequence][layer].chunks_exact(kv_heads * key_length);
                let values = self.values[sequence][layer].chunks_exact(kv_heads * value_length);
                for (token, (keys, values)) in keys.zip(values).enumerate() {
                    let page = tables[start + token / page_tokens] as usize;
                    pages[page].store(&layout, layer, token % page_tokens, keys, values);
                }
            }
            starts.push(start + tokens.div_ceil(page_tokens));
        }
        Filled {
            layout,
            pages,
            tables,
            starts,
        }
    }

    /// The results for the tokens from `from[i]` on of each sequence.
    fn run(&self, isa: Isa, filled: &Filled, layer: usize, from: &[usize]) -> Vec<f32> {
        let spans = self.spans(filled, from);
        self.run_spans(isa, &Serial, filled, layer, &spans)
    }

    /// The tokens from `from[i]` on of each sequence.
    fn spans(&self, filled: &Filled, from: &[usize]) -> Vec<Span> {
        let sequences = self.lengths.iter().zip(&filled.starts).zip(from);
        sequences
            .map(|((&length, &table), &start)| Span {
                table,
                start,
                rows: length - start,
            })
            .collect()
    }

    /// The results for tokens of each of the first sequences.
    fn run_spans(
        &self,
        isa: Isa,
        pool: &dyn Pool,
        filled: &Filled,
        layer: usize,
        spans: &[Span],
    ) -> Vec<f32> {
        let Shape {
            heads,
            key_length,
            value_length,
            ..
        } = self.shape;
        let width = heads * key_length;
        let mut values = Vec::new();
        for span in spans {
            let sequence = filled.starts.iter().position(|&start| start == span.table);
            let queries = &self.queries[sequence.expect("a sequence's table")];
            values.extend_from_slice(&queries[span.start * width..][..span.rows * width]);
        }
        let rows: usize = spans.iter().map(|span| span.rows).sum();
        let mut out = vec![f32::NAN; rows * heads * value_length];
        let cached = Cached {
            layout: &filled.layout,
            pages: &filled.pages,
            tables: &filled.tables,
        };
        let queries = Queries {
            heads,
            scale: 0.25,
            soft_cap: self.soft_cap,
            window: self.window,
            causal: self.causal,
            values: &values,
        };
        let mut scratch = Scratch::default();
        attention_with(
            isa,
            pool,
            &cached,
            layer,
            spans,
            &queries,
            &mut scratch,
            &mut out,
        );
        out
    }

    /// Rounds keys and values as the cache does.
    fn round(&mut self, kind: KvType) {
        let Shape {
            key_length,
            value_length,
            ..
        } = self.shape;
        for (all, length) in [
            (&mut self.keys, key_length),
            (&mut self.values, value_length),
        ] {
            for layer in all.iter_mut().flatten() {
                *layer = layer
                    .chunks_exact(length)
                    .flat_map(|head| stored(kind, head))
                    .collect();
            }
        }
    }

    /// The formula, in 64 bits, with the whole row of scores at once.
    fn reference(&self, layer: usize, from: &[usize]) -> Vec<f64> {
        let Shape {
            heads,
            kv_heads,
            key_length,
            value_length,
        } = self.shape;
        let mut out = Vec::new();
        for (sequence, &start) in from.iter().enumerate() {
            for token in start..self.lengths[sequence] {
                for head in 0..heads {
                    let kv_head = head / (heads / kv_heads);
                    let query = &self.queries[sequence][(token * heads + head) * key_length..]
                        [..key_length];
                    let first = (token + 1).saturating_sub(self.window.unwrap_or(usize::MAX));
                    let last = match self.causal {
                        true => token,
                        false => self.lengths[sequence] - 1,
                    };
                    let scores: Vec<f64> = (first..=last)
                        .map(|seen| {
                            let key = &self.keys[sequence][layer]
                                [(seen * kv_heads + kv_head) * key_length..];
                            query
                                .iter()
                                .zip(key)
                                .map(|(&q, &k)| f64::from(q) * f64::from(k))
                                .sum::<f64>()
                                * 0.25
                        })
                        .map(|score| match self.soft_cap.map(f64::from) {
                            Some(cap) => cap * (score / cap).tanh(),
                            None => score,
                        })
                        .collect();
                    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    let weights: Vec<f64> =
                        scores.iter().map(|score| (score - largest).exp()).collect();
                    let sum: f64 = weights.iter().sum();
                    for channel in 0..value_length {
                        let value = |seen: usize| {
                            self.values[sequence][layer]
                                [((first + seen) * kv_heads + kv_head) * value_length + channel]
                        };
                        let weighted = weights
                            .iter()
                            .enumerate()
                            .map(|(seen, weight)| weight * f64::from(value(seen)));
                        out.push(weighted.sum::<f64>() / sum);
                    }
                }
            }
        }
        out
    }
}

/// A head's key or value as it comes back from the cache.
fn stored(kind: KvType, head: &[f32]) -> Vec<f32> {
    let half = |x: f32| f16::from_f32(x).to_f32();
    match kind {
        KvType::F32 => head.to_vec(),
        KvType::F16 => head.iter().map(|&x| half(x)).collect(),
        KvType::Q8_0 => head
            .chunks(32)
            .flat_map(|group| {
                let largest = group.iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
                let step = half(largest / 127.0);
                group
                    .iter()
                    .map(move |x| (x * (127.0 / largest)).round_ties_even() * step)
            })
            .collect(),
    }
}
