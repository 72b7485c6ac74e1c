//! Q6_K: super-blocks of 256 6-bit weights, an 8-bit scale for each 16.
//!
//! ```text
//! d       4 × f32: single precision, as in Q4_K
//! scales  4 × 16 B   vector i: the scales of sub-blocks 4i… of each row
//! values  16 × 3 × 16 B   vectors of sub-block g: columns 0…, 4…, 8… in the lower six bits; columns 12… in the
//!         upper two, their bits 0–1, 2–3, 4–5
//! ```
//!
//! That is as large as the file's nibbles and pairs of bits, but takes 11 operations instead of 17 to unpack.
//!
//! Per super-block and row, with weights `w`, scales `sᵍ` of sub-block `g`, activations `q` of scale `a`:
//! `acc += Σᵍ sᵍ Σ(w − 32)q · (d · a)`, the sums as integers.

use std::hint::black_box;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::tile256::{NoMins, Panel256, tile256};
use super::{Codec, GROUP, Layout, PANEL, Sums};
use crate::Format;
use crate::dequantize::half_at;
use crate::dot::{ByteForm, DotForm, set_row};
use crate::format::SUPER_BLOCK;
use crate::isa::{Bytes16, Simd};
use crate::prepared::{Block256, TILE};

pub(crate) struct Q6K;

/// Sub-blocks of 16 in a super-block.
const SUB_BLOCKS: usize = SUPER_BLOCK / 16;

/// Steps in a sub-block.
const STEPS: usize = 4;

/// Where the fields of a block of the file begin.
const UPPERS_AT: usize = 128;
const SCALES_AT: usize = 192;
const D_AT: usize = 208;

/// Four rows × 256 columns.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct Block {
    d: Bytes16,
    scales: [Bytes16; SUB_BLOCKS / 4],
    values: [[Bytes16; STEPS - 1]; SUB_BLOCKS],
}

/// Only the number in single precision is larger than in the file.
const _: () = assert!(size_of::<Block>() == GROUP * (Format::Q6_K.block_bytes() + 2));

/// Where sub-block `g` lies in the file: its nibbles, whether they are the upper ones, its pairs of bits, and which
/// of the four pairs they are.
#[inline(always)]
fn position(g: usize) -> (usize, bool, usize, usize) {
    let (half, quarter, l) = (g / 8, g % 8 / 2, g % 2 * 16);
    (
        half * 64 + quarter % 2 * 32 + l,
        quarter >= 2,
        UPPERS_AT + half * 32 + l,
        quarter,
    )
}

/// The four steps of a sub-block.
#[inline(always)]
fn steps<S: Simd>(s: S, values: &[Bytes16; STEPS - 1]) -> [S::V; STEPS] {
    let [a, b, c] = [0, 1, 2].map(|i| s.load(&values[i]));
    let six = s.splat_u8(0x3f);
    let low = s.and(s.shr_u16::<6>(a), s.splat_u8(0x03));
    let middle = s.and(s.shr_u16::<4>(b), s.splat_u8(0x0c));
    let high = s.and(s.shr_u16::<2>(c), s.splat_u8(0x30));
    [
        s.and(a, six),
        s.and(b, six),
        s.and(c, six),
        s.or(s.or(low, middle), high),
    ]
}

/// The start of an accumulator, which centres the weights: 32 times the sum of the activations.
#[inline(always)]
fn start<S: Simd>(s: S, sum: &Bytes16) -> S::V {
    s.shl_i16::<5>(s.load(sum))
}

impl Codec for Q6K {
    const FORMAT: Format = Format::Q6_K;
    type Layout = Self;

    #[inline(always)]
    fn pack<S: Simd>(s: S, rows: [&[u8]; GROUP], to: &mut Block) {
        let load =
            |at: usize| rows.map(|row| s.load(row[at..].first_chunk().expect("a whole block")));
        for (r, row) in rows.iter().enumerate() {
            to.d[4 * r..][..4].copy_from_slice(&half_at(row, D_AT).to_le_bytes());
        }
        for (v, to) in s.transpose(load(SCALES_AT)).into_iter().zip(&mut to.scales) {
            s.store(v, to);
        }
        for (g, to) in to.values.iter_mut().enumerate() {
            let (nibbles_at, is_upper, uppers_at, pair) = position(g);
            let nibbles = load(nibbles_at)
                .map(|v| if is_upper { s.shr_u16::<4>(v) } else { v })
                .map(|v| s.and(v, s.splat_u8(0x0f)));
            let uppers = load(uppers_at)
                .map(|v| match pair {
                    0 => s.shl_i16::<4>(v),
                    1 => s.shl_i16::<2>(v),
                    2 => v,
                    _ => s.shr_u16::<2>(v),
                })
                .map(|v| s.and(v, s.splat_u8(0x30)));
            let [a, b, c, last] = s.transpose([0, 1, 2, 3].map(|r| s.or(nibbles[r], uppers[r])));
            let top = s.splat_u8(0xc0);
            s.store(s.or(a, s.and(s.shl_i16::<6>(last), top)), &mut to[0]);
            s.store(s.or(b, s.and(s.shl_i16::<4>(last), top)), &mut to[1]);
            s.store(s.or(c, s.and(s.shl_i16::<2>(last), top)), &mut to[2]);
        }
    }

