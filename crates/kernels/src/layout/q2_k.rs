//! Q2_K: super-blocks of 256 2-bit weights, a 4-bit scale and minimum for each 16.
//!
//! ```text
//! d, dmin 4 × f32 each: single precision, as in Q4_K
//! scales  4 × 16 B   vector i: byte j of a row has the scale (lower nibble) and minimum of its sub-block (i, j)
//! values  4 × 4 × 16 B   vector (i, q): columns 4q… of sub-blocks (i, 0…3), lowest bits first
//! ```
//!
//! Sub-block (i, j) is that of columns 128 (i / 2) + 16 (i % 2) + 32 j …: so the file has their bits together. Those of
//! odd j are not even moved into place: products with four times their weights are summed apart, and their sum, a
//! multiple of four, is divided at the end.
//!
//! Per super-block and row, with weights `w`, scales `sᵍ` and minimums `mᵍ` of sub-block `g`, activations `q` of scale
//! `a`: `acc −= Σᵍ mᵍ Σq · (dmin · a)`, then `acc += Σᵍ sᵍ Σwq · (d · a)`, both sums as integers.

use std::hint::black_box;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::tile256::{FineMins, Panel256, tile256};
use super::{Codec, GROUP, Layout, PANEL, Sums};
use crate::Format;
use crate::dequantize::half_at;
use crate::dot::{ByteForm, DotForm, set_row};
use crate::format::SUPER_BLOCK;
use crate::isa::{Bytes16, Simd};
use crate::prepared::{Block256, TILE};

pub(crate) struct Q2K;

/// Sub-blocks of 16 in a super-block.
const SUB_BLOCKS: usize = SUPER_BLOCK / 16;

/// Steps in a sub-block.
const STEPS: usize = 4;

/// Quarters of a super-block: 16 bytes of a row of the file, 64 values.
const QUARTERS: usize = 4;

/// The sub-block that bits `2j`, `2j + 1` of quarter `i` belong to.
const fn sub_block(i: usize, j: usize) -> usize {
    i / 2 * 8 + 2 * j + i % 2
}

/// The four numbers of each byte, lowest bits first; the second and the fourth times four.
#[inline(always)]
fn unpack<S: Simd>(s: S, values: &Bytes16) -> [S::V; 4] {
    let lower = s.load(values);
    let upper = s.shr_u16::<4>(lower);
    let (first, second) = (s.splat_u8(0x03), s.splat_u8(0x0c));
    [
        s.and(lower, first),
        s.and(lower, second),
        s.and(upper, first),
        s.and(upper, second),
    ]
}

/// Where the fields of a block of the file begin.
const VALUES_AT: usize = 16;
const D_AT: usize = 80;
const DMIN_AT: usize = 82;

/// Four rows × 256 columns.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct Block {
    d: Bytes16,
    dmin: Bytes16,
    scales: [Bytes16; QUARTERS],
    values: [[Bytes16; STEPS]; QUARTERS],
}

/// Only the two numbers in single precision are larger than in the file.
const _: () = assert!(size_of::<Block>() == GROUP * (Format::Q2_K.block_bytes() + 4));

impl Codec for Q2K {
    const FORMAT: Format = Format::Q2_K;
    type Layout = Self;

    #[inline(always)]
    fn pack<S: Simd>(s: S, rows: [&[u8]; GROUP], to: &mut Block) {
        for (r, row) in rows.iter().enumerate() {
            to.d[4 * r..][..4].copy_from_slice(&half_at(row, D_AT).to_le_bytes());
            to.dmin[4 * r..][..4].copy_from_slice(&half_at(row, DMIN_AT).to_le_bytes());
            for (i, to) in to.scales.iter_mut().enumerate() {
                for (j, to) in to[4 * r..][..4].iter_mut().enumerate() {
                    *to = row[sub_block(i, j)];
                }
            }
        }
        for (i, to) in to.values.iter_mut().enumerate() {
            let at = VALUES_AT + 16 * i;
            let values = rows.map(|row| s.load(row[at..].first_chunk().expect("a whole block")));
            for (v, to) in s.transpose(values).into_iter().zip(to) {
                s.store(v, to);
            }
        }
    }

    fn unpack_row(block: &Block, row: usize, to: &mut [u8]) {
        let half = |singles: &Bytes16| {
            let [a, b, c, d] = [0, 1, 2, 3].map(|i| singles[4 * row + i]);
            half::f16::from_f32(f32::from_le_bytes([a, b, c, d])).to_le_bytes()
        };
        to[D_AT..][..2].copy_from_slice(&half(&block.d));
        to[DMIN_AT..][..2].copy_from_slice(&half(&block.dmin));
        for (i, scales) in block.scales.iter().enumerate() {
            for j in 0..4 {
                to[sub_block(i, j)] = scales[4 * row + j];
            }
        }
        let values = block.values.as_flattened();
        for (to, values) in to[VALUES_AT..D_AT].chunks_exact_mut(4).zip(values) {
            to.copy_from_slice(&values[4 * row..][..4]);
        }
    }
}

