use super::*;
use crate::kv::{BLOCK, KvType};
use crate::pool::Serial;
use crate::testing::{Random, assert_close, assert_same_bits};
use half::f16;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

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

/// Plain attention, more query heads to a key than rows of a block, keys and values of different lengths.
const SHAPES: [Shape; 4] = [
    SMOLLM2,
    Shape {
        heads: 2,
        kv_heads: 2,
        key_length: 8,
        value_length: 8,
    },
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
        let Shape {
            heads,
            key_length,
            value_length,
            ..
        } = self.shape;
        let mut queries = Vec::new();
        let mut spans = Vec::new();
        for (sequence, &start) in from.iter().enumerate() {
            queries.extend_from_slice(&self.queries[sequence][start * heads * key_length..]);
            let rows = self.lengths[sequence] - start;
            spans.push(Span {
                table: filled.starts[sequence],
                start,
                rows,
            });
        }
        self.run_spans(isa, filled, layer, &spans, &queries, value_length)
    }

    fn run_spans(
        &self,
        isa: Isa,
        filled: &Filled,
        layer: usize,
        spans: &[Span],
        queries: &[f32],
        value_length: usize,
    ) -> Vec<f32> {
        let heads = self.shape.heads;
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
            values: queries,
        };
        attention_with(isa, &Serial, &cached, layer, spans, &queries, &mut out);
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

#[test]
fn agrees_with_the_formula_in_64_bits() {
    for (seed, shape) in SHAPES.into_iter().enumerate() {
        for kind in KvType::ALL {
            let mut case = Case::new(shape, &[1, 33, 70, 97], 1.0, seed as u64);
            let filled = case.fill(kind, BLOCK);
            case.round(kind);
            let from = [0, 32, 5, 96];
            for layer in 0..LAYERS {
                let out = case.run(Isa::best(), &filled, layer, &from);
                assert_close(&out, &case.reference(layer, &from), 1e-5);
            }
        }
    }
}

/// Shorter than a block, whole blocks, neither, and longer than any sequence.
const WINDOWS: [usize; 5] = [1, 7, 32, 45, 200];

#[test]
fn a_window_and_a_cap_agree_with_the_formula_in_64_bits() {
    for window in WINDOWS {
        let mut case = Case::new(SMOLLM2, &[150, 33, 97], 1.0, 40);
        case.window = Some(window);
        case.soft_cap = Some(2.5);
        let filled = case.fill(KvType::F32, BLOCK);
        let from = [0, 32, 90];
        let out = case.run(Isa::best(), &filled, 0, &from);
        assert_close(&out, &case.reference(0, &from), 1e-5);
    }
}

#[test]
fn tokens_see_those_after_them_where_nothing_is_causal() {
    for (seed, shape) in SHAPES.into_iter().enumerate() {
        let mut case = Case::new(shape, &[1, 33, 70, 97], 1.0, 50 + seed as u64);
        case.causal = false;
        let filled = case.fill(KvType::F32, BLOCK);
        let from = [0, 0, 32, 90];
        let out = case.run(Isa::best(), &filled, 1, &from);
        assert_close(&out, &case.reference(1, &from), 1e-5);
    }
}

#[test]
fn a_window_gives_the_same_in_chunks_and_without_the_pages_before_it() {
    for window in WINDOWS {
        let mut case = Case::new(SMOLLM2, &[150], 1.0, 41);
        case.window = Some(window);
        let filled = case.fill(KvType::F16, BLOCK);
        let width = 9 * 64;
        let whole = case.run(Isa::best(), &filled, 1, &[0]);
        for chunk in [1, 19, 64] {
            for start in (0..150).step_by(chunk) {
                let rows = chunk.min(150 - start);
                let mut tables = filled.tables.clone();
                tables[..(start + 1).saturating_sub(window) / BLOCK].fill(u32::MAX);
                let filled = Filled {
                    tables,
                    layout: filled.layout.clone(),
                    pages: filled.pages.clone(),
                    starts: filled.starts.clone(),
                };
                let span = Span {
                    table: 0,
                    start,
                    rows,
                };
                let queries = &case.queries[0][start * width..][..rows * width];
                let alone = case.run_spans(Isa::best(), &filled, 1, &[span], queries, 64);
                assert_same_bits(&alone, &whole[start * width..][..rows * width]);
            }
        }
    }
}

#[test]
fn one_overwhelming_score_selects_its_value() {
    // Scores around 10⁴, rounded to about 10⁻³: so far off are the weights of two that are nearly equal.
    let case = Case::new(SMOLLM2, &[80], 100.0, 11);
    let out = case.run(Isa::best(), &case.fill(KvType::F32, BLOCK), 1, &[0]);
    assert_close(&out, &case.reference(1, &[0]), 1e-2);
}