    fn unpack_row(block: &Block, row: usize, to: &mut [u8]) {
        to.fill(0);
        for (g, values) in block.values.iter().enumerate() {
            let (nibbles_at, is_upper, uppers_at, pair) = position(g);
            for k in 0..16 {
                let [a, b, c] = [0, 1, 2].map(|i| values[i][4 * row + k % 4]);
                let value = match k / 4 {
                    3 => a >> 6 | b >> 6 << 2 | c >> 6 << 4,
                    i => [a, b, c][i] & 0x3f,
                };
                to[nibbles_at + k] |= (value & 0x0f) << (if is_upper { 4 } else { 0 });
                to[uppers_at + k] |= value >> 4 << (2 * pair);
            }
        }
        for (to, scales) in to[SCALES_AT..D_AT].chunks_exact_mut(4).zip(&block.scales) {
            to.copy_from_slice(&scales[4 * row..][..4]);
        }
        let [a, b, c, d] = [0, 1, 2, 3].map(|i| block.d[4 * row + i]);
        let d = half::f16::from_f32(f32::from_le_bytes([a, b, c, d]));
        to[D_AT..].copy_from_slice(&d.to_le_bytes());
    }
}

impl Layout for Q6K {
    const NAME: &'static str = "q6_k";
    const LEN: usize = SUPER_BLOCK;
    type Block = Block;
    type Panel<S: Simd> = Panel256<<S::Dot as DotForm>::Weights, SUB_BLOCKS, NoMins>;
    type Row<S: Simd> = Block256<<S::Dot as DotForm>::Step, 1>;
    type Tile<S: Simd> = Block256<<S::Dot as DotForm>::Step, TILE>;

    #[inline(always)]
    fn dot<S: Simd>(s: S, block: &Self::Block, acts: &Self::Row<S>, acc: S::V) -> S::V {
        let mut sum = s.splat_i32(0);
        // Opaque, so that the loop is not unrolled: a large function takes an engine long to optimize.
        let quarters = block.scales.iter().take(black_box(block.scales.len()));
        let values = block.values.as_chunks::<4>().0.iter();
        let columns = acts.steps.as_chunks::<STEPS>().0.as_chunks::<4>().0.iter();
        let starts = acts.sums.as_chunks::<4>().0;
        for (((scales, values), columns), starts) in quarters.zip(values).zip(columns).zip(starts) {
            let scales = s.load(scales);
            for (g, (values, columns)) in values.iter().zip(columns).enumerate() {
                let mut dot = start(s, &starts[g][0]);
                for (w, step) in steps(s, values).into_iter().zip(columns) {
                    dot = S::Dot::sub(s, dot, w, &step[0]);
                }
                let scale = S::Dot::scale_i8(s, scales, g);
                sum = s.add_i32(sum, S::Dot::scaled(s, dot, scale));
            }
        }
        let scale = s.mul_f32(s.load(&block.d), s.load(&acts.scale[0]));
        s.add_f32(acc, s.mul_f32(s.to_f32(sum), scale))
    }

    #[inline(always)]
    fn panel<S: Simd>(s: S, blocks: [&Self::Block; PANEL], to: &mut Self::Panel<S>) {
        for (half, block) in blocks.into_iter().enumerate() {
            let groups = to.steps.as_chunks_mut::<STEPS>().0;
            for (values, to) in block.values.iter().zip(groups) {
                for (w, to) in steps(s, values).into_iter().zip(to) {
                    set_row(half, S::Dot::weights(s, w), to);
                }
            }
            for (g, to) in to.scales.iter_mut().enumerate() {
                let scale = S::Dot::scale_i8(s, s.load(&block.scales[g / 4]), g % 4);
                s.store(scale, &mut to[half]);
            }
            to.d[half] = block.d;
        }
    }

    #[inline(always)]
    fn tile<S: Simd>(s: S, panels: &[Self::Panel<S>], acts: &[Self::Tile<S>], sums: &mut Sums) {
        tile256::<S, S::Dot, SUB_BLOCKS, NoMins>(s, panels, acts, sums, |sum| start(s, sum));
    }
}
