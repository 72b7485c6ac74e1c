//! Q4_0, Q4_1, Q5_0, Q5_1: blocks of 32 nibbles, with or without minimums and fifth bits.
//!
//! ```text
//! scales  4 × f16
//! mins    4 × f16                                  Q4_1, Q5_1
//! high    16 B   bit b of byte (row, i): fifth bit of column 4b + i     Q5_0, Q5_1
//! nibbles 4 × 16 B   vector q: columns 4q… in the lower nibbles, 16 + 4q… in the upper
//! ```
//!
//! Per block and row, with weights `w` of scale `d` and minimum `m`, activations `q` of scale `a`:
//! `acc += Σ(w − c)q · (d · a)`, then, if there are minimums, `acc += m · (a · Σq)`;
//! the centre `c` is 8 or 16 for the formats without minimums, otherwise 0.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::tile::{Panel32, tile32};
use super::{Codec, GROUP, Layout, PANEL, Sums, widen_half};
use crate::Format;
use crate::decode::dot_side_by_side;
use crate::dot::{Arrangement, ByteForm, DotForm, NibbleForm, as_bytes, set_row, widen_pairs};
use crate::format::BLOCK;
use crate::isa::{Bytes16, Simd};
use crate::prepared::{Block32, STEPS, TILE};

/// The family; `MIN` and `HIGH` are 0 or 1.
pub(crate) struct Nibbles<const MIN: usize, const HIGH: usize>;

pub(crate) type Q4_0 = Nibbles<0, 0>;
pub(crate) type Q4_1 = Nibbles<1, 0>;
pub(crate) type Q5_0 = Nibbles<0, 1>;
pub(crate) type Q5_1 = Nibbles<1, 1>;

/// Four rows × 32 columns.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct Block<const MIN: usize, const HIGH: usize> {
    scales: [u8; 8],
    mins: [[u8; 8]; MIN],
    high: [Bytes16; HIGH],
    nibbles: [Bytes16; STEPS / 2],
}

/// Packed blocks are as large as four of the file's.
const _: () = {
    assert!(size_of::<Block<0, 0>>() == GROUP * Format::Q4_0.block_bytes());
    assert!(size_of::<Block<1, 0>>() == GROUP * Format::Q4_1.block_bytes());
    assert!(size_of::<Block<0, 1>>() == GROUP * Format::Q5_0.block_bytes());
    assert!(size_of::<Block<1, 1>>() == GROUP * Format::Q5_1.block_bytes());
};

/// Where the fields of a block of the file begin.
struct Fields {
    min: usize,
    high: usize,
    nibbles: usize,
}

impl<const MIN: usize, const HIGH: usize> Nibbles<MIN, HIGH> {
    const FIELDS: Fields = Fields {
        min: 2,
        high: 2 + 2 * MIN,
        nibbles: 2 + 2 * MIN + 4 * HIGH,
    };

    /// The start of an accumulator, which centres the weights: always where they have no minimum, and where they
    /// are so large that 16 products would overflow.
    #[inline(always)]
    fn start<S: Simd>(s: S, sum: &Bytes16) -> S::V {
        match (MIN, HIGH) {
            (0, 0) => s.shl_i16::<3>(s.load(sum)),
            (_, 1) => s.shl_i16::<4>(s.load(sum)),
            _ => s.splat_i32(0),
        }
    }

    /// The accumulator, widened, without centring where the weights have a minimum.
    #[inline(always)]
    fn finish<S: Simd>(s: S, acc: S::V, sum: &Bytes16) -> S::V {
        let acc = widen_pairs(s, acc);
        if MIN == 1 && HIGH == 1 {
            s.sub_i32(acc, widen_pairs(s, s.shl_i16::<4>(s.load(sum))))
        } else {
            acc
        }
    }
}

/// Vectors of nibbles whose weights have `HIGH` fifth bits. Vector `q` of four has columns 4q… of 32 in the lower nibbles, and
/// 16 + 4q… in the upper. Bit `b` of byte (row, i) of the vector of fifth bits is that of column 4b + i.
pub(crate) struct Weights<const HIGH: usize>;

/// How [`Weights`] are multiplied.
pub(crate) trait Unpack<const HIGH: usize> {
    /// The arrangement.
    type Dot<S: Simd>: DotForm;

    /// Steps `q` and `q + 4`.
    fn steps<S: Simd>(
        s: S,
        nibbles: &Bytes16,
        high: &[Bytes16; HIGH],
        q: usize,
    ) -> [WeightsOf<Self, S, HIGH>; 2];

    /// `acc` less the products of steps `q` and `q + 4` with `a`.
    fn sub<S: Simd>(
        s: S,
        acc: S::V,
        nibbles: &Bytes16,
        high: &[Bytes16; HIGH],
        q: usize,
        a: [&StepOf<Self, S, HIGH>; 2],
    ) -> S::V;
}

