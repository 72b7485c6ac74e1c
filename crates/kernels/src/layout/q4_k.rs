//! Q4_K and Q5_K: super-blocks of 256 nibbles, with or without fifth bits; scale and minimum for each 32.
//!
//! ```text
//! d, dmin 4 × f32 each: single precision, because values this small are often subnormal as half precision, and
//!         several processors multiply subnormal numbers very slowly
//! scales  3 × 16 B   the file's 12 bytes of 6-bit scales and minimums, four at a time
//! high    8 × 16 B   vector q: columns 4q… of each sub-block; bit j is the fifth bit in sub-block j      Q5_K
//! nibbles 4 × 8 × 16 B   vector (j, q): columns 4q… of sub-block 2j (lower nibbles) and 2j + 1 (upper)
//! ```
//!
//! Per super-block and row, with weights `w`, 6-bit scales `sⱼ` and minimums `mⱼ` of sub-block `j`, activations `q`
//! of scale `a`: `acc −= Σⱼ mⱼ Σq · (dmin · a)`, then `acc += Σⱼ sⱼ Σwq · (d · a)`, both sums as integers.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::tile256::{Panel256, tile256};
use super::{GROUP, Layout, PANEL, Sums};
use crate::Format;
use crate::dequantize::half_at;
use crate::dot::DotForm;
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
    high: [[Bytes16; STEPS]; HIGH],
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
    const NIBBLES_AT: usize = HIGH_AT + BLOCK * HIGH;

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

    /// Step `q` of sub-block `j`.
    #[inline(always)]
    fn step<S: Simd>(&self, s: S, j: usize, q: usize) -> S::V {
        let nibbles = s.load(&self.nibbles[j / 2][q]);
        let nibbles = if j.is_multiple_of(2) {
            nibbles
        } else {
            s.shr_u16::<4>(nibbles)
        };
        let w = s.and(nibbles, s.splat_u8(0x0f));
        let Some(high) = self.high.first() else {
            return w;
        };
        let bits = s.load(&high[q]);
        // Bit j of each byte, moved to place 4; neighbours' bits are masked away.
        let fifth = match j {
            0 => s.shl_i16::<4>(bits),
            1 => s.shl_i16::<3>(bits),
            2 => s.shl_i16::<2>(bits),
            3 => s.shl_i16::<1>(bits),
            4 => bits,
            5 => s.shr_u16::<1>(bits),
            6 => s.shr_u16::<2>(bits),
            _ => s.shr_u16::<3>(bits),
        };
        s.or(w, s.and(fifth, s.splat_u8(0x10)))
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

impl<const HIGH: usize, const SCALES: usize> Layout for SuperNibbles<HIGH, SCALES> {
    const FORMAT: Format = if HIGH == 0 {
        Format::Q4_K
    } else {
        Format::Q5_K
    };
    const LEN: usize = SUPER_BLOCK;
    type Block = Block<HIGH>;
    type Panel = Panel256<SCALES, 1>;
    type Acts<S: Simd, const COLS: usize> = Block256<<S::Dot as DotForm>::Step, COLS>;

    #[inline(always)]
    fn pack<S: Simd>(s: S, rows: [&[u8]; GROUP], to: &mut Self::Block) {
        for (r, row) in rows.iter().enumerate() {
            to.d[4 * r..][..4].copy_from_slice(&half_at(row, 0).to_le_bytes());
            to.dmin[4 * r..][..4].copy_from_slice(&half_at(row, 2).to_le_bytes());
            for (i, to) in to.scales.iter_mut().enumerate() {
                to[4 * r..][..4].copy_from_slice(&row[SCALES_AT + 4 * i..][..4]);
            }
        }
        let words = to.high.as_flattened_mut().as_chunks_mut::<4>().0.iter_mut();
        let nibbles = to.nibbles.as_flattened_mut().as_chunks_mut::<4>().0;
        for (i, to) in words.chain(nibbles).enumerate() {
            let at = HIGH_AT + 16 * i;
            let words = rows.map(|row| s.load(row[at..].first_chunk().expect("a whole block")));
            for (v, to) in s.transpose(words).into_iter().zip(to) {
                s.store(v, to);
            }
        }
    }

    fn unpack_row(block: &Self::Block, row: usize, to: &mut [u8]) {
        let half = |singles: &Bytes16| {
            let [a, b, c, d] = [0, 1, 2, 3].map(|i| singles[4 * row + i]);
            half::f16::from_f32(f32::from_le_bytes([a, b, c, d])).to_le_bytes()
        };
        to[..2].copy_from_slice(&half(&block.d));
        to[2..4].copy_from_slice(&half(&block.dmin));
        let vectors = block.scales.iter().chain(block.high.as_flattened());
        let vectors = vectors.chain(block.nibbles.as_flattened());
        for (to, vector) in to[SCALES_AT..].chunks_exact_mut(4).zip(vectors) {
            to.copy_from_slice(&vector[4 * row..][..4]);
        }
        debug_assert_eq!(to.len(), Block::<HIGH>::NIBBLES_AT + SUPER_BLOCK / 2);
    }

    #[inline(always)]
    fn dot<S: Simd>(s: S, block: &Self::Block, acts: &Self::Acts<S, 1>, acc: S::V) -> S::V {
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

        let mut sum = s.splat_i32(0);
        for j in 0..SUB_BLOCKS {
            let scale = S::Dot::scale_u8(s, scales[j / 4], j % 4);
            let parts = SCALES / SUB_BLOCKS;
            for part in 0..parts {
                let mut dot = s.splat_i32(0);
                for q in STEPS / parts * part..STEPS / parts * (part + 1) {
                    let step = &acts.steps[STEPS * j + q][0];
                    dot = S::Dot::sub(s, dot, block.step(s, j, q), step);
                }
                sum = s.add_i32(sum, S::Dot::scaled(s, dot, scale));
            }
        }
        let scale = s.mul_f32(s.load(&block.d), act_scale);
        s.add_f32(acc, s.mul_f32(s.to_f32(sum), scale))
    }

    #[inline(always)]
    fn panel<S: Simd>(s: S, blocks: [&Self::Block; PANEL], to: &mut Self::Panel) {
        for (half, block) in blocks.into_iter().enumerate() {
            let (scales, mins) = block.scales_and_mins(s);
            for (i, to) in to.scales.iter_mut().enumerate() {
                let j = i * SUB_BLOCKS / SCALES;
                s.store(S::Dot::scale_u8(s, scales[j / 4], j % 4), &mut to[half]);
            }
            for (pair, to) in pairs(s, mins).into_iter().zip(&mut to.mins[0]) {
                s.store(pair, &mut to[half]);
            }
            for (j, to) in to.steps.as_chunks_mut::<STEPS>().0.iter_mut().enumerate() {
                for (q, to) in to.iter_mut().enumerate() {
                    s.store(block.step(s, j, q), &mut to[half]);
                }
            }
            to.d[half] = block.d;
            to.dmin[0][half] = block.dmin;
        }
    }

    #[inline(always)]
    fn tile<S: Simd>(s: S, panels: &[Self::Panel], acts: &[Self::Acts<S, TILE>], sums: &mut Sums) {
        tile256::<S, S::Dot, SCALES, 1>(s, panels, acts, sums, |_| s.splat_i32(0));
    }
}
