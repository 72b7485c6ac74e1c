//! TQ1_0, TQ2_0, I2_S: weights of −1, 0 and 1, packed alike as 2-bit numbers with a scale for each 256.
//!
//! ```text
//! d       4 × f32
//! values  16 × 16 B   vector 8h + q: columns 128h + 4q…, + 32, + 64 and + 96, lowest bits first
//! ```
//!
//! Five values to a byte, as TQ1_0 has them, are too many operations to unpack for each product. The scale of a tensor
//! of I2_S is repeated, so that the formats share their kernels; rows that end within a super-block have
//! activations of zero after their end.
//!
//! Per super-block and row, with numbers `w` (0…2, in TQ2_0 also 3), activations `q` of scale `a`:
//! `acc += Σ(w − 1)q · (d · a)`, the sum as an integer.

use std::hint::black_box;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::tile256::{NoMins, Panel256, tile256};
use super::{Codec, GROUP, Layout, PANEL, Sums};
use crate::Format;
use crate::dequantize::{POWERS, digit, half_at, place};
use crate::dot::{ByteForm, DotForm, set_row};
use crate::format::SUPER_BLOCK;
use crate::isa::{Bytes16, Simd};
use crate::prepared::{Block256, TILE};

/// The layout of all three, and the codec of TQ2_0.
pub(crate) struct Ternary;

/// The codec of TQ1_0.
pub(crate) struct Tq1_0;

/// The codec of I2_S; [`set_scale`] is to follow.
pub(crate) struct I2S;

/// Sub-blocks of 16 in a super-block, by which tiles sum.
const SUB_BLOCKS: usize = SUPER_BLOCK / 16;

/// Vectors of a half of a super-block, that is of 128 columns.
const HALF: usize = 8;

/// Steps in a run of 32 columns: a vector has one of each of four runs.
const RUN: usize = 8;

/// Bytes of a row as TQ2_0 has them, which is the order of the packed words.
const CODE_BYTES: usize = SUPER_BLOCK / 4;

/// Where the scale of a block of the file is.
const TQ1_0_D_AT: usize = 52;
const TQ2_0_D_AT: usize = CODE_BYTES;

/// Four rows × 256 columns.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct Block {
    d: Bytes16,
    values: [[Bytes16; HALF]; 2],
}

/// Only the number in single precision is larger than in TQ2_0's file.
const _: () = assert!(size_of::<Block>() == GROUP * (Format::TQ2_0.block_bytes() + 2));

impl Block {
    /// Takes the codes of four rows, in the order of TQ2_0.
    #[inline(always)]
    fn set_codes<S: Simd>(&mut self, s: S, rows: [&[u8; CODE_BYTES]; GROUP]) {
        let vectors = self.values.as_flattened_mut().as_chunks_mut::<4>().0;
        for (i, to) in vectors.iter_mut().enumerate() {
            let words =
                rows.map(|row| s.load(row[16 * i..].first_chunk().expect("16 of 64 bytes")));
            for (v, to) in s.transpose(words).into_iter().zip(to) {
                s.store(v, to);
            }
        }
    }

    /// The codes of a row, in the order of TQ2_0.
    fn codes(&self, row: usize) -> [u8; CODE_BYTES] {
        let mut codes = [0; CODE_BYTES];
        let words = codes.chunks_exact_mut(4).zip(self.values.as_flattened());
        words.for_each(|(to, values)| to.copy_from_slice(&values[4 * row..][..4]));
        codes
    }

    fn set_d(&mut self, row: usize, d: f32) {
        self.d[4 * row..][..4].copy_from_slice(&d.to_le_bytes());
    }

    fn d(&self, row: usize) -> f32 {
        let [a, b, c, d] = [0, 1, 2, 3].map(|i| self.d[4 * row + i]);
        f32::from_le_bytes([a, b, c, d])
    }
}

/// The four numbers of each byte, lowest bits first.
#[inline(always)]
fn unpack<S: Simd>(s: S, values: &Bytes16) -> [S::V; 4] {
    let (values, mask) = (s.load(values), s.splat_u8(0x03));
    [
        s.and(values, mask),
        s.and(s.shr_u16::<2>(values), mask),
        s.and(s.shr_u16::<4>(values), mask),
        s.and(s.shr_u16::<6>(values), mask),
    ]
}