/// The steps of weights that an [`Unpack`] makes.
pub(crate) type WeightsOf<U, S, const HIGH: usize> =
    <<U as Unpack<HIGH>>::Dot<S> as DotForm>::Weights;

/// The steps of activations that it reads.
pub(crate) type StepOf<U, S, const HIGH: usize> = <<U as Unpack<HIGH>>::Dot<S> as DotForm>::Step;

impl Unpack<0> for Weights<0> {
    type Dot<S: Simd> = <S::Dot as Arrangement>::Nibbles;

    #[inline(always)]
    fn steps<S: Simd>(
        s: S,
        nibbles: &Bytes16,
        _: &[Bytes16; 0],
        _: usize,
    ) -> [WeightsOf<Self, S, 0>; 2] {
        Self::Dot::<S>::weights(s, s.load(nibbles))
    }

    #[inline(always)]
    fn sub<S: Simd>(
        s: S,
        acc: S::V,
        nibbles: &Bytes16,
        _: &[Bytes16; 0],
        _: usize,
        a: [&StepOf<Self, S, 0>; 2],
    ) -> S::V {
        Self::Dot::<S>::sub(s, acc, s.load(nibbles), a)
    }
}

impl Unpack<1> for Weights<1> {
    type Dot<S: Simd> = S::Dot;

    #[inline(always)]
    fn steps<S: Simd>(
        s: S,
        nibbles: &Bytes16,
        high: &[Bytes16; 1],
        q: usize,
    ) -> [WeightsOf<Self, S, 1>; 2] {
        five_bits(s, nibbles, high, q).map(|w| S::Dot::weights(s, w))
    }

    #[inline(always)]
    fn sub<S: Simd>(
        s: S,
        acc: S::V,
        nibbles: &Bytes16,
        high: &[Bytes16; 1],
        q: usize,
        a: [&StepOf<Self, S, 1>; 2],
    ) -> S::V {
        let [low, high] = five_bits(s, nibbles, high, q);
        S::Dot::sub(s, S::Dot::sub(s, acc, low, a[0]), high, a[1])
    }
}

