//! Q3_K: super-blocks of 256 3-bit weights, a 6-bit scale for each 16.
//!
//! ```text
//! d       4 × f32: single precision, as in Q4_K
//! scales  3 × 16 B   the file's 12 bytes of 6-bit scales, four at a time
//! values  8 × 3 × 16 B   vectors of sub-blocks 2p and 2p + 1: columns 0…, 4…, 8… of the first in bits 0–2, of the second
//!         in bits 3–5; columns 12… of the first in the upper two bits of vector 0 and bit 6 of vector 2, of the
//!         second in the upper two bits of vector 1 and bit 7 of vector 2
//! ```
//!
//! That is as large as the file's pairs and third bits, but takes 16 operations instead of 31 to unpack eight steps. The
//! second sub-block is not even moved into place: products with eight times its weights are summed apart, and their
//! sum, a multiple of eight, is divided at the end.
//!
//! Per super-block and row, with weights `w`, scales `sᵍ` (less 32) of sub-block `g`, activations `q` of scale `a`:
//! `acc += Σᵍ sᵍ Σ(w − 4)q · (d · a)`, the sums as integers.

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

pub(crate) struct Q3K;

/// Sub-blocks of 16 in a super-block.
const SUB_BLOCKS: usize = SUPER_BLOCK / 16;

/// Steps in a sub-block.
const STEPS: usize = 4;

/// Where the fields of a block of the file begin.
const PAIRS_AT: usize = 32;
const SCALES_AT: usize = 96;
const D_AT: usize = 108;

/// By how much the file's scales are raised to be unsigned.
const SCALE_CENTRE: u8 = 32;

/// Four rows × 256 columns.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct Block {
    d: Bytes16,
    scales: [Bytes16; 3],
    values: [[Bytes16; STEPS - 1]; SUB_BLOCKS / 2],
}

/// Only the number in single precision is larger than in the file.
const _: () = assert!(size_of::<Block>() == GROUP * (Format::Q3_K.block_bytes() + 2));

impl Block {
    /// The scales of sub-blocks 0–3, 4–7, 8–11 and 12–15 as signed bytes.
    #[inline(always)]
    fn scales<S: Simd>(&self, s: S) -> [S::V; 4] {
        let [first, second, third] = [0, 1, 2].map(|i| s.load(&self.scales[i]));
        let (low, high) = (s.splat_u8(0x0f), s.splat_u8(0x30));
        let centre = s.splat_u8(SCALE_CENTRE);
        [
            (first, s.shl_i16::<4>(third)),
            (second, s.shl_i16::<2>(third)),
            (s.shr_u16::<4>(first), third),
            (s.shr_u16::<4>(second), s.shr_u16::<2>(third)),
        ]
        .map(|(lower, upper)| s.sub_i8(s.or(s.and(lower, low), s.and(upper, high)), centre))
    }
}

/// The four steps of two sub-blocks; those of the second times eight.
#[inline(always)]
fn steps<S: Simd>(s: S, values: &[Bytes16; STEPS - 1]) -> [[S::V; STEPS]; 2] {
    let [a, b, c] = [0, 1, 2].map(|i| s.load(&values[i]));
    let first = |v| s.and(v, s.splat_u8(0x07));
    let second = |v| s.and(v, s.splat_u8(0x38));
    let last_first = s.or(
        s.and(s.shr_u16::<6>(a), s.splat_u8(0x03)),
        s.and(s.shr_u16::<4>(c), s.splat_u8(0x04)),
    );
    let last_second = s.or(
        s.and(s.shr_u16::<3>(b), s.splat_u8(0x18)),
        s.and(s.shr_u16::<2>(c), s.splat_u8(0x20)),
    );
    [
        [first(a), first(b), first(c), last_first],
        [second(a), second(b), second(c), last_second],
    ]
}

/// The start of an accumulator, which centres the weights: 4 times the sum of the activations.
#[inline(always)]
fn start<S: Simd>(s: S, sum: &Bytes16) -> S::V {
    s.shl_i16::<2>(s.load(sum))
}

/// [`start`] for eight times the weights.
#[inline(always)]
fn start_of_eightfold<S: Simd>(s: S, sum: &Bytes16) -> S::V {
    s.shl_i16::<5>(s.load(sum))
}

impl Codec for Q3K {
    const FORMAT: Format = Format::Q3_K;
    type Layout = Self;

    #[inline(always)]
    fn pack<S: Simd>(s: S, rows: [&[u8]; GROUP], to: &mut Block) {
        let load =
            |at: usize| rows.map(|row| s.load(row[at..].first_chunk().expect("a whole block")));
        for (r, row) in rows.iter().enumerate() {
            to.d[4 * r..][..4].copy_from_slice(&half_at(row, D_AT).to_le_bytes());
            for (i, to) in to.scales.iter_mut().enumerate() {
                to[4 * r..][..4].copy_from_slice(&row[SCALES_AT + 4 * i..][..4]);
            }
        }
        // Bits are taken from the lower end, then the next ones are moved there.
        let mut thirds = [load(0), load(16)];
        let halves = to.values.as_chunks_mut::<4>().0.iter_mut().enumerate();
        for (half, to) in halves {
            let at = PAIRS_AT + 32 * half;
            let mut pairs = [load(at), load(at + 16)];
            for to in to {
                let sub_block = |i: usize| {
                    s.transpose([0, 1, 2, 3].map(|r| {
                        let low = s.and(pairs[i][r], s.splat_u8(0x03));
                        let high = s.and(thirds[i][r], s.splat_u8(0x01));
                        s.or(low, s.shl_i16::<2>(high))
                    }))
                };
                let ([a, b, c, d], [e, f, g, h]) = (sub_block(0), sub_block(1));
                let (two, third) = (s.splat_u8(0x03), s.splat_u8(0x04));
                let both = |first, second| s.or(first, s.shl_i16::<3>(second));
                let top = |last| s.shl_i16::<6>(s.and(last, two));
                s.store(s.or(both(a, e), top(d)), &mut to[0]);
                s.store(s.or(both(b, f), top(h)), &mut to[1]);
                let thirds_of_last = s.or(
                    s.shl_i16::<4>(s.and(d, third)),
                    s.shl_i16::<5>(s.and(h, third)),
                );
                s.store(s.or(both(c, g), thirds_of_last), &mut to[2]);
                pairs = pairs.map(|rows| rows.map(|v| s.shr_u16::<2>(v)));
                thirds = thirds.map(|rows| rows.map(|v| s.shr_u16::<1>(v)));
            }
        }
    }

