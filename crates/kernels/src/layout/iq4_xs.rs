//! IQ4_XS: super-blocks of 256 nibbles that choose from the table of IQ4_NL, a 6-bit scale for each 32.
//!
//! ```text
//! d       4 × f32: single precision, as in Q4_K
//! scales  2 × 16 B   vector i: the scales of sub-blocks 4i… of each row, less 32, as signed bytes
//! nibbles 8 × 4 × 16 B   vector (j, q): columns 4q… of sub-block j in the lower nibbles, 16 + 4q… in the upper
//! ```
//!
//! Per super-block and row, with chosen weights `w`, scales `sⱼ` of sub-block `j`, activations `q` of scale `a`:
//! `acc += Σⱼ sⱼ Σwq · (d · a)`, the sums as integers.

use std::hint::black_box;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::table::{Table, Uneven, choose};
use super::tile256::{NoMins, Panel256, tile256};
use super::{Codec, GROUP, Layout, PANEL, Sums};
use crate::Format;
use crate::dequantize::{half_at, scale_of_32};
use crate::dot::{ByteForm, DotForm, SignedWordDot, set_row};
use crate::format::{BLOCK, SUPER_BLOCK};
use crate::isa::{Bytes16, Simd};
use crate::prepared::{Block256, STEPS, TILE};

pub(crate) struct Iq4Xs;

/// Sub-blocks of 32 in a super-block.
const SUB_BLOCKS: usize = SUPER_BLOCK / BLOCK;

/// Where the fields of a block of the file begin.
const UPPERS_AT: usize = 2;
const LOWERS_AT: usize = 4;
const NIBBLES_AT: usize = 8;

/// By how much the file's scales are raised to be unsigned.
const SCALE_CENTRE: u8 = 32;

/// Four rows × 256 columns.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct Block {
    d: Bytes16,
    scales: [Bytes16; SUB_BLOCKS / 4],
    nibbles: [[Bytes16; STEPS / 2]; SUB_BLOCKS],
}

/// The number in single precision and scales of 8 bits are larger than in the file.
const _: () = assert!(size_of::<Block>() == GROUP * (Format::IQ4_XS.block_bytes() + 2 + 2));

impl Codec for Iq4Xs {
    const FORMAT: Format = Format::IQ4_XS;
    type Layout = Self;

    #[inline(always)]
    fn pack<S: Simd>(s: S, rows: [&[u8]; GROUP], to: &mut Block) {
        for (r, row) in rows.iter().enumerate() {
            to.d[4 * r..][..4].copy_from_slice(&half_at(row, 0).to_le_bytes());
            for j in 0..SUB_BLOCKS {
                let scale = scale_of_32(&row[UPPERS_AT..LOWERS_AT], &row[LOWERS_AT..NIBBLES_AT], j);
                to.scales[j / 4][4 * r + j % 4] = scale.wrapping_sub(SCALE_CENTRE);
            }
        }
        for (j, to) in to.nibbles.iter_mut().enumerate() {
            let at = NIBBLES_AT + 16 * j;
            let nibbles = rows.map(|row| s.load(row[at..].first_chunk().expect("a whole block")));
            for (v, to) in s.transpose(nibbles).into_iter().zip(to) {
                s.store(v, to);
            }
        }
    }

    fn unpack_row(block: &Block, row: usize, to: &mut [u8]) {
        let [a, b, c, d] = [0, 1, 2, 3].map(|i| block.d[4 * row + i]);
        let d = half::f16::from_f32(f32::from_le_bytes([a, b, c, d]));
        to[..UPPERS_AT].copy_from_slice(&d.to_le_bytes());
        to[UPPERS_AT..NIBBLES_AT].fill(0);
        for j in 0..SUB_BLOCKS {
            let scale = block.scales[j / 4][4 * row + j % 4].wrapping_add(SCALE_CENTRE);
            to[UPPERS_AT + j / 4] |= scale >> 4 << (j % 4 * 2);
            to[LOWERS_AT + j / 2] |= (scale & 15) << (j % 2 * 4);
        }
        let nibbles = block.nibbles.as_flattened();
        for (to, nibbles) in to[NIBBLES_AT..].chunks_exact_mut(4).zip(nibbles) {
            to.copy_from_slice(&nibbles[4 * row..][..4]);
        }
    }
}

