//! Q4_K and Q5_K: super-blocks of 256 nibbles, with or without fifth bits; scale and minimum for each 32.
//!
//! ```text
//! d, dmin 4 × f32 each: single precision, because values this small are often subnormal as half precision, and
//!         several processors multiply subnormal numbers very slowly
//! scales  3 × 16 B   the file's 12 bytes of 6-bit scales and minimums, four at a time
//! high    8 × 16 B   vector j: the fifth bits of sub-block j, as in Q5_0      Q5_K
//! nibbles 8 × 4 × 16 B   vector (j, q): columns 4q… of sub-block j in the lower nibbles, 16 + 4q… in the upper: the file
//!         has two sub-blocks in the nibbles of a byte
//! ```
//!
//! Per super-block and row, with weights `w`, 6-bit scales `sⱼ` and minimums `mⱼ` of sub-block `j`, activations `q`
//! of scale `a`: `acc −= Σⱼ mⱼ Σq · (dmin · a)`, then `acc += Σⱼ sⱼ Σwq · (d · a)`, both sums as integers.

use std::hint::black_box;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::nibbles::{StepOf, Unpack, Weights, WeightsOf};
use super::tile256::{PairedMins, Panel256, tile256};
use super::{Codec, GROUP, Layout, PANEL, Sums};
use crate::Format;
use crate::dequantize::half_at;
use crate::dot::{DotForm, set_row};
use crate::format::{BLOCK, SUPER_BLOCK};
use crate::isa::{Bytes16, Simd, ZERO};
use crate::prepared::{Block256, STEPS, TILE};

/// The family; `HIGH` is 0 or 1, and `SCALES` is how many scales a panel has: 8, or 16 with fifth bits, where an
/// accumulator can only take 16 columns.
pub(crate) struct SuperNibbles<const HIGH: usize, const SCALES: usize>;

pub(crate) type Q4K = SuperNibbles<0, 8>;
pub(crate) type Q5K = SuperNibbles<1, 16>;

/// Sub-blocks of 32 in a super-block.
const SUB_BLOCKS: usize = SUPER_BLOCK / BLOCK;

/// Four rows × 256 columns.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct Block<const HIGH: usize> {
    d: Bytes16,
    dmin: Bytes16,
    scales: [Bytes16; 3],
    high: [[Bytes16; HIGH]; SUB_BLOCKS],
    nibbles: [[Bytes16; STEPS / 2]; SUB_BLOCKS],
}

/// Only the two numbers in single precision are larger than in the file.
const _: () = {
    assert!(size_of::<Block<0>>() == GROUP * (Format::Q4_K.block_bytes() + 4));
    assert!(size_of::<Block<1>>() == GROUP * (Format::Q5_K.block_bytes() + 4));
};

/// Where the fields of a block of the file begin.
const SCALES_AT: usize = 4;
const HIGH_AT: usize = 16;

impl<const HIGH: usize> Block<HIGH> {
    /// The scales of sub-blocks 0–3 and 4–7 as bytes, and their minimums.
    #[inline(always)]
    fn scales_and_mins<S: Simd>(&self, s: S) -> ([S::V; 2], [S::V; 2]) {
        let [first, second, third] = [0, 1, 2].map(|i| s.load(&self.scales[i]));
        let six = s.splat_u8(0x3f);
        let (low, high) = (s.splat_u8(0x0f), s.splat_u8(0x30));
        let upper = |v| s.and(s.shr_u16::<2>(v), high);
        (
            [s.and(first, six), s.or(s.and(third, low), upper(first))],
            [
                s.and(second, six),
                s.or(s.and(s.shr_u16::<4>(third), low), upper(second)),
            ],
        )
    }
}

/// Minimums of sub-blocks 0–3 and 4–7 as pairs of `i16`, as the sums of activations are.
#[inline(always)]
fn pairs<S: Simd>(s: S, mins: [S::V; 2]) -> [S::V; SUB_BLOCKS / 2] {
    const fn indices(first: u8) -> Bytes16 {
        let mut indices = [ZERO; 16];
        let mut lane = 0;
        while lane < 4 {
            indices[4 * lane] = 4 * lane as u8 + first;
            indices[4 * lane + 2] = 4 * lane as u8 + first + 1;
            lane += 1;
        }
        indices
    }
    const LOW: Bytes16 = indices(0);
    const HIGH: Bytes16 = indices(2);
    [
        s.swizzle(mins[0], &LOW),
        s.swizzle(mins[0], &HIGH),
        s.swizzle(mins[1], &LOW),
        s.swizzle(mins[1], &HIGH),
    ]
}

impl<const HIGH: usize, const SCALES: usize> SuperNibbles<HIGH, SCALES> {
    const NIBBLES_AT: usize = HIGH_AT + BLOCK * HIGH;

