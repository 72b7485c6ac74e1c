//! Products with keys and values that are stored as bytes, as integers.
//!
//! A query is quantized 32 channels at a time, to integers of 15 bits and a sign: `q ≈ a · i` with `a = max|q| / 32767`. With
//! k = b · j of a token, `q · k = Σ a b Σ i j`, the inner sum over 32 channels being exact, the outer one in the order of channels.
//!
//! A value is v = b · j, and b differs from token to token, so it goes to the weights: of 32 channels, `w b / u` is rounded to an
//! integer i of 15 bits, u being the largest `w b` of the block / 32767, and `Σ w v ≈ u Σ i j`, the sum over the tokens of the block
//! being exact. Weights are relative to the largest score of the block, whatever it is in relation to those of other blocks.

use std::hint::black_box;

use zerocopy::{FromBytes, IntoBytes};

use super::floats::{load, store, tiles};
use super::rows::{Correction, TILE, TILES, TileScores, TileSums, vectors};
use crate::isa::{Bytes16, Simd};
use crate::kv::{BLOCK, ByteBlock, LANES, MAX_HEAD_LENGTH, STEP, Step, widen_f16};
use crate::prepared::{ROUNDER, quantize_to};

/// Steps of 32 consecutive values.
const STEPS: usize = BLOCK / STEP;

/// What a row multiplies 32 consecutive values by: for each step two 16-bit integers for the first two bytes of a lane; then for each
/// step those for the last two.
type Factors = [[i32; STEPS]; 2];

/// Factors of the rows of a tile.
type TileFactors = [Factors; TILE];

/// Channels of a query or value, cut into 32.
const GROUPS: usize = MAX_HEAD_LENGTH / BLOCK;

/// The largest integer that channels of queries and weights become.
const LARGEST: f32 = i16::MAX as f32;

/// A 16-bit integer in 32 bits.
const WORD: u32 = 0xffff;

/// 32 channels of the queries of a tile.
#[derive(Debug, Clone, Copy)]
struct Group {
    factors: TileFactors,
    scales: [f32; TILE],
}

impl Group {
    const NONE: Self = Self {
        factors: [[[0; STEPS]; 2]; TILE],
        scales: [0.0; TILE],
    };
}

/// Quantized queries of up to [`TILES`] tiles, and room for the quantized weights of one.
#[derive(Debug)]
pub(super) struct Queries {
    tiles: Box<[[Group; GROUPS]; TILES]>,
    weights: Box<TileFactors>,
}

impl Queries {
    pub(super) fn new() -> Self {
        Self {
            tiles: Box::new([[Group::NONE; GROUPS]; TILES]),
            weights: Box::new([[[0; STEPS]; 2]; TILE]),
        }
    }

    /// Bytes beside the structure.
    pub(super) fn bytes() -> usize {
        size_of::<[[Group; GROUPS]; TILES]>() + size_of::<TileFactors>()
    }

    /// Sets the query of a row.
    #[inline(always)]
    pub(super) fn set(&mut self, row: usize, query: &[f32]) {
        let (groups, row) = (&mut self.tiles[row / TILE], row % TILE);
        for (group, channels) in groups.iter_mut().zip(query.chunks(BLOCK)) {
            let mut integers = [0; BLOCK];
            let integers = &mut integers[..channels.len()];
            group.scales[row] = quantize_to(LARGEST, channels, integers, |integer| integer & WORD);
            let [first, last] = &mut group.factors[row];
            let words = first
                .iter_mut()
                .zip(last)
                .zip(integers.as_chunks::<STEP>().0);
            for ((first, last), [a, b, c, d]) in words {
                *first = (a | b << 16).cast_signed();
                *last = (c | d << 16).cast_signed();
            }
        }
    }

    /// `scores = queries · keysᵀ` for the first `count` rows.
    #[inline(always)]
    pub(super) fn score<S: Simd>(
        &self,
        s: S,
        count: usize,
        block: ByteBlock,
        scores: &mut [TileScores; TILES],
    ) {
        for ((rows, groups), scores) in tiles(count).zip(&*self.tiles).zip(scores) {
            match rows {
                1 => score_rows::<S, 1>(s, block, groups, scores),
                2 => score_rows::<S, 2>(s, block, groups, scores),
                3 => score_rows::<S, 3>(s, block, groups, scores),
                _ => score_rows::<S, 4>(s, block, groups, scores),
            }
        }
    }

    /// Adds the values of a block to the sums of the first `count` rows, as weights and corrections say.
    #[inline(always)]
    pub(super) fn accumulate<S: Simd>(
        &mut self,
        s: S,
        count: usize,
        block: ByteBlock,
        weights: &[TileScores; TILES],
        corrections: &[[Correction; TILE]; TILES],
        sums: &mut [TileSums; TILES],
    ) {
        let all = tiles(count).zip(weights).zip(corrections).zip(sums);
        for (((rows, weights), corrections), sums) in all {
            let factors = &mut *self.weights;
            match rows {
                1 => accumulate_rows::<S, 1>(s, block, weights, corrections, factors, sums),
                2 => accumulate_rows::<S, 2>(s, block, weights, corrections, factors, sums),
                3 => accumulate_rows::<S, 3>(s, block, weights, corrections, factors, sums),
                _ => accumulate_rows::<S, 4>(s, block, weights, corrections, factors, sums),
            }
        }
    }
}

