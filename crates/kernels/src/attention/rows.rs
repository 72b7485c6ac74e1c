//! The rows of queries that go through blocks together, and the state of their softmax.

use std::ops::Range;

use zerocopy::{FromBytes, IntoBytes};

use super::partial::State;
use super::{floats, integers};
use crate::activation::soft_capped;
use crate::isa::{Bytes16, Simd};
use crate::kv::{BLOCK, KvLayout, KvType, MAX_HEAD_LENGTH, StoredBlock};
use crate::softmax;
use crate::sum::Partial;

/// Rows that are multiplied with a panel at a time. With four, its sums fill eight 128-bit vectors, which leaves room in
/// 16 registers for a factor and for what is loaded of the panel.
pub(super) const TILE: usize = 4;

/// Tiles that go through a block together.
pub(super) const TILES: usize = 8;

/// Rows that go through a block together.
pub(super) const ROWS: usize = TILES * TILE;

/// How products of queries and keys become scores.
pub(super) struct Scoring {
    pub(super) scale: f32,
    pub(super) soft_cap: Option<f32>,
}

/// For each row of a tile the scores of a block, which become weights.
pub(super) type TileScores = [[f32; BLOCK]; TILE];

/// For each row of a tile its weighted sums of values: the first `value_length` are used.
pub(super) type TileSums = [[f32; MAX_HEAD_LENGTH]; TILE];

/// Up to [`ROWS`] rows.
#[derive(Debug)]
pub(super) struct Rows {
    count: usize,
    value_length: usize,
    kind: KvType,
    /// The tokens that each row sees. Ascending.
    seen: [Range<usize>; ROWS],
    /// Of the split under way.
    states: [State; ROWS],
    /// Of the split under way, relative to the maxima in `states`.
    sums: Box<[TileSums; TILES]>,
    scores: Box<[TileScores; TILES]>,
    /// Of the block under way.
    corrections: [[Correction; TILE]; TILES],
    /// Queries that are multiplied with stored floats.
    floats: floats::Queries,
    /// Queries that are multiplied with stored bytes.
    integers: integers::Queries,
}

/// How the values of a block are added to the sums of earlier ones.
#[derive(Debug, Clone, Copy)]
pub(super) struct Correction {
    /// What the earlier sums are multiplied by.
    pub(super) before: f32,
    /// What the block's values, weighted relative to its base, are multiplied by.
    pub(super) block: f32,
}

impl Correction {
    const NONE: Self = Self {
        before: 1.0,
        block: 1.0,
    };
}

/// What the weights of a block are relative to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Base {
    /// The largest score so far.
    Running,
    /// The largest score of the block, so that the largest weight is 1.
    Block,
}

impl Rows {
    /// No rows yet, and memory for any.
    pub(super) fn new() -> Self {
        Self {
            count: 0,
            value_length: 0,
            kind: KvType::F32,
            seen: std::array::from_fn(|_| 0..0),
            states: [State::NONE; ROWS],
            sums: Box::new([[[0.0; MAX_HEAD_LENGTH]; TILE]; TILES]),
            scores: Box::new([[[0.0; BLOCK]; TILE]; TILES]),
            corrections: [[Correction::NONE; TILE]; TILES],
            floats: floats::Queries::new(),
            integers: integers::Queries::new(),
        }
    }

    /// Bytes one takes.
    pub(super) fn bytes() -> usize {
        size_of::<Self>()
            + size_of::<[TileSums; TILES]>()
            + size_of::<[TileScores; TILES]>()
            + floats::Queries::bytes()
            + integers::Queries::bytes()
    }

    #[inline(always)]
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The tokens that any row sees.
    #[inline(always)]
    pub(super) fn seen(&self) -> Range<usize> {
        self.seen[0].start..self.seen[self.count - 1].end
    }

    /// The state of a row after the split.
    #[inline(always)]
    pub(super) fn state(&self, row: usize) -> State {
        self.states[row]
    }

    /// The weighted sums of values of a row after the split.
    #[inline(always)]
    pub(super) fn sums(&self, row: usize) -> &[f32] {
        &self.sums[row / TILE][row % TILE][..self.value_length]
    }

    /// Begins without rows.
    #[inline(always)]
    pub(super) fn clear(&mut self, layout: &KvLayout) {
        self.count = 0;
        self.value_length = layout.value_length();
        self.kind = layout.kind();
    }

    /// Adds a row that sees the tokens in `seen`.
    #[inline(always)]
    pub(super) fn push(&mut self, query: &[f32], seen: Range<usize>) {
        let row = self.count;
        self.count += 1;
        self.seen[row] = seen;
        match self.kind {
            KvType::F32 => self.floats.set(row, query, false),
            KvType::F16 => self.floats.set(row, query, true),
            KvType::Q8_0 => self.integers.set(row, query),
        }
    }

