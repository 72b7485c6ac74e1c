//! IQ4_NL, MXFP4: blocks of 32 nibbles that choose from a table.
//!
//! ```text
//! scales  4 × f16 (IQ4_NL) or 4 × 1 B (MXFP4: exponents)
//! nibbles 4 × 16 B   vector q: columns 4q… in the lower nibbles, 16 + 4q… in the upper
//! ```
//!
//! Per block and row, with chosen weights `w` of scale `d`, activations `q` of scale `a`: `acc += Σwq · (d · a)`. The
//! scale of MXFP4 is half the power of two, because the table has twice the numbers; 2⁻¹²⁸, the smallest, counts as
//! zero here, as activations of subnormal scale do.

use std::marker::PhantomData;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::tile::{Panel32, tile32};
use super::{Codec, GROUP, Layout, PANEL, Sums, widen_half};
use crate::Format;
use crate::decode::dot_side_by_side;
use crate::dequantize::{DOUBLED_FP4, UNEVEN};
use crate::dot::{ByteForm, DotForm, Pod, SignedDot, SignedDotForm, as_bytes, set_row};
use crate::format::BLOCK;
use crate::isa::{Bytes16, Simd, ZERO};
use crate::prepared::{Block32, STEPS, TILE};

/// What the formats differ in.
pub(crate) trait Table: 'static {
    const FORMAT: Format;
    /// The bytes that nibbles stand for.
    const WEIGHTS: Bytes16;
    /// The scales of four rows.
    type Scales: Pod + Send + Sync + AsRef<[u8]> + AsMut<[u8]>;
    /// How products with these bytes are formed.
    type Dot<S: Simd>: ByteForm;

    /// The scales in single precision.
    fn scales<S: Simd>(s: S, scales: &Self::Scales) -> S::V;

    /// The start of an accumulator, which centres the weights.
    fn start<S: Simd>(s: S, sum: &Bytes16) -> S::V;
}

/// Steps from −127 to 113: too many for unsigned bytes.
pub(crate) struct Uneven;

/// Numbers from −12 to 12, raised by [`FP4_CENTRE`].
pub(crate) struct Fp4;

/// 2⁴, by which the weights of MXFP4 are raised to be unsigned.
const FP4_CENTRE: i8 = 16;

impl Table for Uneven {
    const FORMAT: Format = Format::IQ4_NL;
    const WEIGHTS: Bytes16 = raised(UNEVEN, 0);
    type Scales = [u8; 8];
    type Dot<S: Simd> = SignedDot<S>;

    #[inline(always)]
    fn scales<S: Simd>(s: S, scales: &Self::Scales) -> S::V {
        widen_half(s, s.load_i16(scales))
    }

    #[inline(always)]
    fn start<S: Simd>(s: S, sum: &Bytes16) -> S::V {
        SignedDot::<S>::start(s, sum)
    }
}

impl Table for Fp4 {
    const FORMAT: Format = Format::MXFP4;
    const WEIGHTS: Bytes16 = raised(DOUBLED_FP4, FP4_CENTRE);
    type Scales = [u8; 4];
    type Dot<S: Simd> = S::Dot;

    #[inline(always)]
    fn scales<S: Simd>(s: S, scales: &Self::Scales) -> S::V {
        // The third byte of each lane, and from there to the bits of the exponent of a float.
        const THIRD_BYTES: Bytes16 = {
            let mut indices = [ZERO; 16];
            let mut row = 0;
            while row < GROUP {
                indices[4 * row + 2] = row as u8;
                row += 1;
            }
            indices
        };
        let bytes = s.splat(scales);
        let power = s.shl_i32::<7>(s.swizzle(bytes, &THIRD_BYTES));
        s.mul_f32(power, s.splat_f32(0.5))
    }

    #[inline(always)]
    fn start<S: Simd>(s: S, sum: &Bytes16) -> S::V {
        s.shl_i16::<{ FP4_CENTRE.ilog2() as i32 }>(s.load(sum))
    }
}

/// The table as bytes, each raised by `centre`.
pub(super) const fn raised(table: [i8; 16], centre: i8) -> Bytes16 {
    let mut bytes = [0; 16];
    let mut i = 0;
    while i < 16 {
        bytes[i] = (table[i] + centre) as u8;
        i += 1;
    }
    bytes
}

/// The weights that the lower nibbles of `nibbles` choose, and those of the upper ones.
#[inline(always)]
pub(super) fn choose<S: Simd>(s: S, table: S::V, nibbles: &Bytes16) -> [S::V; 2] {
    as_bytes(s, s.load(nibbles)).map(|indices| s.lookup(table, indices))
}

/// The layout of a [`Table`].
pub(crate) struct Chosen<T>(PhantomData<T>);

pub(crate) type Iq4Nl = Chosen<Uneven>;
pub(crate) type Mxfp4 = Chosen<Fp4>;

/// Four rows × 32 columns.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct Block<Scales: Pod> {
    scales: Scales,
    nibbles: [Bytes16; STEPS / 2],
}