    /// How many accumulators a sub-block takes.
    const PARTS: usize = SCALES / SUB_BLOCKS;
}

/// Exchanges the upper `N` of every 2 `N` bits of the first vector with the lower `N` of the second's.
#[inline(always)]
fn exchange<S: Simd, const N: i32>(s: S, [a, b]: [S::V; 2]) -> [S::V; 2] {
    // Every other `N` bits of a byte.
    let mask = u8::MAX / ((1 << N) + 1);
    let (lower, upper) = (s.splat_u8(mask), s.splat_u8(!mask));
    [
        s.or(s.and(a, lower), s.shl_i16::<N>(s.and(b, lower))),
        s.or(s.shr_u16::<N>(s.and(a, upper)), s.and(b, upper)),
    ]
}

/// Bit `i` of each byte of vector `j` becomes bit `j` of that byte of vector `i`.
#[inline(always)]
fn transpose_bits<S: Simd>(s: S, mut v: [S::V; 8]) -> [S::V; 8] {
    for i in [0, 1, 2, 3] {
        [v[i], v[i + 4]] = exchange::<S, 4>(s, [v[i], v[i + 4]]);
    }
    for i in [0, 1, 4, 5] {
        [v[i], v[i + 2]] = exchange::<S, 2>(s, [v[i], v[i + 2]]);
    }
    for i in [0, 2, 4, 6] {
        [v[i], v[i + 1]] = exchange::<S, 1>(s, [v[i], v[i + 1]]);
    }
    v
}

impl<const HIGH: usize, const SCALES: usize> Codec for SuperNibbles<HIGH, SCALES>
where
    Weights<HIGH>: Unpack<HIGH>,
{
    const FORMAT: Format = if HIGH == 0 {
        Format::Q4_K
    } else {
        Format::Q5_K
    };
    type Layout = Self;

    #[inline(always)]
    fn pack<S: Simd>(s: S, rows: [&[u8]; GROUP], to: &mut Block<HIGH>) {
        for (r, row) in rows.iter().enumerate() {
            to.d[4 * r..][..4].copy_from_slice(&half_at(row, 0).to_le_bytes());
            to.dmin[4 * r..][..4].copy_from_slice(&half_at(row, 2).to_le_bytes());
            for (i, to) in to.scales.iter_mut().enumerate() {
                to[4 * r..][..4].copy_from_slice(&row[SCALES_AT + 4 * i..][..4]);
            }
        }
        let load = |at: usize| {
            s.transpose(rows.map(|row| s.load(row[at..].first_chunk().expect("a whole block"))))
        };
        if HIGH == 1 {
            let ([a, b, c, d], [e, f, g, h]) = (load(HIGH_AT), load(HIGH_AT + 16));
            let bits = transpose_bits(s, [a, b, c, d, e, f, g, h]);
            for (bits, to) in bits.into_iter().zip(to.high.as_flattened_mut()) {
                s.store(bits, to);
            }
        }
        for (j, to) in to.nibbles.as_chunks_mut::<2>().0.iter_mut().enumerate() {
            let at = Self::NIBBLES_AT + BLOCK * j;
            let halves = load(at).into_iter().zip(load(at + 16));
            for (q, (first, second)) in halves.enumerate() {
                let pair = exchange::<S, 4>(s, [first, second]);
                for (nibbles, to) in pair.into_iter().zip(&mut *to) {
                    s.store(nibbles, &mut to[q]);
                }
            }
        }
    }

    fn unpack_row(block: &Block<HIGH>, row: usize, to: &mut [u8]) {
        let half = |singles: &Bytes16| {
            let [a, b, c, d] = [0, 1, 2, 3].map(|i| singles[4 * row + i]);
            half::f16::from_f32(f32::from_le_bytes([a, b, c, d])).to_le_bytes()
        };
        to[..2].copy_from_slice(&half(&block.d));
        to[2..4].copy_from_slice(&half(&block.dmin));
        let words = |to: &mut [u8], vectors: &[Bytes16]| {
            for (to, vector) in to.chunks_exact_mut(4).zip(vectors) {
                to.copy_from_slice(&vector[4 * row..][..4]);
            }
        };
        words(&mut to[SCALES_AT..HIGH_AT], &block.scales);
        for (l, to) in to[HIGH_AT..][..BLOCK * HIGH].iter_mut().enumerate() {
            let bit = |high: &Bytes16| high[4 * row + l % 4] >> (l / 4) & 1;
            let bits = block.high.as_flattened().iter().enumerate();
            *to = bits.fold(0, |bits, (j, high)| bits | bit(high) << j);
        }
        let pairs = block.nibbles.as_chunks::<2>().0;
        let bytes = to[Self::NIBBLES_AT..].chunks_exact_mut(BLOCK).zip(pairs);
        for (to, pair) in bytes {
            for (l, to) in to.iter_mut().enumerate() {
                let nibble = |sub_block: &[Bytes16; STEPS / 2]| {
                    sub_block[l % 16 / 4][4 * row + l % 4] >> (l / 16 * 4) & 0x0f
                };
                *to = nibble(&pair[0]) | nibble(&pair[1]) << 4;
            }
        }
    }
}

