//! The rows of queries that go through a block together, and the state of their softmax.

use std::ops::Range;

use super::few;
use super::tile::TILE;
use crate::activation::soft_capped;
use crate::isa::Simd;
use crate::kv::{BLOCK, LANES, MAX_HEAD_LENGTH, StoredBlock};
use crate::softmax;
use crate::sum::Partial;

/// Rows that go through a block together.
pub(super) const ROWS: usize = 32;

const TILES: usize = ROWS / TILE;

/// How products of queries and keys become scores.
pub(super) struct Scoring {
    pub(super) scale: f32,
    pub(super) soft_cap: Option<f32>,
}

/// Up to [`ROWS`] rows. What is multiplied with panels is kept by tile, the rows of a tile side by side, so that a
/// product reads its factors front to back.
pub(super) struct Rows {
    key_length: usize,
    pub(super) count: usize,
    /// `[tiles][key_length][TILE]`
    queries: [[f32; TILE]; TILES * MAX_HEAD_LENGTH],
    /// Products of queries and the keys of one block.
    pub(super) scores: [[f32; BLOCK]; ROWS],
    /// Their exponentials, relative to `max`.
    weights: [[[f32; TILE]; BLOCK]; TILES],
    /// The largest score so far.
    max: [f32; ROWS],
    /// The sum of exponentials so far, relative to `max`.
    pub(super) sum: [f32; ROWS],
    /// The first token that each row sees: how many are hidden from it. Ascending.
    pub(super) hidden: [usize; ROWS],
    /// The end of the tokens that each row sees. Ascending.
    pub(super) visible: [usize; ROWS],
    /// Where each row's result begins.
    pub(super) out_start: [usize; ROWS],
}

impl Rows {
    /// No rows yet.
    #[inline(always)]
    pub(super) fn new(key_length: usize) -> Self {
        Self {
            key_length,
            count: 0,
            queries: [[0.0; TILE]; TILES * MAX_HEAD_LENGTH],
            scores: [[0.0; BLOCK]; ROWS],
            weights: [[[0.0; TILE]; BLOCK]; TILES],
            max: [0.0; ROWS],
            sum: [0.0; ROWS],
            hidden: [0; ROWS],
            visible: [0; ROWS],
            out_start: [0; ROWS],
        }
    }

    #[inline(always)]
    pub(super) fn clear(&mut self) {
        self.count = 0;
    }

    /// Adds a row that sees the tokens in `seen`.
    #[inline(always)]
    pub(super) fn push(&mut self, query: &[f32], seen: Range<usize>, out_start: usize) {
        let row = self.count;
        self.count += 1;
        self.max[row] = f32::NEG_INFINITY;
        self.sum[row] = 0.0;
        self.hidden[row] = seen.start;
        self.visible[row] = seen.end;
        self.out_start[row] = out_start;
        let tile = &mut self.queries[row / TILE * self.key_length..];
        for (factors, &x) in tile.iter_mut().zip(query) {
            factors[row % TILE] = x;
        }
    }

    /// Rows of a tile; all but the last are full.
    #[inline(always)]
    pub(super) fn in_tile(&self, tile: usize) -> usize {
        TILE.min(self.count - tile * TILE)
    }

    /// The queries of a tile, channel by channel.
    #[inline(always)]
    pub(super) fn queries(&self, tile: usize) -> &[[f32; TILE]] {
        &self.queries[tile * self.key_length..][..self.key_length]
    }

    /// The weights of a tile, token by token.
    #[inline(always)]
    pub(super) fn weights(&self, tile: usize) -> &[[f32; TILE]] {
        &self.weights[tile]
    }

    /// Whether panels that are loaded serve a single tile.
    #[inline(always)]
    pub(super) fn are_few(&self) -> bool {
        self.count <= TILE
    }

    /// `scores = queries · keysᵀ` for a single tile.
    #[inline(always)]
    pub(super) fn score_few<S: Simd>(&mut self, s: S, keys: StoredBlock) {
        let factors = &self.queries[..self.key_length];
        let scores = self.scores.as_flattened_mut();
        scores[..self.count * BLOCK].fill(0.0);
        let at = |row, panel| row * BLOCK + panel * LANES;
        let (rows, steps) = (self.count, self.key_length);
        match keys {
            StoredBlock::F32(keys) => few::multiply_add(s, rows, factors, keys, steps, at, scores),
            StoredBlock::F16(keys) => few::multiply_add(s, rows, factors, keys, steps, at, scores),
        }
    }

    /// `out += weights · values` for a single tile, the first `tokens` tokens of a block.
    #[inline(always)]
    pub(super) fn accumulate_few<S: Simd>(
        &self,
        s: S,
        values: StoredBlock,
        tokens: usize,
        out: &mut [f32],
    ) {
        let factors = &self.weights[0][..tokens];
        let at = |row, panel| self.out_start[row] + panel * LANES;
        match values {
            StoredBlock::F32(values) => {
                few::multiply_add(s, self.count, factors, values, BLOCK, at, out);
            }
            StoredBlock::F16(values) => {
                few::multiply_add(s, self.count, factors, values, BLOCK, at, out);
            }
        }
    }

    /// Turns the scores of a row in the block that begins with token `start` into weights, and returns what everything
    /// that was summed with earlier weights has to be multiplied by.
    #[inline(always)]
    pub(super) fn weigh(&mut self, row: usize, start: usize, scoring: &Scoring) -> f32 {
        let scores = &mut self.scores[row];
        for score in scores.iter_mut() {
            *score *= scoring.scale;
        }
        if let Some(cap) = scoring.soft_cap {
            for score in scores.iter_mut() {
                *score = soft_capped(cap, *score);
            }
        }
        let [hidden, seen] = [self.hidden[row], self.visible[row]]
            .map(|token| token.saturating_sub(start).min(BLOCK));
        scores[..hidden].fill(f32::NEG_INFINITY);
        scores[seen..].fill(f32::NEG_INFINITY);
        let max = softmax::max(scores).max(self.max[row]);
        if max == f32::NEG_INFINITY {
            // A block before the row's window, which a row beside it still sees: infinities have no difference.
            for weights in &mut self.weights[row / TILE] {
                weights[row % TILE] = 0.0;
            }
            return 1.0;
        }
        let correction = softmax::exp(self.max[row] - max);
        for score in scores.iter_mut() {
            *score = softmax::exp(*score - max);
        }
        let mut sum = Partial::default();
        sum.add(scores, |weight| weight);
        self.sum[row] = self.sum[row] * correction + sum.total();
        self.max[row] = max;
        for (weights, &weight) in self.weights[row / TILE].iter_mut().zip(scores.iter()) {
            weights[row % TILE] = weight;
        }
        correction
    }
}
