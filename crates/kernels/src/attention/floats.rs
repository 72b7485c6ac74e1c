//! Products with keys and values that are stored as floats.
//!
//! Panels are converted to single precision in registers, on the way to the product. Where more than a tile of rows shares a
//! block it is converted once for all of them; the sums are the same to the bit.
//!
//! Of halves, only the bits are moved to their places, which divides them by [`PLACED`], a power of two: queries and weights are
//! multiplied by it instead, which are fewer. Products are the same.

use half::f16;
use half::slice::HalfFloatSliceExt;
use zerocopy::{FromBytes, IntoBytes};

use super::rows::{TILE, TILES, TileScores, TileSums};
use crate::isa::Simd;
use crate::kv::{
    BLOCK, F16_MASK, FloatBlock, LANES, MAX_HEAD_LENGTH, PLACED, Panels, place_f16, place_half_with,
};

/// What a tile of rows multiplies consecutive columns of panels by.
type Factors = [[f32; BLOCK]; TILE];

/// Channels of a query, cut into factors.
const GROUPS: usize = MAX_HEAD_LENGTH / BLOCK;

/// Queries of up to [`TILES`] tiles, and room for a block's keys or values as floats.
#[derive(Debug)]
pub(super) struct Queries {
    tiles: Box<[[Factors; GROUPS]; TILES]>,
    placed: Box<[[f32; LANES]; PLACED_COLUMNS]>,
}

/// Columns of the panels of a block.
const PLACED_COLUMNS: usize = BLOCK * MAX_HEAD_LENGTH / LANES;

impl Queries {
    pub(super) fn new() -> Self {
        Self {
            tiles: Box::new([[[[0.0; BLOCK]; TILE]; GROUPS]; TILES]),
            placed: Box::new([[0.0; LANES]; PLACED_COLUMNS]),
        }
    }

    /// Bytes beside the structure.
    pub(super) fn bytes() -> usize {
        size_of::<[[Factors; GROUPS]; TILES]>() + size_of::<[[f32; LANES]; PLACED_COLUMNS]>()
    }

    /// Sets the query of a row for keys that are halves, if `halves`. It then counts as no larger than they can be.
    #[inline(always)]
    pub(super) fn set(&mut self, row: usize, query: &[f32], halves: bool) {
        let groups = &mut self.tiles[row / TILE];
        let (limit, unit) = match halves {
            true => (f16::MAX.to_f32(), PLACED),
            false => (f32::INFINITY, 1.0),
        };
        for (group, channels) in groups.iter_mut().zip(query.chunks(BLOCK)) {
            for (factor, x) in group[row % TILE].iter_mut().zip(channels) {
                *factor = x.clamp(-limit, limit) * unit;
            }
        }
    }

    /// `scores = queries · keysᵀ` for the first `count` rows.
    #[inline(always)]
    pub(super) fn score<S: Simd>(
        &mut self,
        s: S,
        count: usize,
        block: FloatBlock,
        scores: &mut [TileScores; TILES],
    ) {
        let keys = place_for(s, count, block.keys, &mut *self.placed);
        let steps = block.key_length;
        for ((rows, groups), scores) in tiles(count).zip(&*self.tiles).zip(scores) {
            scores[..rows].fill([0.0; BLOCK]);
            for (group, first) in groups.iter().zip((0..steps).step_by(BLOCK)) {
                let columns = first..steps.min(first + BLOCK);
                let sums = Sums {
                    values: scores.as_flattened_mut(),
                    stride: BLOCK,
                };
                multiply_add(s, rows, group, keys, steps, columns, sums);
            }
        }
    }

    /// `sums += weights · values` for the first `count` rows and the first `tokens` tokens. The weights are used up.
    #[inline(always)]
    pub(super) fn accumulate<S: Simd>(
        &mut self,
        s: S,
        count: usize,
        block: FloatBlock,
        tokens: usize,
        weights: &mut [TileScores; TILES],
        sums: &mut [TileSums; TILES],
    ) {
        if let Panels::F16(_) = block.values {
            for weights in &mut weights.as_flattened_mut()[..count] {
                weights.iter_mut().for_each(|weight| *weight *= PLACED);
            }
        }
        let values = place_for(s, count, block.values, &mut *self.placed);
        for ((rows, weights), sums) in tiles(count).zip(weights).zip(sums) {
            let sums = Sums {
                values: sums.as_flattened_mut(),
                stride: MAX_HEAD_LENGTH,
            };
            multiply_add(s, rows, weights, values, BLOCK, 0..tokens, sums);
        }
    }
}

/// How many rows each tile has.
#[inline(always)]
pub(super) fn tiles(count: usize) -> impl Iterator<Item = usize> {
    (0..count)
        .step_by(TILE)
        .map(move |first| TILE.min(count - first))
}

/// The panels as they are multiplied fastest with `count` rows.
#[inline(always)]
fn place_for<'a, S: Simd>(
    s: S,
    count: usize,
    panels: Panels<'a>,
    placed: &'a mut [[f32; LANES]],
) -> Panels<'a> {
    match panels {
        Panels::F16(halves) if count > TILE => {
            let placed = &mut placed[..halves.len()];
            place_f16(s, halves.as_flattened(), placed.as_flattened_mut());
            Panels::F32(placed)
        }
        as_stored => as_stored,
    }
}

/// Where the sums of a tile are: those of its rows are `stride` floats apart.
struct Sums<'a> {
    values: &'a mut [f32],
    stride: usize,
}