/// Steps `q` and `q + 4` as bytes.
#[inline(always)]
fn five_bits<S: Simd>(s: S, nibbles: &Bytes16, [bits]: &[Bytes16; 1], q: usize) -> [S::V; 2] {
    let [low, high] = as_bytes(s, s.load(nibbles));
    let bits = s.load(bits);
    // Bits q and q + 4 of each byte, moved to place 4; neighbours' bits are masked away.
    let (fifth_low, fifth_high) = match q {
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

/// Bit `4b + i` of a word to bit `b` of byte `i`.
#[inline(always)]
fn spread_bits(word: u32) -> u32 {
    let mut out = 0;
    for i in 0..4 {
        // Every fourth bit, gathered.
        let mut x = (word >> i) & 0x1111_1111;
        x = (x | x >> 3) & 0x0303_0303;
        x = (x | x >> 6) & 0x000f_000f;
        x = (x | x >> 12) & 0xff;
        out |= x << (8 * i);
    }
    out
}

/// The inverse of [`spread_bits`].
fn gather_bits(word: u32) -> u32 {
    (0..32).fold(0, |out, k| out | ((word >> (8 * (k % 4) + k / 4)) & 1) << k)
}

impl<const MIN: usize, const HIGH: usize> Codec for Nibbles<MIN, HIGH>
where
    Weights<HIGH>: Unpack<HIGH>,
{
    const FORMAT: Format = match (MIN, HIGH) {
        (0, 0) => Format::Q4_0,
        (1, 0) => Format::Q4_1,
        (0, _) => Format::Q5_0,
        _ => Format::Q5_1,
    };
    type Layout = Self;

    #[inline(always)]
    fn pack<S: Simd>(s: S, rows: [&[u8]; GROUP], to: &mut Block<MIN, HIGH>) {
        let at = Self::FIELDS;
        let mut nibbles = [s.splat_i32(0); GROUP];
        for (r, row) in rows.iter().enumerate() {
            to.scales[2 * r..][..2].copy_from_slice(&row[..2]);
            if let Some(mins) = to.mins.first_mut() {
                mins[2 * r..][..2].copy_from_slice(&row[at.min..][..2]);
            }
            if let Some(high) = to.high.first_mut() {
                let [a, b, c, d] = [0, 1, 2, 3].map(|i| row[at.high + i]);
                let bits = spread_bits(u32::from_le_bytes([a, b, c, d]));
                high[4 * r..][..4].copy_from_slice(&bits.to_le_bytes());
            }
            nibbles[r] = s.load(row[at.nibbles..].first_chunk().expect("a whole block"));
        }
        for (v, to) in s.transpose(nibbles).into_iter().zip(&mut to.nibbles) {
            s.store(v, to);
        }
    }

    fn unpack_row(block: &Block<MIN, HIGH>, row: usize, to: &mut [u8]) {
        let at = Self::FIELDS;
        to[..2].copy_from_slice(&block.scales[2 * row..][..2]);
        if let Some(mins) = block.mins.first() {
            to[at.min..][..2].copy_from_slice(&mins[2 * row..][..2]);
        }
        if let Some(high) = block.high.first() {
            let [a, b, c, d] = [0, 1, 2, 3].map(|i| high[4 * row + i]);
            let bits = gather_bits(u32::from_le_bytes([a, b, c, d]));
            to[at.high..][..4].copy_from_slice(&bits.to_le_bytes());
        }
        for (to, nibbles) in to[at.nibbles..].chunks_exact_mut(4).zip(&block.nibbles) {
            to.copy_from_slice(&nibbles[4 * row..][..4]);
        }
    }
}

impl<const MIN: usize, const HIGH: usize> Nibbles<MIN, HIGH>
where
    Weights<HIGH>: Unpack<HIGH>,
{
    /// `accs + blocks · acts` for each of the four rows of each block.
    #[inline(always)]
    fn dot_blocks<S: Simd, const N: usize>(
        s: S,
        blocks: [&Block<MIN, HIGH>; N],
        acts: &<Self as Layout>::Row<S>,
        accs: [S::V; N],
    ) -> [S::V; N] {
        let mut sums = [Self::start(s, &acts.sum[0]); N];
        for q in 0..STEPS / 2 {
            let acts = [&acts.steps[q][0], &acts.steps[q + STEPS / 2][0]];
            for (sum, block) in sums.iter_mut().zip(blocks) {
                *sum = Weights::<HIGH>::sub(s, *sum, &block.nibbles[q], &block.high, q, acts);
            }
        }
        let act_scale = s.load(&acts.scale[0]);
        std::array::from_fn(|n| {
            let sum = s.to_f32(Self::finish(s, sums[n], &acts.sum[0]));
            let scale = s.mul_f32(widen_half(s, s.load_i16(&blocks[n].scales)), act_scale);
            let acc = s.add_f32(accs[n], s.mul_f32(sum, scale));
            match blocks[n].mins.first() {
                Some(mins) => {
                    let min = widen_half(s, s.load_i16(mins));
                    s.add_f32(acc, s.mul_f32(min, s.load(&acts.total[0])))
                }
                None => acc,
            }
        })
    }
}

impl<const MIN: usize, const HIGH: usize> Layout for Nibbles<MIN, HIGH>
where
    Weights<HIGH>: Unpack<HIGH>,
{
    const NAME: &'static str = "nibbles";
    const LEN: usize = BLOCK;
    type Block = Block<MIN, HIGH>;
    type Panel<S: Simd> = Panel32<WeightsOf<Weights<HIGH>, S, HIGH>, MIN>;
    type Row<S: Simd> = Block32<StepOf<Weights<HIGH>, S, HIGH>, 1>;
    type Tile<S: Simd> = Block32<StepOf<Weights<HIGH>, S, HIGH>, TILE>;

    #[inline(always)]
    fn dot<S: Simd>(s: S, block: &Self::Block, acts: &Self::Row<S>, acc: S::V) -> S::V {
        let [acc] = Self::dot_blocks(s, [block], acts, [acc]);
        acc
    }

    #[inline(always)]
    fn dot_groups<S: Simd, const N: usize>(
        s: S,
        groups: [&[Self::Block]; N],
        acts: &[Self::Row<S>],
    ) -> [S::V; N] {
        dot_side_by_side(s, groups, acts, |blocks, acts, sums| {
            Self::dot_blocks(s, blocks, acts, sums)
        })
    }

    #[inline(always)]
    fn panel<S: Simd>(s: S, blocks: [&Self::Block; PANEL], to: &mut Self::Panel<S>) {
        for (half, block) in blocks.into_iter().enumerate() {
            for (q, nibbles) in block.nibbles.iter().enumerate() {
                let [low, high] = Weights::<HIGH>::steps(s, nibbles, &block.high, q);
                set_row(half, low, &mut to.steps[q]);
                set_row(half, high, &mut to.steps[q + STEPS / 2]);
            }
            s.store(
                widen_half(s, s.load_i16(&block.scales)),
                &mut to.scales[half],
            );
            if let (Some(mins), Some(to)) = (block.mins.first(), to.mins.first_mut()) {
                s.store(widen_half(s, s.load_i16(mins)), &mut to[half]);
            }
        }
    }

    #[inline(always)]
    fn tile<S: Simd>(s: S, panels: &[Self::Panel<S>], acts: &[Self::Tile<S>], sums: &mut Sums) {
        tile32::<S, <Weights<HIGH> as Unpack<HIGH>>::Dot<S>, MIN>(
            s,
            panels,
            acts,
            sums,
            |sum| Self::start(s, sum),
            |acc, sum| Self::finish(s, acc, sum),
        );
    }
}