impl Layout for Iq4Xs {
    const NAME: &'static str = "iq4_xs";
    const LEN: usize = SUPER_BLOCK;
    const TWO_STREAMS: bool = false;
    type Block = Block;
    type Panel<S: Simd> = Panel256<<SignedWordDot as DotForm>::Weights, SUB_BLOCKS, NoMins>;
    type Row<S: Simd> = Block256<<SignedWordDot as DotForm>::Step, 1>;
    type Tile<S: Simd> = Block256<<SignedWordDot as DotForm>::Step, TILE>;

    #[inline(always)]
    fn dot<S: Simd>(s: S, block: &Self::Block, acts: &Self::Row<S>, acc: S::V) -> S::V {
        let table = s.load(&Uneven::WEIGHTS);
        let mut row_scales = [[0; 16]; SUB_BLOCKS];
        for (j, to) in row_scales.iter_mut().enumerate() {
            let scales = s.load(&block.scales[j / 4]);
            s.store(SignedWordDot::scale_i8(s, scales, j % 4), to);
        }
        let mut sum = s.splat_i32(0);
        // Opaque, so that the loop is not unrolled: a large function takes an engine long to optimize.
        let sub_blocks = block.nibbles.iter().take(black_box(SUB_BLOCKS));
        let columns = acts.steps.as_chunks::<STEPS>().0;
        for ((nibbles, steps), scale) in sub_blocks.zip(columns).zip(&row_scales) {
            let mut dot = s.splat_i32(0);
            for (q, nibbles) in nibbles.iter().enumerate() {
                let [low, high] = choose(s, table, nibbles);
                dot = SignedWordDot::sub(s, dot, low, &steps[q][0]);
                dot = SignedWordDot::sub(s, dot, high, &steps[q + STEPS / 2][0]);
            }
            sum = s.add_i32(sum, SignedWordDot::scaled(s, dot, s.load(scale)));
        }
        let scale = s.mul_f32(s.load(&block.d), s.load(&acts.scale[0]));
        s.add_f32(acc, s.mul_f32(s.to_f32(sum), scale))
    }

    #[inline(always)]
    fn panel<S: Simd>(s: S, blocks: [&Self::Block; PANEL], to: &mut Self::Panel<S>) {
        let table = s.load(&Uneven::WEIGHTS);
        for (half, block) in blocks.into_iter().enumerate() {
            let sub_blocks = to.steps.as_chunks_mut::<STEPS>().0;
            for (nibbles, steps) in block.nibbles.iter().zip(sub_blocks) {
                for (q, nibbles) in nibbles.iter().enumerate() {
                    let [low, high] = choose(s, table, nibbles);
                    set_row(half, SignedWordDot::weights(s, low), &mut steps[q]);
                    set_row(
                        half,
                        SignedWordDot::weights(s, high),
                        &mut steps[q + STEPS / 2],
                    );
                }
            }
            for (j, to) in to.scales.iter_mut().enumerate() {
                let scales = s.load(&block.scales[j / 4]);
                s.store(SignedWordDot::scale_i8(s, scales, j % 4), &mut to[half]);
            }
            to.d[half] = block.d;
        }
    }

    #[inline(always)]
    fn tile<S: Simd>(s: S, panels: &[Self::Panel<S>], acts: &[Self::Tile<S>], sums: &mut Sums) {
        tile256::<S, SignedWordDot, SUB_BLOCKS, NoMins>(s, panels, acts, sums, |_| s.splat_i32(0));
    }
}