impl<const HIGH: usize, const SCALES: usize> Layout for SuperNibbles<HIGH, SCALES>
where
    Weights<HIGH>: Unpack<HIGH>,
{
    const NAME: &'static str = "q4_k";
    const LEN: usize = SUPER_BLOCK;
    const TWO_STREAMS: bool = false;
    type Block = Block<HIGH>;
    type Panel<S: Simd> = Panel256<WeightsOf<Weights<HIGH>, S, HIGH>, SCALES, PairedMins>;
    type Row<S: Simd> = Block256<StepOf<Weights<HIGH>, S, HIGH>, 1>;
    type Tile<S: Simd> = Block256<StepOf<Weights<HIGH>, S, HIGH>, TILE>;

    #[inline(always)]
    fn dot<S: Simd>(s: S, block: &Self::Block, acts: &Self::Row<S>, acc: S::V) -> S::V {
        let (scales, mins) = block.scales_and_mins(s);
        let act_scale = s.load(&acts.scale[0]);
        let [a, b, c, d] = pairs(s, mins);
        let pair = |mins, i: usize| s.dot_i16(mins, s.load(&acts.pairs[i][0]));
        let min = s.add_i32(
            s.add_i32(pair(a, 0), pair(b, 1)),
            s.add_i32(pair(c, 2), pair(d, 3)),
        );
        let scale = s.mul_f32(s.load(&block.dmin), act_scale);
        let acc = s.add_f32(acc, s.mul_f32(s.to_f32(min), scale));

        let mut row_scales = [[0; 16]; SUB_BLOCKS];
        for (j, to) in row_scales.iter_mut().enumerate() {
            s.store(S::Dot::scale_u8(s, scales[j / 4], j % 4), to);
        }
        let mut sum = s.splat_i32(0);
        // Opaque, so that the loop is not unrolled: a large function takes an engine long to optimize.
        let sub_blocks = block.nibbles.iter().take(black_box(SUB_BLOCKS));
        let columns = acts.steps.as_chunks::<STEPS>().0;
        for (((nibbles, steps), high), scale) in
            sub_blocks.zip(columns).zip(&block.high).zip(&row_scales)
        {
            let parts = nibbles.chunks_exact(STEPS / 2 / Self::PARTS);
            for (part, nibbles) in parts.enumerate() {
                let mut dot = s.splat_i32(0);
                for (i, nibbles) in nibbles.iter().enumerate() {
                    let q = STEPS / 2 / Self::PARTS * part + i;
                    let acts = [q, q + STEPS / 2].map(|step| &steps[step][0]);
                    dot = Weights::<HIGH>::sub(s, dot, nibbles, high, q, acts);
                }
                sum = s.add_i32(sum, S::Dot::scaled(s, dot, s.load(scale)));
            }
        }
        let scale = s.mul_f32(s.load(&block.d), act_scale);
        s.add_f32(acc, s.mul_f32(s.to_f32(sum), scale))
    }

    #[inline(always)]
    fn panel<S: Simd>(s: S, blocks: [&Self::Block; PANEL], to: &mut Self::Panel<S>) {
        for (half, block) in blocks.into_iter().enumerate() {
            let (scales, mins) = block.scales_and_mins(s);
            for (i, to) in to.scales.iter_mut().enumerate() {
                let j = i * SUB_BLOCKS / SCALES;
                s.store(S::Dot::scale_u8(s, scales[j / 4], j % 4), &mut to[half]);
            }
            for (pair, to) in pairs(s, mins).into_iter().zip(&mut to.mins.mins) {
                s.store(pair, &mut to[half]);
            }
            let sub_blocks = to.steps.as_chunks_mut::<STEPS>().0;
            for ((nibbles, high), steps) in block.nibbles.iter().zip(&block.high).zip(sub_blocks) {
                for (q, nibbles) in nibbles.iter().enumerate() {
                    let [low, upper] = Weights::<HIGH>::steps(s, nibbles, high, q);
                    set_row(half, low, &mut steps[q]);
                    set_row(half, upper, &mut steps[q + STEPS / 2]);
                }
            }
            to.d[half] = block.d;
            to.mins.d[half] = block.dmin;
        }
    }

    #[inline(always)]
    fn tile<S: Simd>(s: S, panels: &[Self::Panel<S>], acts: &[Self::Tile<S>], sums: &mut Sums) {
        tile256::<S, <Weights<HIGH> as Unpack<HIGH>>::Dot<S>, SCALES, PairedMins>(
            s,
            panels,
            acts,
            sums,
            |_| s.splat_i32(0),
        );
    }
}