// Out of line in WebAssembly for the sake of register allocation, as in `super::floats`.
#[cfg_attr(target_arch = "wasm32", inline(never))]
#[cfg_attr(not(target_arch = "wasm32"), inline(always))]
fn score_rows<S: Simd, const R: usize>(
    s: S,
    block: ByteBlock,
    groups: &[Group; GROUPS],
    scores: &mut TileScores,
) {
    // Opaque, so that the loop over steps is not unrolled: all factors would be loaded before it, and spilled.
    let per_group = black_box(STEPS);
    let per_panel = block.key_length / STEP;
    for (panel, steps) in block.keys.chunks_exact(per_panel).enumerate() {
        let mut sums = [[s.splat_f32(0.0); 2]; R];
        let groups = groups.iter().zip(block.key_scales);
        for (steps, (group, key_scales)) in steps.chunks(per_group).zip(groups) {
            let products = products::<S, R>(s, steps, &group.factors);
            let mut floats = [0.0; LANES];
            widen_f16(s, &key_scales[panel * LANES..][..LANES], &mut floats);
            let key_scales = load(s, &floats);
            for r in 0..R {
                let scale = s.splat_f32(group.scales[r]);
                for i in 0..2 {
                    let scale = s.mul_f32(key_scales[i], scale);
                    let product = s.mul_f32(s.to_f32(products[r][i]), scale);
                    sums[r][i] = s.add_f32(sums[r][i], product);
                }
            }
        }
        for (sums, scores) in sums.into_iter().zip(&mut *scores) {
            store(s, sums, &mut scores.as_chunks_mut().0[panel]);
        }
    }
}

/// `Σₖ factors[r][k] · steps[k][lane]`
#[inline(always)]
fn products<S: Simd, const R: usize>(
    s: S,
    steps: &[Step],
    factors: &TileFactors,
) -> [[S::V; 2]; R] {
    let mut sums = [[s.splat_i32(0); 2]; R];
    for (k, step) in steps.iter().enumerate() {
        for pair in 0..STEP / 2 {
            let words = [s.load_i8(&step[0][pair]), s.load_i8(&step[1][pair])];
            for (sums, factors) in sums.iter_mut().zip(factors) {
                let factor = s.splat_i32(factors[pair][k % STEPS]);
                for (sum, word) in sums.iter_mut().zip(words) {
                    *sum = s.add_i32(*sum, s.dot_i16(word, factor));
                }
            }
        }
    }
    sums
}

#[cfg_attr(target_arch = "wasm32", inline(never))]
#[cfg_attr(not(target_arch = "wasm32"), inline(always))]
fn accumulate_rows<S: Simd, const R: usize>(
    s: S,
    block: ByteBlock,
    weights: &TileScores,
    corrections: &[Correction; TILE],
    factors: &mut TileFactors,
    sums: &mut TileSums,
) {
    const PANELS: usize = BLOCK / LANES;
    // Opaque, as above.
    let per_panel = black_box(STEPS);
    let groups = block.values.chunks(PANELS).zip(block.value_scales);
    for (group, (panels, stored)) in groups.enumerate() {
        let mut scales = [0.0; BLOCK];
        widen_f16(s, stored, &mut scales);
        let mut units = [0.0; R];
        for ((factors, unit), weights) in factors.iter_mut().zip(&mut units).zip(weights) {
            *unit = quantize_weights(s, weights, &scales, factors);
        }
        for (steps, panel) in panels
            .as_flattened()
            .chunks(per_panel)
            .zip(group * PANELS..)
        {
            let products = products::<S, R>(s, steps, factors);
            let rows = sums
                .iter_mut()
                .zip(products)
                .zip(corrections.iter().zip(units));
            for ((sums, products), (correction, unit)) in rows {
                let sums = &mut sums.as_chunks_mut().0[panel];
                let before = s.splat_f32(correction.before);
                let scale = s.splat_f32(unit * correction.block);
                let old = load(s, sums);
                let new = std::array::from_fn(|i| {
                    let product = s.mul_f32(s.to_f32(products[i]), scale);
                    s.add_f32(s.mul_f32(old[i], before), product)
                });
                store(s, new, sums);
            }
        }
    }
}

/// Weights times scales as integers, in the order in which tokens are stored (`kv::page`), and their unit.
#[inline(always)]
fn quantize_weights<S: Simd>(
    s: S,
    weights: &[f32; BLOCK],
    scales: &[f32; BLOCK],
    factors: &mut Factors,
) -> f32 {
    let (weights, scales) = (vectors(weights), vectors(scales));
    let products = std::array::from_fn(|i| s.mul_f32(s.load(&weights[i]), s.load(&scales[i])));
    let largest = s.largest_f32(products);
    let unit = largest / LARGEST;
    let inverse = if unit < f32::MIN_POSITIVE {
        0.0
    } else {
        LARGEST / largest
    };
    let inverse = s.splat_f32(inverse);
    let rounder = s.splat_f32(ROUNDER);
    let integers = products.map(|product| s.add_f32(s.mul_f32(product, inverse), rounder));
    let (pairs, _) = integers.as_chunks::<2>();
    for (i, &[low, high]) in pairs.iter().enumerate() {
        let words = s.or(
            s.and(low, s.splat_i32(WORD.cast_signed())),
            s.shl_i32::<16>(high),
        );
        let halves = <[Bytes16; STEPS / 4]>::mut_from_bytes(factors[i % 2].as_mut_bytes());
        s.store(words, &mut halves.expect("eight words")[i / 2]);
    }
    unit
}