#[test]
fn is_the_same_on_every_instruction_set() {
    for (seed, shape) in SHAPES.into_iter().enumerate() {
        for kind in KvType::ALL {
            let mut case = Case::new(shape, &[45, 66], 2.0, 20 + seed as u64);
            let filled = case.fill(kind, BLOCK);
            let expected = case.run(Isa::SCALAR, &filled, 0, &[40, 0]);
            for isa in Isa::available() {
                assert_same_bits(&case.run(isa, &filled, 0, &[40, 0]), &expected);
            }
            case.window = Some(40);
            case.soft_cap = Some(3.0);
            let expected = case.run(Isa::SCALAR, &filled, 0, &[40, 0]);
            for isa in Isa::available() {
                assert_same_bits(&case.run(isa, &filled, 0, &[40, 0]), &expected);
            }
        }
    }
}

#[test]
fn does_not_depend_on_the_page_size() {
    let case = Case::new(SMOLLM2, &[150, 64], 1.0, 30);
    let expected = case.run(Isa::best(), &case.fill(KvType::F16, BLOCK), 1, &[100, 0]);
    for page_tokens in [2 * BLOCK, 5 * BLOCK] {
        assert_same_bits(
            &case.run(
                Isa::best(),
                &case.fill(KvType::F16, page_tokens),
                1,
                &[100, 0],
            ),
            &expected,
        );
    }
}

#[test]
fn does_not_depend_on_chunks_or_on_the_batch() {
    let case = Case::new(SMOLLM2, &[75, 50], 1.0, 31);
    let filled = case.fill(KvType::F32, BLOCK);
    let together = case.run(Isa::best(), &filled, 0, &[0, 0]);
    let (query_width, out_width) = (9 * 64, 9 * 64);
    let mut row = 0;
    for (sequence, &tokens) in case.lengths.iter().enumerate() {
        for chunk in [1, 3, 19, 52] {
            for start in (0..tokens).step_by(chunk) {
                let rows = chunk.min(tokens - start);
                let span = Span {
                    table: filled.starts[sequence],
                    start,
                    rows,
                };
                let queries = &case.queries[sequence][start * query_width..][..rows * query_width];
                let alone = case.run_spans(Isa::best(), &filled, 0, &[span], queries, 64);
                assert_same_bits(
                    &alone,
                    &together[(row + start) * out_width..][..rows * out_width],
                );
            }
        }
        row += tokens;
    }
}

#[test]
fn what_lies_beyond_the_last_token_does_not_matter() {
    let case = Case::new(SMOLLM2, &[41], 1.0, 32);
    let mut filled = case.fill(KvType::F32, BLOCK);
    let expected = case.run(Isa::best(), &filled, 0, &[0]);
    for token in 41..2 * BLOCK {
        let page = filled.tables[token / BLOCK] as usize;
        filled.pages[page].store(
            &filled.layout,
            0,
            token % BLOCK,
            &[f32::NAN; 192],
            &[f32::INFINITY; 192],
        );
    }
    assert_same_bits(&case.run(Isa::best(), &filled, 0, &[0]), &expected);
}

#[cfg(not(target_arch = "wasm32"))]
#[test]
fn does_not_depend_on_the_number_of_threads() {
    /// A new thread for every part.
    struct Scoped;
    // SAFETY: each part gets one thread, which ends with the scope.
    unsafe impl Pool for Scoped {
        fn threads(&self) -> usize {
            3
        }
        fn run(&self, parts: usize, job: &(dyn Fn(usize) + Sync)) {
            std::thread::scope(|scope| {
                for part in 0..parts {
                    scope.spawn(move || job(part));
                }
            });
        }
    }
    let case = Case::new(SMOLLM2, &[130], 1.0, 33);
    let filled = case.fill(KvType::F16, BLOCK);
    let expected = case.run(Isa::best(), &filled, 0, &[0]);
    let mut out = vec![0.0; expected.len()];
    let cached = Cached {
        layout: &filled.layout,
        pages: &filled.pages,
        tables: &filled.tables,
    };
    let queries = Queries {
        heads: 9,
        scale: 0.25,
        soft_cap: None,
        window: None,
        causal: true,
        values: &case.queries[0],
    };
    attention(
        &Scoped,
        &cached,
        0,
        &[Span {
            table: 0,
            start: 0,
            rows: 130,
        }],
        &queries,
        &mut out,
    );
    assert_same_bits(&out, &expected);
}