/// Writes the scale of a tensor of I2_S into its packed blocks.
pub(crate) fn set_scale(packed: &mut [u8], scale: f32) {
    let blocks = <[Block]>::mut_from_bytes(packed).expect("a whole number of blocks");
    for block in blocks {
        (0..GROUP).for_each(|row| block.set_d(row, scale));
    }
}

impl Codec for Ternary {
    const FORMAT: Format = Format::TQ2_0;
    type Layout = Self;

    #[inline(always)]
    fn pack<S: Simd>(s: S, rows: [&[u8]; GROUP], to: &mut Block) {
        for (r, row) in rows.iter().enumerate() {
            to.set_d(r, half_at(row, TQ2_0_D_AT));
        }
        to.set_codes(s, rows.map(|row| row.first_chunk().expect("a whole block")));
    }

    fn unpack_row(block: &Block, row: usize, to: &mut [u8]) {
        to[..CODE_BYTES].copy_from_slice(&block.codes(row));
        let d = half::f16::from_f32(block.d(row));
        to[TQ2_0_D_AT..].copy_from_slice(&d.to_le_bytes());
    }
}

/// The numbers (0…2) of a block of TQ1_0, value by value. In runs, so that compilers vectorize it.
fn numbers(block: &[u8]) -> [u8; SUPER_BLOCK] {
    let mut numbers = [0; SUPER_BLOCK];
    let mut rest = numbers.as_mut_slice();
    for (bytes, digits) in [(&block[..32], 5), (&block[32..48], 5), (&block[48..52], 4)] {
        for n in 0..digits {
            let (run, after) = rest.split_at_mut(bytes.len());
            run.iter_mut()
                .zip(bytes)
                .for_each(|(to, &byte)| *to = digit(byte, n));
            rest = after;
        }
    }
    numbers
}

/// Numbers as 2-bit codes.
fn codes_of(numbers: &[u8; SUPER_BLOCK]) -> [u8; CODE_BYTES] {
    let mut codes = [0; CODE_BYTES];
    for (codes, half) in codes.chunks_exact_mut(32).zip(numbers.chunks_exact(128)) {
        for (run, numbers) in half.chunks_exact(32).enumerate() {
            codes
                .iter_mut()
                .zip(numbers)
                .for_each(|(code, number)| *code |= number << (2 * run));
        }
    }
    codes
}

/// Where value `k` is among codes: its byte, and how far its bits are from the lower end.
fn code_place(k: usize) -> (usize, usize) {
    (k / 128 * 32 + k % 32, k % 128 / 32 * 2)
}

impl Codec for Tq1_0 {
    const FORMAT: Format = Format::TQ1_0;
    type Layout = Ternary;

    #[inline(always)]
    fn pack<S: Simd>(s: S, rows: [&[u8]; GROUP], to: &mut Block) {
        let codes = rows.map(|row| codes_of(&numbers(row)));
        for (r, row) in rows.iter().enumerate() {
            to.set_d(r, half_at(row, TQ1_0_D_AT));
        }
        to.set_codes(s, codes.each_ref());
    }

    fn unpack_row(block: &Block, row: usize, to: &mut [u8]) {
        let codes = block.codes(row);
        let mut numbers = [0_u16; TQ1_0_D_AT];
        for k in 0..SUPER_BLOCK {
            let ((to, n), (byte, shift)) = (place(k), code_place(k));
            let code = codes[byte] >> shift & 3;
            numbers[to] += u16::from(code) * u16::from(POWERS[POWERS.len() - 1 - n]);
        }
        // The next larger fraction of 256.
        const NUMBERS: u16 = 243;
        for (to, number) in to.iter_mut().zip(numbers) {
            *to = (number * 256).div_ceil(NUMBERS) as u8;
        }
        let d = half::f16::from_f32(block.d(row));
        to[TQ1_0_D_AT..].copy_from_slice(&d.to_le_bytes());
    }
}

/// The four pairs of bits of each byte in the opposite order.
fn reversed(bytes: u32) -> u32 {
    const LOWEST: u32 = 0x0303_0303;
    let pair = |i: u32| (bytes >> (2 * i) & LOWEST) << (6 - 2 * i);
    pair(0) | pair(1) | pair(2) | pair(3)
}