/// Packed blocks are as large as four of the file's.
const _: () = {
    assert!(size_of::<Block<[u8; 8]>>() == GROUP * Format::IQ4_NL.block_bytes());
    assert!(size_of::<Block<[u8; 4]>>() == GROUP * Format::MXFP4.block_bytes());
};

impl<T: Table> Chosen<T> {
    /// Bytes of a scale.
    const SCALE: usize = size_of::<T::Scales>() / GROUP;
}

impl<T: Table> Codec for Chosen<T> {
    const FORMAT: Format = T::FORMAT;
    type Layout = Self;

    #[inline(always)]
    fn pack<S: Simd>(s: S, rows: [&[u8]; GROUP], to: &mut Block<T::Scales>) {
        let scales = to.scales.as_mut().chunks_exact_mut(Self::SCALE);
        for (row, to) in rows.iter().zip(scales) {
            to.copy_from_slice(&row[..Self::SCALE]);
        }
        let nibbles =
            rows.map(|row| s.load(row[Self::SCALE..].first_chunk().expect("a whole block")));
        for (v, to) in s.transpose(nibbles).into_iter().zip(&mut to.nibbles) {
            s.store(v, to);
        }
    }

    fn unpack_row(block: &Block<T::Scales>, row: usize, to: &mut [u8]) {
        let (scale, nibbles) = to.split_at_mut(Self::SCALE);
        scale.copy_from_slice(&block.scales.as_ref()[Self::SCALE * row..][..Self::SCALE]);
        for (to, nibbles) in nibbles.chunks_exact_mut(4).zip(&block.nibbles) {
            to.copy_from_slice(&nibbles[4 * row..][..4]);
        }
    }
}

impl<T: Table> Layout for Chosen<T> {
    const NAME: &'static str = "table";
    const LEN: usize = BLOCK;
    type Block = Block<T::Scales>;
    type Panel<S: Simd> = Panel32<<T::Dot<S> as DotForm>::Weights, 0>;
    type Row<S: Simd> = Block32<<T::Dot<S> as DotForm>::Step, 1>;
    type Tile<S: Simd> = Block32<<T::Dot<S> as DotForm>::Step, TILE>;

    #[inline(always)]
    fn dot<S: Simd>(s: S, block: &Self::Block, acts: &Self::Row<S>, acc: S::V) -> S::V {
        let [acc] = dot_blocks::<S, T, 1>(s, [block], acts, [acc]);
        acc
    }

    #[inline(always)]
    fn dot_groups<S: Simd, const N: usize>(
        s: S,
        groups: [&[Self::Block]; N],
        acts: &[Self::Row<S>],
    ) -> [S::V; N] {
        dot_side_by_side(s, groups, acts, |blocks, acts, sums| {
            dot_blocks::<S, T, N>(s, blocks, acts, sums)
        })
    }

    #[inline(always)]
    fn panel<S: Simd>(s: S, blocks: [&Self::Block; PANEL], to: &mut Self::Panel<S>) {
        let table = s.constant(&T::WEIGHTS);
        for (half, block) in blocks.into_iter().enumerate() {
            for (q, nibbles) in block.nibbles.iter().enumerate() {
                let [low, high] = choose(s, table, nibbles);
                set_row(half, T::Dot::<S>::weights(s, low), &mut to.steps[q]);
                set_row(
                    half,
                    T::Dot::<S>::weights(s, high),
                    &mut to.steps[q + STEPS / 2],
                );
            }
            s.store(T::scales(s, &block.scales), &mut to.scales[half]);
        }
    }

    #[inline(always)]
    fn tile<S: Simd>(s: S, panels: &[Self::Panel<S>], acts: &[Self::Tile<S>], sums: &mut Sums) {
        tile32::<S, T::Dot<S>, 0>(
            s,
            panels,
            acts,
            sums,
            |sum| T::start(s, sum),
            |acc, _| T::Dot::<S>::widen(s, acc),
        );
    }
}

/// `accs + blocks · acts` for each of the four rows of each block.
#[inline(always)]
fn dot_blocks<S: Simd, T: Table, const N: usize>(
    s: S,
    blocks: [&Block<T::Scales>; N],
    acts: &Block32<<T::Dot<S> as DotForm>::Step, 1>,
    accs: [S::V; N],
) -> [S::V; N] {
    let table = s.constant(&T::WEIGHTS);
    let mut sums = [T::start(s, &acts.sum[0]); N];
    for q in 0..STEPS / 2 {
        for (sum, block) in sums.iter_mut().zip(blocks) {
            let [low, high] = choose(s, table, &block.nibbles[q]);
            *sum = T::Dot::sub(s, *sum, low, &acts.steps[q][0]);
            *sum = T::Dot::sub(s, *sum, high, &acts.steps[q + STEPS / 2][0]);
        }
    }
    let act_scale = s.load(&acts.scale[0]);
    std::array::from_fn(|n| {
        let sum = s.to_f32(T::Dot::<S>::widen(s, sums[n]));
        let scale = s.mul_f32(T::scales(s, &blocks[n].scales), act_scale);
        s.add_f32(accs[n], s.mul_f32(sum, scale))
    })
}