    /// Begins a split: nothing is summed yet.
    #[inline(always)]
    pub(super) fn begin_split(&mut self) {
        for row in 0..self.count {
            self.states[row] = State::NONE;
            self.sums[row / TILE][row % TILE][..self.value_length].fill(0.0);
        }
    }

    /// Takes in the first `tokens` tokens of the block that begins with token `start`.
    // Out of line in WebAssembly, once for tokens that are generated and for prompts, as in `super::floats`.
    #[cfg_attr(target_arch = "wasm32", inline(never))]
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    pub(super) fn take_in<S: Simd>(
        &mut self,
        s: S,
        block: StoredBlock,
        start: usize,
        tokens: usize,
        scoring: &Scoring,
    ) {
        match block {
            StoredBlock::Floats(block) => {
                self.floats.score(s, self.count, block, &mut self.scores);
                self.weigh(s, start, scoring, Base::Running);
                self.correct();
                self.floats.accumulate(
                    s,
                    self.count,
                    block,
                    tokens,
                    &mut self.scores,
                    &mut self.sums,
                );
            }
            StoredBlock::Bytes(block) => {
                self.integers.score(s, self.count, block, &mut self.scores);
                self.weigh(s, start, scoring, Base::Block);
                self.integers.accumulate(
                    s,
                    self.count,
                    block,
                    &self.scores,
                    &self.corrections,
                    &mut self.sums,
                );
            }
        }
    }

    /// Turns the scores of all rows in the block that begins with token `start` into weights.
    #[inline(always)]
    fn weigh<S: Simd>(&mut self, s: S, start: usize, scoring: &Scoring, base: Base) {
        let corrections = self.corrections.as_flattened_mut();
        let rows = self.scores.as_flattened_mut().iter_mut().zip(&self.seen);
        let rows = rows.zip(&mut self.states).zip(corrections);
        for (((scores, seen), state), correction) in rows.take(self.count) {
            for score in scores.iter_mut() {
                *score *= scoring.scale;
            }
            if let Some(cap) = scoring.soft_cap {
                for score in scores.iter_mut() {
                    *score = soft_capped(cap, *score);
                }
            }
            let [hidden, seen] =
                [seen.start, seen.end].map(|token| token.saturating_sub(start).min(BLOCK));
            scores[..hidden].fill(f32::NEG_INFINITY);
            scores[seen..].fill(f32::NEG_INFINITY);
            *correction = state.weigh(s, scores, base);
        }
    }

    /// Makes the sums relative to the largest scores so far.
    #[inline(always)]
    fn correct(&mut self) {
        let rows = self.sums.as_flattened_mut().iter_mut();
        let rows = rows.zip(self.corrections.as_flattened());
        for (sums, correction) in rows.take(self.count) {
            if correction.before != 1.0 {
                for sum in &mut sums[..self.value_length] {
                    *sum *= correction.before;
                }
            }
        }
    }
}

impl State {
    /// Takes in the scores of a block, which become weights.
    #[cfg_attr(target_arch = "wasm32", inline(never))]
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    fn weigh<S: Simd>(&mut self, s: S, scores: &mut [f32; BLOCK], base: Base) -> Correction {
        let largest = s.largest_f32(vectors(scores).each_ref().map(|scores| s.load(scores)));
        if largest == f32::NEG_INFINITY {
            // The row sees nothing of the block, which a row beside it does: infinities have no difference.
            scores.fill(0.0);
            return Correction::NONE;
        }
        let before = self.max;
        self.max = largest.max(before);
        let base = match base {
            Base::Running => self.max,
            Base::Block => largest,
        };
        for score in scores.iter_mut() {
            *score = softmax::exp(*score - base);
        }
        let mut sum = Partial::default();
        sum.add(scores, |weight| weight);
        let correction = Correction {
            before: relative(before, self.max),
            block: relative(base, self.max),
        };
        self.sum = self.sum * correction.before + sum.total() * correction.block;
        correction
    }
}

/// A row's numbers in a block, four to a vector.
#[inline(always)]
pub(super) fn vectors(row: &[f32; BLOCK]) -> &[Bytes16; BLOCK / 4] {
    <[Bytes16; BLOCK / 4]>::ref_from_bytes(row.as_bytes()).expect("32 floats")
}

/// e^(x − max); 1, exactly, without computing it where they are the same.
#[inline(always)]
fn relative(x: f32, max: f32) -> f32 {
    if x == max { 1.0 } else { softmax::exp(x - max) }
}