/// `sums[r][8p + j] += Σₖ factors[r][k − columns.start] · panels[p][k][j]` for the first `rows` rows, all panels and the k in
/// `columns`, one after the other. Panels have `steps` columns.
#[inline(always)]
fn multiply_add<S: Simd>(
    s: S,
    rows: usize,
    factors: &Factors,
    panels: Panels,
    steps: usize,
    columns: std::ops::Range<usize>,
    sums: Sums,
) {
    match panels {
        Panels::F32(panels) => multiply_add_of(s, rows, factors, panels, steps, columns, sums),
        Panels::F16(panels) => multiply_add_of(s, rows, factors, panels, steps, columns, sums),
    }
}

#[inline(always)]
fn multiply_add_of<S: Simd, T: Stored>(
    s: S,
    rows: usize,
    factors: &Factors,
    panels: &[[T; LANES]],
    steps: usize,
    columns: std::ops::Range<usize>,
    sums: Sums,
) {
    // Together enough independent sums to hide the latency of an addition, and few enough for 16 registers.
    match rows {
        1 => each::<S, T, 1, 4>(s, factors, panels, steps, columns, sums),
        2 => each::<S, T, 2, 2>(s, factors, panels, steps, columns, sums),
        3 => each::<S, T, 3, 1>(s, factors, panels, steps, columns, sums),
        _ => each::<S, T, 4, 1>(s, factors, panels, steps, columns, sums),
    }
}

/// [`multiply_add`] for `R` rows, `P` panels at a time.
#[inline(always)]
fn each<S: Simd, T: Stored, const R: usize, const P: usize>(
    s: S,
    factors: &Factors,
    panels: &[[T; LANES]],
    steps: usize,
    columns: std::ops::Range<usize>,
    sums: Sums,
) {
    let Sums { values, stride } = sums;
    let count = panels.len() / steps;
    let mut first = 0;
    while first < count {
        let panels = &panels[first * steps + columns.start..];
        let sums = &mut values[first * LANES..];
        if P > 1 && count - first >= P {
            product::<S, T, R, P>(s, factors, panels, steps, columns.len(), sums, stride);
            first += P;
        } else {
            product::<S, T, R, 1>(s, factors, panels, steps, columns.len(), sums, stride);
            first += 1;
        }
    }
}

/// `sums[r · stride + 8p + j] += Σₖ factors[r][k] · panels[p · steps + k][j]` for the first `columns` k.
// Out of line in WebAssembly, where a call costs little and engines allocate registers better in small functions; natively a function
// that is not inlined would not be compiled for its caller's instruction set. Arguments are plain numbers: what is in memory would be
// read in other pieces than it was written in, which takes a processor long.
#[cfg_attr(target_arch = "wasm32", inline(never))]
#[cfg_attr(not(target_arch = "wasm32"), inline(always))]
fn product<S: Simd, T: Stored, const R: usize, const P: usize>(
    s: S,
    factors: &Factors,
    panels: &[[T; LANES]],
    steps: usize,
    columns: usize,
    sums: &mut [f32],
    stride: usize,
) {
    let mask = s.hold_constants().splat_i32(F16_MASK);
    let columns = columns.min(BLOCK);
    let panels: [_; P] = std::array::from_fn(|p| &panels[p * steps..][..columns]);
    let at = |r: usize, p: usize| r * stride + p * LANES;
    let mut local: [[[S::V; 2]; R]; P] = std::array::from_fn(|p| {
        std::array::from_fn(|r| load(s, sums[at(r, p)..].first_chunk().expect("a panel's sums")))
    });
    for k in 0..columns {
        let factors = std::array::from_fn::<_, R, _>(|r| s.splat_f32(factors[r][k]));
        for (panel, local) in panels.iter().zip(&mut local) {
            let column = T::widen(s, mask, &panel[k]);
            for (factor, sums) in factors.iter().zip(local) {
                for (sum, value) in sums.iter_mut().zip(column) {
                    *sum = s.add_f32(*sum, s.mul_f32(*factor, value));
                }
            }
        }
    }
    for (p, local) in local.iter().enumerate() {
        for (r, &local) in local.iter().enumerate() {
            let sums = sums[at(r, p)..].first_chunk_mut::<LANES>();
            store(s, local, sums.expect("a panel's sums"));
        }
    }
}

/// A stored value that takes few instructions to convert.
trait Stored: Copy {
    /// A column of a panel as floats; of halves, divided by [`PLACED`]. `mask` is [`F16_MASK`], repeated.
    fn widen<S: Simd>(s: S, mask: S::V, column: &[Self; LANES]) -> [S::V; 2];
}

impl Stored for f32 {
    #[inline(always)]
    fn widen<S: Simd>(s: S, _: S::V, column: &[f32; LANES]) -> [S::V; 2] {
        load(s, column)
    }
}

impl Stored for f16 {
    #[inline(always)]
    fn widen<S: Simd>(s: S, mask: S::V, column: &[f16; LANES]) -> [S::V; 2] {
        let bits = column.reinterpret_cast();
        let fours = <[[u8; 8]; 2]>::ref_from_bytes(bits.as_bytes()).expect("two times four halves");
        fours
            .each_ref()
            .map(|four| place_half_with(s, mask, s.load_i16(four)))
    }
}

/// Eight floats.
#[inline(always)]
pub(super) fn load<S: Simd>(s: S, floats: &[f32; LANES]) -> [S::V; 2] {
    let halves = <[[u8; 16]; 2]>::ref_from_bytes(floats.as_bytes()).expect("eight floats");
    [s.load(&halves[0]), s.load(&halves[1])]
}

/// Stores eight floats.
#[inline(always)]
pub(super) fn store<S: Simd>(s: S, v: [S::V; 2], floats: &mut [f32; LANES]) {
    let halves = <[[u8; 16]; 2]>::mut_from_bytes(floats.as_mut_bytes()).expect("eight floats");
    for (half, v) in halves.iter_mut().zip(v) {
        s.store(v, half);
    }
}
