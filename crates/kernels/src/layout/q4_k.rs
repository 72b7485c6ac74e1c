//! Q4_K and Q5_K: super-blocks of 256 nibbles, with or without fifth bits; scale and minimum for each 32.
//!
//! ```text
//! d, dmin 4 × f32 each: single precision, because values this small are often subnormal as half precision, and
//!         several processors multiply subnormal numbers very slowly
//! scales  3 × 16 B   the file's 12 bytes of 6-bit scales and minimums, four at a time
//! high    4 × 2 × 16 B   vector (j, v): the fifth bits of nibbles (j, 4v…4v + 3): bit i of a byte belongs to the
//!         lower nibble of vector 4v + i, bit 4 + i to the upper      Q5_K
//! nibbles 4 × 8 × 16 B   vector (j, q): columns 4q… of sub-block 2j (lower nibbles) and 2j + 1 (upper)
//! ```
//!
//! Per super-block and row, with weights `w`, 6-bit scales `sⱼ` and minimums `mⱼ` of sub-block `j`, activations `q`
//! of scale `a`: `acc −= Σⱼ mⱼ Σq · (dmin · a)`, then `acc += Σⱼ sⱼ Σwq · (d · a)`, both sums as integers.

use std::hint::black_box;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

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
    high: [[[Bytes16; 2]; SUB_BLOCKS / 2]; HIGH],
    nibbles: [[Bytes16; STEPS]; SUB_BLOCKS / 2],
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

    /// Step `q` of sub-blocks `2j` and `2j + 1`.
    #[inline(always)]
    fn steps<S: Simd>(&self, s: S, j: usize, q: usize) -> [S::V; 2] {
        let nibbles = s.load(&self.nibbles[j][q]);
        let low = s.and(nibbles, s.splat_u8(0x0f));
        let high = s.and(s.shr_u16::<4>(nibbles), s.splat_u8(0x0f));
        let Some(bits) = self.high.first() else {
            return [low, high];
        };
        let bits = s.load(&bits[j][q / 4]);
        // Bits q % 4 and 4 + q % 4 of each byte, moved to place 4; neighbours' bits are masked away.
        let (fifth_low, fifth_high) = match q % 4 {
            0 => (s.shl_i16::<4>(bits), bits),
            1 => (s.shl_i16::<3>(bits), s.shr_u16::<1>(bits)),
            2 => (s.shl_i16::<2>(bits), s.shr_u16::<2>(bits)),
            _ => (s.shl_i16::<1>(bits), s.shr_u16::<3>(bits)),
        };
        let fifth = s.splat_u8(0x10);
        [
            s.or(low, s.and(fifth_low, fifth)),
            s.or(high, s.and(fifth_high, fifth)),
        ]
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

/// Bits 0 and 1 of each byte of vector `i` to bits `i` and `4 + i`.
#[inline(always)]
fn gather_bits<S: Simd>(s: S, vectors: [S::V; 4]) -> S::V {
    let [a, b, c, d] = vectors.map(|v| {
        // Both bits where those of vector 0 belong.
        let second = s.shl_i16::<3>(s.and(v, s.splat_u8(0x02)));
        s.or(s.and(v, s.splat_u8(0x01)), second)
    });
    let (b, c, d) = (s.shl_i16::<1>(b), s.shl_i16::<2>(c), s.shl_i16::<3>(d));
    s.or(s.or(a, b), s.or(c, d))
}

impl<const HIGH: usize, const SCALES: usize> Codec for SuperNibbles<HIGH, SCALES> {
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
        if let Some(high) = to.high.first_mut() {
            let mut bits = [load(HIGH_AT), load(HIGH_AT + 16)];
            for to in high {
                for (bits, to) in bits.iter_mut().zip(to) {
                    s.store(gather_bits(s, *bits), to);
                    *bits = bits.map(|bits| s.shr_u16::<2>(bits));
                }
            }
        }
        let nibbles = to.nibbles.as_flattened_mut().as_chunks_mut::<4>().0;
        for (i, to) in nibbles.iter_mut().enumerate() {
            for (v, to) in load(Self::NIBBLES_AT + 16 * i).into_iter().zip(to) {
                s.store(v, to);
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
        words(&mut to[Self::NIBBLES_AT..], block.nibbles.as_flattened());
        if let Some(high) = block.high.first() {
            for (l, to) in to[HIGH_AT..][..BLOCK].iter_mut().enumerate() {
                let (q, at) = (l / 4, 4 * row + l % 4);
                let bit = |j: usize| high[j / 2][q / 4][at] >> (q % 4 + j % 2 * 4) & 1;
                *to = (0..SUB_BLOCKS).fold(0, |bits, j| bits | bit(j) << j);
            }
        }
    }
}

impl<const HIGH: usize, const SCALES: usize> Layout for SuperNibbles<HIGH, SCALES> {
    const NAME: &'static str = "q4_k";
    const LEN: usize = SUPER_BLOCK;
    const TWO_STREAMS: bool = false;
    type Block = Block<HIGH>;
    type Panel<S: Simd> = Panel256<<S::Dot as DotForm>::Weights, SCALES, PairedMins>;
    type Row<S: Simd> = Block256<<S::Dot as DotForm>::Step, 1>;
    type Tile<S: Simd> = Block256<<S::Dot as DotForm>::Step, TILE>;

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

        let mut row_scales = [[[0; 16]; 2]; SUB_BLOCKS / 2];
        for (j, to) in row_scales.as_flattened_mut().iter_mut().enumerate() {
            s.store(S::Dot::scale_u8(s, scales[j / 4], j % 4), to);
        }
        let mut sum = s.splat_i32(0);
        // Opaque, so that the loop is not unrolled: a large function takes an engine long to optimize.
        let pairs = (0..SUB_BLOCKS / 2).take(black_box(SUB_BLOCKS / 2));
        for (j, scales) in pairs.zip(&row_scales) {
            let steps = &acts.steps[2 * STEPS * j..][..2 * STEPS];
            for part in 0..Self::PARTS {
                let (mut low, mut high) = (s.splat_i32(0), s.splat_i32(0));
                for q in STEPS / Self::PARTS * part..STEPS / Self::PARTS * (part + 1) {
                    let weights = block.steps(s, j, q);
                    low = S::Dot::sub(s, low, weights[0], &steps[q][0]);
                    high = S::Dot::sub(s, high, weights[1], &steps[STEPS + q][0]);
                }
                sum = s.add_i32(sum, S::Dot::scaled(s, low, s.load(&scales[0])));
                sum = s.add_i32(sum, S::Dot::scaled(s, high, s.load(&scales[1])));
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
            let pairs = to.steps.as_chunks_mut::<STEPS>().0.as_chunks_mut::<2>().0;
            for (j, [low, high]) in pairs.iter_mut().enumerate() {
                for (q, (low, high)) in low.iter_mut().zip(high).enumerate() {
                    let steps = block.steps(s, j, q);
                    set_row(half, S::Dot::weights(s, steps[0]), low);
                    set_row(half, S::Dot::weights(s, steps[1]), high);
                }
            }
            to.d[half] = block.d;
            to.mins.d[half] = block.dmin;
        }
    }

    #[inline(always)]
    fn tile<S: Simd>(s: S, panels: &[Self::Panel<S>], acts: &[Self::Tile<S>], sums: &mut Sums) {
        tile256::<S, S::Dot, SCALES, PairedMins>(s, panels, acts, sums, |_| s.splat_i32(0));
    }
}
