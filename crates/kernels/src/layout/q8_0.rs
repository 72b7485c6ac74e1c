//! Q8_0: blocks of 32 signed bytes.
//!
//! ```text
//! scales  4 × f16
//! values  8 × 16 B   vector v: columns 4v…
//! ```
//!
//! Per block and row, with weights `w` of scale `d`, activations `q` of scale `a`: `acc += Σwq · (d · a)`.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::tile::{Panel32, tile32};
use super::{Codec, GROUP, Layout, PANEL, Sums, widen_half};
use crate::Format;
use crate::decode::dot_side_by_side;
use crate::dot::{ByteForm, DotForm, SignedDot, SignedDotForm, set_row};
use crate::format::BLOCK;
use crate::isa::{Bytes16, Simd};
use crate::prepared::{Block32, Lanes32, STEPS, TILE};

pub(crate) struct Q8_0;

/// Four rows × 32 columns.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct Block {
    scales: [u8; 8],
    values: [Bytes16; STEPS],
}

const _: () = assert!(size_of::<Block>() == GROUP * Format::Q8_0.block_bytes());

impl Codec for Q8_0 {
    const FORMAT: Format = Format::Q8_0;
    type Layout = Self;

    #[inline(always)]
    fn pack<S: Simd>(s: S, rows: [&[u8]; GROUP], to: &mut Block) {
        for (r, row) in rows.iter().enumerate() {
            to.scales[2 * r..][..2].copy_from_slice(&row[..2]);
        }
        for (half, to) in to.values.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            let at = 2 + 16 * half;
            let values = rows.map(|row| s.load(row[at..].first_chunk().expect("a whole block")));
            for (v, to) in s.transpose(values).into_iter().zip(to) {
                s.store(v, to);
            }
        }
    }

    fn unpack_row(block: &Block, row: usize, to: &mut [u8]) {
        to[..2].copy_from_slice(&block.scales[2 * row..][..2]);
        for (to, values) in to[2..].chunks_exact_mut(4).zip(&block.values) {
            to.copy_from_slice(&values[4 * row..][..4]);
        }
    }
}

impl Layout for Q8_0 {
    const NAME: &'static str = "q8_0";
    const LEN: usize = BLOCK;
    type Block = Block;
    type Panel<S: Simd> = Panel32<<SignedDot<S> as DotForm>::Weights, 0>;
    type Row<S: Simd> = Lanes32<SignedDot<S>>;
    type Tile<S: Simd> = Block32<<SignedDot<S> as DotForm>::Step, TILE>;

    #[inline(always)]
    fn dot<S: Simd>(s: S, block: &Self::Block, acts: &Self::Row<S>, acc: S::V) -> S::V {
        let [acc] = dot_blocks(s, [block], acts, [acc]);
        acc
    }

    #[inline(always)]
    fn dot_groups<S: Simd, const N: usize>(
        s: S,
        groups: [&[Self::Block]; N],
        acts: &[Self::Row<S>],
    ) -> [S::V; N] {
        dot_side_by_side(s, groups, acts, |blocks, acts, sums| {
            dot_blocks(s, blocks, acts, sums)
        })
    }

    #[inline(always)]
    fn panel<S: Simd>(s: S, blocks: [&Self::Block; PANEL], to: &mut Self::Panel<S>) {
        for (half, block) in blocks.into_iter().enumerate() {
            for (values, to) in block.values.iter().zip(&mut to.steps) {
                set_row(half, SignedDot::<S>::weights(s, s.load(values)), to);
            }
            s.store(
                widen_half(s, s.load_i16(&block.scales)),
                &mut to.scales[half],
            );
        }
    }

    #[inline(always)]
    fn tile<S: Simd>(s: S, panels: &[Self::Panel<S>], acts: &[Self::Tile<S>], sums: &mut Sums) {
        tile32::<S, SignedDot<S>, 0>(
            s,
            panels,
            acts,
            sums,
            |sum| SignedDot::<S>::start(s, sum),
            |acc, _| SignedDot::<S>::widen(s, acc),
        );
    }
}

/// `accs + blocks · acts` for each of the four rows of each block.
#[inline(always)]
fn dot_blocks<S: Simd, const N: usize>(
    s: S,
    blocks: [&Block; N],
    acts: &Lanes32<SignedDot<S>>,
    accs: [S::V; N],
) -> [S::V; N] {
    // Two sums: four products and their addition take as long as four other instructions, and each waits for the one before.
    let mut sums = [[SignedDot::<S>::start(s, &acts.sum), s.splat_i32(0)]; N];
    for (i, lanes) in acts.steps.iter().enumerate() {
        let lanes = lanes.each_ref().map(|lane| s.splat(lane));
        for (sums, block) in sums.iter_mut().zip(blocks) {
            let sum = &mut sums[i % 2];
            *sum = SignedDot::<S>::sub_vectors(s, *sum, s.load(&block.values[i]), lanes);
        }
    }
    let act_scale = s.load(&acts.scale);
    std::array::from_fn(|n| {
        let sum = s.add_i32(sums[n][0], sums[n][1]);
        let scale = s.mul_f32(widen_half(s, s.load_i16(&blocks[n].scales)), act_scale);
        let sum = s.to_f32(SignedDot::<S>::widen(s, sum));
        s.add_f32(accs[n], s.mul_f32(sum, scale))
    })
}