    fn unpack_row(block: &Block, row: usize, to: &mut [u8]) {
        to.fill(0);
        for (p, values) in block.values.iter().enumerate() {
            for l in 0..32 {
                let (is_second, step, at) = (l / 16, l % 16 / 4, 4 * row + l % 4);
                let [a, b, c] = [0, 1, 2].map(|i| values[i][at]);
                let value = match (step, is_second) {
                    (3, 0) => a >> 6 | (c >> 6 & 1) << 2,
                    (3, _) => b >> 6 | (c >> 7) << 2,
                    _ => [a, b, c][step] >> (3 * is_second) & 7,
                };
                to[PAIRS_AT + p / 4 * 32 + l] |= (value & 3) << (p % 4 * 2);
                to[l] |= value >> 2 << p;
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

impl Layout for Q3K {
    const NAME: &'static str = "q3_k";
    const LEN: usize = SUPER_BLOCK;
    type Block = Block;
    type Panel<S: Simd> = Panel256<<S::Dot as DotForm>::Weights, SUB_BLOCKS, NoMins>;
    type Row<S: Simd> = Block256<<S::Dot as DotForm>::Step, 1>;
    type Tile<S: Simd> = Block256<<S::Dot as DotForm>::Step, TILE>;

    #[inline(always)]
    fn dot<S: Simd>(s: S, block: &Self::Block, acts: &Self::Row<S>, acc: S::V) -> S::V {
        let mut row_scales = [[0; 16]; 4];
        for (scales, to) in block.scales(s).into_iter().zip(&mut row_scales) {
            s.store(scales, to);
        }
        let (mut sum, mut eightfold) = (s.splat_i32(0), s.splat_i32(0));
        // Opaque, so that the loop is not unrolled: a large function takes an engine long to optimize.
        let quarters = row_scales.iter().take(black_box(row_scales.len()));
        let values = block.values.as_chunks::<2>().0.iter();
        let columns = acts.steps.as_chunks::<STEPS>().0.as_chunks::<4>().0.iter();
        let starts = acts.sums.as_chunks::<4>().0;
        for (((scales, values), columns), starts) in quarters.zip(values).zip(columns).zip(starts) {
            let scales = s.load(scales);
            for (p, values) in values.iter().enumerate() {
                let [first, second] = steps(s, values);
                let mut dots = [
                    start(s, &starts[2 * p][0]),
                    start_of_eightfold(s, &starts[2 * p + 1][0]),
                ];
                for (q, (first, second)) in first.into_iter().zip(second).enumerate() {
                    dots[0] = S::Dot::sub(s, dots[0], first, &columns[2 * p][q][0]);
                    dots[1] = S::Dot::sub(s, dots[1], second, &columns[2 * p + 1][q][0]);
                }
                let [first, second] = [0, 1]
                    .map(|i| S::Dot::scaled(s, dots[i], S::Dot::scale_i8(s, scales, 2 * p + i)));
                sum = s.add_i32(sum, first);
                eightfold = s.add_i32(eightfold, second);
            }
        }
        let sum = s.add_i32(sum, s.shr_i32::<3>(eightfold));
        let scale = s.mul_f32(s.load(&block.d), s.load(&acts.scale[0]));
        s.add_f32(acc, s.mul_f32(s.to_f32(sum), scale))
    }

    #[inline(always)]
    fn panel<S: Simd>(s: S, blocks: [&Self::Block; PANEL], to: &mut Self::Panel<S>) {
        for (half, block) in blocks.into_iter().enumerate() {
            let sub_blocks = to.steps.as_chunks_mut::<STEPS>().0.as_chunks_mut::<2>().0;
            for (values, [to_first, to_second]) in block.values.iter().zip(sub_blocks) {
                let [first, second] = steps(s, values);
                for (w, to) in first.into_iter().zip(to_first) {
                    set_row(half, S::Dot::weights(s, w), to);
                }
                for (w, to) in second.into_iter().zip(to_second) {
                    set_row(half, S::Dot::weights(s, s.shr_u16::<3>(w)), to);
                }
            }
            let scales = block.scales(s);
            for (g, to) in to.scales.iter_mut().enumerate() {
                s.store(S::Dot::scale_i8(s, scales[g / 4], g % 4), &mut to[half]);
            }
            to.d[half] = block.d;
        }
    }

    #[inline(always)]
    fn tile<S: Simd>(s: S, panels: &[Self::Panel<S>], acts: &[Self::Tile<S>], sums: &mut Sums) {
        tile256::<S, S::Dot, SUB_BLOCKS, NoMins>(s, panels, acts, sums, |sum| start(s, sum));
    }
}