/// The scales of four sub-blocks, and their minimums.
#[inline(always)]
fn scales_and_mins<S: Simd>(s: S, scales: &Bytes16) -> [S::V; 2] {
    let (scales, mask) = (s.load(scales), s.splat_u8(0x0f));
    [s.and(scales, mask), s.and(s.shr_u16::<4>(scales), mask)]
}

impl Layout for Q2K {
    const NAME: &'static str = "q2_k";
    const LEN: usize = SUPER_BLOCK;
    type Block = Block;
    type Panel<S: Simd> = Panel256<<S::Dot as DotForm>::Weights, SUB_BLOCKS, FineMins>;
    type Row<S: Simd> = Block256<<S::Dot as DotForm>::Step, 1>;
    type Tile<S: Simd> = Block256<<S::Dot as DotForm>::Step, TILE>;

    #[inline(always)]
    fn dot<S: Simd>(s: S, block: &Self::Block, acts: &Self::Row<S>, acc: S::V) -> S::V {
        // Of even j, and four times that of odd j.
        let mut sums = [s.splat_i32(0); 2];
        let mut min = s.splat_i32(0);
        // Opaque, so that the loop is not unrolled: a large function takes an engine long to optimize.
        let quarters = block.values.iter().take(black_box(QUARTERS));
        for (i, (values, scales)) in quarters.zip(&block.scales).enumerate() {
            let mut dots = [s.splat_i32(0); 4];
            for (q, values) in values.iter().enumerate() {
                for (j, (dot, w)) in dots.iter_mut().zip(unpack(s, values)).enumerate() {
                    let step = STEPS * sub_block(i, j) + q;
                    *dot = S::Dot::sub(s, *dot, w, &acts.steps[step][0]);
                }
            }
            let [scales, mins] = scales_and_mins(s, scales);
            for (j, dot) in dots.into_iter().enumerate() {
                let scale = S::Dot::scale_u8(s, scales, j);
                sums[j % 2] = s.add_i32(sums[j % 2], S::Dot::scaled(s, dot, scale));
                let total = s.load(&acts.sums[sub_block(i, j)][0]);
                let scale = S::Dot::scale_u8(s, mins, j);
                min = s.add_i32(min, S::Dot::scaled(s, total, scale));
            }
        }
        let act_scale = s.load(&acts.scale[0]);
        let scale = s.mul_f32(s.load(&block.dmin), act_scale);
        let acc = s.add_f32(acc, s.mul_f32(s.to_f32(min), scale));
        let sum = s.add_i32(sums[0], s.shr_i32::<2>(sums[1]));
        let scale = s.mul_f32(s.load(&block.d), act_scale);
        s.add_f32(acc, s.mul_f32(s.to_f32(sum), scale))
    }

    #[inline(always)]
    fn panel<S: Simd>(s: S, blocks: [&Self::Block; PANEL], to: &mut Self::Panel<S>) {
        for (half, block) in blocks.into_iter().enumerate() {
            for (i, (values, scales)) in block.values.iter().zip(&block.scales).enumerate() {
                for (q, values) in values.iter().enumerate() {
                    for (j, w) in unpack(s, values).into_iter().enumerate() {
                        let w = if j % 2 == 0 { w } else { s.shr_u16::<2>(w) };
                        set_row(
                            half,
                            S::Dot::weights(s, w),
                            &mut to.steps[STEPS * sub_block(i, j) + q],
                        );
                    }
                }
                let [scales, mins] = scales_and_mins(s, scales);
                for j in 0..4 {
                    let g = sub_block(i, j);
                    s.store(S::Dot::scale_u8(s, scales, j), &mut to.scales[g][half]);
                    s.store(S::Dot::scale_u8(s, mins, j), &mut to.mins.mins[g][half]);
                }
            }
            to.d[half] = block.d;
            to.mins.d[half] = block.dmin;
        }
    }

    #[inline(always)]
    fn tile<S: Simd>(s: S, panels: &[Self::Panel<S>], acts: &[Self::Tile<S>], sums: &mut Sums) {
        tile256::<S, S::Dot, SUB_BLOCKS, FineMins>(s, panels, acts, sums, |_| s.splat_i32(0));
    }
}