/// Codes of 3, which mean the same, as 1.
fn without_threes(bytes: u32) -> u32 {
    const UPPER: u32 = 0xaaaa_aaaa;
    bytes & !(bytes << 1 & UPPER)
}

impl Codec for I2S {
    const FORMAT: Format = Format::I2_S;
    type Layout = Ternary;

    #[inline(always)]
    fn pack<S: Simd>(s: S, rows: [&[u8]; GROUP], to: &mut Block) {
        let codes = rows.map(|row| {
            let mut codes = [0; CODE_BYTES];
            for (word, to) in row.as_chunks().0.iter().zip(codes.as_chunks_mut().0) {
                *to = without_threes(reversed(u32::from_le_bytes(*word))).to_le_bytes();
            }
            codes
        });
        to.set_codes(s, codes.each_ref());
    }

    fn unpack_row(block: &Block, row: usize, to: &mut [u8]) {
        let (blocks, tail) = to.split_at_mut(to.len() - Self::FORMAT.tail_bytes());
        let words = blocks.as_chunks_mut().0.iter_mut();
        for (to, word) in words.zip(block.codes(row).as_chunks().0) {
            *to = reversed(u32::from_le_bytes(*word)).to_le_bytes();
        }
        tail[..4].copy_from_slice(&block.d(row).to_le_bytes());
    }
}

/// The start of an accumulator, which centres the weights: the sum of the activations.
#[inline(always)]
fn start<S: Simd>(s: S, sum: &Bytes16) -> S::V {
    s.load(sum)
}

impl Layout for Ternary {
    const NAME: &'static str = "ternary";
    const LEN: usize = SUPER_BLOCK;
    type Block = Block;
    type Panel<S: Simd> = Panel256<<S::Dot as DotForm>::Weights, SUB_BLOCKS, NoMins>;
    type Row<S: Simd> = Block256<<S::Dot as DotForm>::Step, 1>;
    type Tile<S: Simd> = Block256<<S::Dot as DotForm>::Step, TILE>;

    #[inline(always)]
    fn dot<S: Simd>(s: S, block: &Self::Block, acts: &Self::Row<S>, acc: S::V) -> S::V {
        // Centred by the sum of all activations, at once.
        let mut sum = acts.pairs.iter().fold(s.splat_i32(0), |sum, pair| {
            s.add_i32(sum, s.dot_i16(s.load(&pair[0]), s.splat_i16(1)))
        });
        // Opaque, so that the loop is not unrolled: a large function takes an engine long to optimize.
        let halves = block.values.iter().take(black_box(2));
        for (values, columns) in halves.zip(acts.steps.as_chunks::<{ 4 * RUN }>().0) {
            let mut dot = s.splat_i32(0);
            for (q, values) in values.iter().enumerate() {
                for (run, w) in unpack(s, values).into_iter().enumerate() {
                    dot = S::Dot::sub(s, dot, w, &columns[RUN * run + q][0]);
                }
            }
            sum = s.add_i32(sum, S::Dot::widen(s, dot));
        }
        let scale = s.mul_f32(s.load(&block.d), s.load(&acts.scale[0]));
        s.add_f32(acc, s.mul_f32(s.to_f32(sum), scale))
    }

    #[inline(always)]
    fn panel<S: Simd>(s: S, blocks: [&Self::Block; PANEL], to: &mut Self::Panel<S>) {
        let ones = s.splat_u8(1);
        for (half, block) in blocks.into_iter().enumerate() {
            let halves = to.steps.as_chunks_mut::<{ 4 * RUN }>().0;
            for (values, to) in block.values.iter().zip(halves) {
                for (q, values) in values.iter().enumerate() {
                    for (run, w) in unpack(s, values).into_iter().enumerate() {
                        set_row(half, S::Dot::weights(s, w), &mut to[RUN * run + q]);
                    }
                }
            }
            for to in &mut to.scales {
                s.store(S::Dot::scale_u8(s, ones, 0), &mut to[half]);
            }
            to.d[half] = block.d;
        }
    }

    #[inline(always)]
    fn tile<S: Simd>(s: S, panels: &[Self::Panel<S>], acts: &[Self::Tile<S>], sums: &mut Sums) {
        tile256::<S, S::Dot, SUB_BLOCKS, NoMins>(s, panels, acts, sums, |sum| start(s, sum));
    }
}
