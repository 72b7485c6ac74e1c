//! F32, F16, BF16: products and sums in single precision, column after column: `acc += w · x`.
//!
//! ```text
//! F32         4 × 16 B   vector i: column i of four rows
//! F16, BF16   2 × 16 B   vector i: columns 2i (lower half of the lane) and 2i + 1 (upper half)
//! ```

use std::marker::PhantomData;

use super::{Codec, GROUP, HALF_BIAS, Layout, PANEL, Sums};
use crate::Format;
use crate::isa::{Bytes16, Simd};
use crate::prepared::{Floats, STEP, TILE};

/// Eight rows × four columns of floats: by column, then half.
type Panel = [[Bytes16; PANEL]; STEP];

/// How a block of four rows × four columns holds floats.
pub(crate) trait Encoding: 'static {
    const FORMAT: Format;
    /// Vectors in a block.
    type Block: crate::dot::Pod + Send + Sync;

    /// The four columns as single-precision floats.
    fn columns<S: Simd>(s: S, block: &Self::Block) -> [S::V; STEP];

    /// The vectors of a block.
    fn vectors(block: &Self::Block) -> &[Bytes16];

    /// The vectors of a block.
    fn vectors_mut(block: &mut Self::Block) -> &mut [Bytes16];
}

/// The layout of an [`Encoding`].
pub(crate) struct Interleaved<E>(PhantomData<E>);

pub(crate) type F32 = Interleaved<Single>;
pub(crate) type F16 = Interleaved<Half>;
pub(crate) type Bf16 = Interleaved<Brain>;

/// IEEE single precision.
pub(crate) struct Single;

/// IEEE half precision.
pub(crate) struct Half;

/// The upper half of single precision.
pub(crate) struct Brain;

impl Encoding for Single {
    const FORMAT: Format = Format::F32;
    type Block = [Bytes16; 4];

    #[inline(always)]
    fn columns<S: Simd>(s: S, block: &Self::Block) -> [S::V; STEP] {
        [0, 1, 2, 3].map(|i| s.load(&block[i]))
    }

    fn vectors(block: &Self::Block) -> &[Bytes16] {
        block
    }

    fn vectors_mut(block: &mut Self::Block) -> &mut [Bytes16] {
        block
    }
}

impl Encoding for Half {
    const FORMAT: Format = Format::F16;
    type Block = [Bytes16; 2];

    #[inline(always)]
    fn columns<S: Simd>(s: S, block: &Self::Block) -> [S::V; STEP] {
        // As in `widen_half`, from the lower and the upper half of each lane.
        let mask = s.splat_i32(0x8fff_e000_u32 as i32);
        let bias = s.splat_f32(HALF_BIAS);
        let [a, b] = [0, 1].map(|i| {
            let pair = s.load(&block[i]);
            [s.shr_i32::<3>(s.shl_i32::<16>(pair)), s.shr_i32::<3>(pair)]
                .map(|moved| s.mul_f32(s.and(moved, mask), bias))
        });
        [a[0], a[1], b[0], b[1]]
    }

    fn vectors(block: &Self::Block) -> &[Bytes16] {
        block
    }

    fn vectors_mut(block: &mut Self::Block) -> &mut [Bytes16] {
        block
    }
}

impl Encoding for Brain {
    const FORMAT: Format = Format::BF16;
    type Block = [Bytes16; 2];

    #[inline(always)]
    fn columns<S: Simd>(s: S, block: &Self::Block) -> [S::V; STEP] {
        let upper = s.splat_i32(0xffff_0000_u32 as i32);
        let [a, b] = [0, 1].map(|i| {
            let pair = s.load(&block[i]);
            [s.shl_i32::<16>(pair), s.and(pair, upper)]
        });
        [a[0], a[1], b[0], b[1]]
    }

    fn vectors(block: &Self::Block) -> &[Bytes16] {
        block
    }

    fn vectors_mut(block: &mut Self::Block) -> &mut [Bytes16] {
        block
    }
}

impl<E: Encoding> Codec for Interleaved<E> {
    const FORMAT: Format = E::FORMAT;
    type Layout = Self;

    #[inline(always)]
    fn pack<S: Simd>(_: S, rows: [&[u8]; GROUP], to: &mut E::Block) {
        // Whatever the encoding, vector i takes the i-th four bytes of each row.
        for (r, row) in rows.iter().enumerate() {
            let vectors = E::vectors_mut(to).iter_mut();
            if let (words, []) = row.as_chunks::<4>() {
                for (vector, word) in vectors.zip(words) {
                    vector[4 * r..][..4].copy_from_slice(word);
                }
            } else {
                for (vector, word) in vectors.zip(row.chunks(4)) {
                    vector[4 * r..][..word.len()].copy_from_slice(word);
                }
            }
        }
    }

    fn unpack_row(block: &E::Block, row: usize, to: &mut [u8]) {
        for (to, vector) in to.chunks_mut(4).zip(E::vectors(block)) {
            to.copy_from_slice(&vector[4 * row..][..to.len()]);
        }
    }
}

impl<E: Encoding> Layout for Interleaved<E> {
    const NAME: &'static str = "floats";
    const LEN: usize = STEP;
    type Block = E::Block;
    type Panel<S: Simd> = Panel;
    type Row<S: Simd> = Floats<1>;
    type Tile<S: Simd> = Floats<TILE>;

    #[inline(always)]
    fn dot<S: Simd>(s: S, block: &Self::Block, acts: &Self::Row<S>, acc: S::V) -> S::V {
        let columns = E::columns(s, block).into_iter().zip(&acts.values);
        columns.fold(acc, |acc, (w, x)| {
            s.add_f32(acc, s.mul_f32(w, s.splat(&x[0])))
        })
    }

    #[inline(always)]
    fn panel<S: Simd>(s: S, blocks: [&Self::Block; PANEL], to: &mut Self::Panel<S>) {
        for (half, block) in blocks.into_iter().enumerate() {
            for (w, to) in E::columns(s, block).into_iter().zip(to.iter_mut()) {
                s.store(w, &mut to[half]);
            }
        }
    }

    #[inline(always)]
    fn tile<S: Simd>(s: S, panels: &[Self::Panel<S>], acts: &[Self::Tile<S>], sums: &mut Sums) {
        let mut acc = sums.0.map(|row| row.map(|sum| s.load(&sum)));
        for (panel, acts) in panels.iter().zip(acts) {
            for (w, x) in panel.iter().zip(&acts.values) {
                let w = [s.load(&w[0]), s.load(&w[1])];
                for (col, x) in x.iter().enumerate() {
                    let x = s.splat(x);
                    acc[0][col] = s.add_f32(acc[0][col], s.mul_f32(w[0], x));
                    acc[1][col] = s.add_f32(acc[1][col], s.mul_f32(w[1], x));
                }
            }
        }
        for (acc, sums) in acc.iter().zip(&mut sums.0) {
            for (acc, sum) in acc.iter().zip(sums) {
                s.store(*acc, sum);
            }
        }
    }
}
