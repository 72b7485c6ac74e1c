//! Packed weights: for each format the block of four rows that is stored, the panel of eight rows that a tile reads,
//! and the inner products of both.
//!
//! All follow one scheme, here for vector `v` of a block, with columns `k…k+3` of rows `r…r+3` as bytes:
//!
//! ```text
//!          lane 0              lane 1              lane 2              lane 3
//!   ┌────┬────┬────┬────┬────┬────┬────┬────┬────┬────┬────┬────┬────┬────┬────┬────┐
//!   │r,k │ k+1│ k+2│ k+3│r+1 │ …  │    │    │r+2 │    │    │    │r+3 │    │    │ k+3│
//!   └────┴────┴────┴────┴────┴────┴────┴────┴────┴────┴────┴────┴────┴────┴────┴────┘
//! ```
//!
//! A dot instruction sums the four products of a lane, so an accumulator has a lane per row, nothing is ever summed
//! across lanes, and four outputs are stored as one vector.

mod floats;
mod iq4_xs;
mod nibbles;
mod q2_k;
mod q3_k;
mod q4_k;
mod q6_k;
mod q8_0;
mod table;
mod ternary;
mod tile;
mod tile256;

use crate::Format;
use crate::decode::dot_in_turn;
use crate::dot::Pod;
use crate::isa::{Bytes16, Simd};
use crate::prepared::{Prepare, TILE};

pub(crate) use floats::{Bf16, F16, F32};
pub(crate) use iq4_xs::Iq4Xs;
pub(crate) use nibbles::{Q4_0, Q4_1, Q5_0, Q5_1};
pub(crate) use q2_k::Q2K;
pub(crate) use q3_k::Q3K;
pub(crate) use q4_k::{Q4K, Q5K};
pub(crate) use q6_k::Q6K;
pub(crate) use q8_0::Q8_0;
pub(crate) use table::{Iq4Nl, Mxfp4};
pub(crate) use ternary::{I2S, Ternary, Tq1_0, set_scale};
pub(crate) use tile::tile_step;

/// Rows in a packed block.
pub(crate) const GROUP: usize = 4;

/// Row groups in a panel.
pub(crate) const PANEL: usize = 2;

/// The running sums of a tile: eight rows of weights (two vectors) × four rows of activations.
///
/// They live in memory, aligned, rather than in registers: with the accumulators of the block in progress they are
/// more than the 16 registers of x86-64, and V8's own spill slots may straddle cache lines.
#[derive(Clone, Copy, Default)]
#[repr(C, align(64))]
pub(crate) struct Sums(pub(crate) [[Bytes16; TILE]; PANEL]);

/// How packed weights are stored and multiplied; several formats may be packed alike.
pub(crate) trait Layout: Sized + 'static {
    /// The module that describes it.
    const NAME: &'static str;
    /// Columns in a packed block.
    const LEN: usize;
    /// Whether decode reads two row groups in turn. Not where their code is not unrolled: processors that tell streams by the
    /// instructions that load them then find none, and for some distances between the two read half as fast.
    const TWO_STREAMS: bool = true;
    /// Four rows × [`Self::LEN`] columns.
    type Block: Pod + Send + Sync;
    /// Eight rows × [`Self::LEN`] columns, unpacked to what the tile's inner loop loads.
    type Panel<S: Simd>: Pod;
    /// The activations of one row that go with a block.
    type Row<S: Simd>: Prepare;
    /// The activations of [`TILE`] rows.
    type Tile<S: Simd>: Prepare;

    /// `acc + block · acts` for each of the four rows.
    fn dot<S: Simd>(s: S, block: &Self::Block, acts: &Self::Row<S>, acc: S::V) -> S::V;

    /// The products of `N` row groups with a row of activations.
    #[inline(always)]
    fn dot_groups<S: Simd, const N: usize>(
        s: S,
        groups: [&[Self::Block]; N],
        acts: &[Self::Row<S>],
    ) -> [S::V; N] {
        dot_in_turn::<S, Self, N>(s, groups, acts)
    }

    /// Unpacks two row groups.
    fn panel<S: Simd>(s: S, blocks: [&Self::Block; PANEL], to: &mut Self::Panel<S>);

    /// `sums + panels · acts`, block by block in the order of [`Self::dot`].
    fn tile<S: Simd>(s: S, panels: &[Self::Panel<S>], acts: &[Self::Tile<S>], sums: &mut Sums);
}

/// How the blocks of one format become packed ones.
pub(crate) trait Codec: 'static {
    const FORMAT: Format;
    type Layout: Layout;

    /// Packs the next [`Layout::LEN`] columns of four rows of the file into an empty (zero) block. Rows may end within
    /// it, at the end of a block of the file.
    fn pack<S: Simd>(s: S, rows: [&[u8]; GROUP], to: &mut BlockOf<Self>);

    /// The inverse of [`Self::pack`] for one row of the four.
    fn unpack_row(block: &BlockOf<Self>, row: usize, to: &mut [u8]);
}

/// The packed block of a [`Codec`].
pub(crate) type BlockOf<C> = <<C as Codec>::Layout as Layout>::Block;

/// Four half-precision numbers as single precision.
///
/// The bits are moved into place, which leaves the exponent short by 112; a multiplication by 2¹¹² puts that right,
/// for subnormal numbers too. Infinite and undefined numbers must have been refused before.
#[inline(always)]
pub(crate) fn widen_half<S: Simd>(s: S, halves: S::V) -> S::V {
    const SIGN_EXPONENT_MANTISSA: i32 = 0x8fff_e000_u32 as i32;
    let moved = s.and(s.shl_i32::<13>(halves), s.splat_i32(SIGN_EXPONENT_MANTISSA));
    s.mul_f32(moved, s.splat_f32(HALF_BIAS))
}

/// 2¹¹²: by how much the exponent biases of single and half precision differ.
pub(crate) const HALF_BIAS: f32 = f32::from_bits((112 + 127) << 23);

/// Evaluates an expression with `$codec` standing for the [`Codec`] of a [`Format`].
macro_rules! with_codec {
    ($format:expr, $codec:ident => $body:expr) => {
        match $format {
            $crate::Format::F32 => $crate::layout::with_codec!(@ F32, $codec => $body),
            $crate::Format::F16 => $crate::layout::with_codec!(@ F16, $codec => $body),
            $crate::Format::BF16 => $crate::layout::with_codec!(@ Bf16, $codec => $body),
            $crate::Format::Q4_0 => $crate::layout::with_codec!(@ Q4_0, $codec => $body),
            $crate::Format::Q4_1 => $crate::layout::with_codec!(@ Q4_1, $codec => $body),
            $crate::Format::Q5_0 => $crate::layout::with_codec!(@ Q5_0, $codec => $body),
            $crate::Format::Q5_1 => $crate::layout::with_codec!(@ Q5_1, $codec => $body),
            $crate::Format::Q8_0 => $crate::layout::with_codec!(@ Q8_0, $codec => $body),
            $crate::Format::Q2_K => $crate::layout::with_codec!(@ Q2K, $codec => $body),
            $crate::Format::Q3_K => $crate::layout::with_codec!(@ Q3K, $codec => $body),
            $crate::Format::Q4_K => $crate::layout::with_codec!(@ Q4K, $codec => $body),
            $crate::Format::Q5_K => $crate::layout::with_codec!(@ Q5K, $codec => $body),
            $crate::Format::Q6_K => $crate::layout::with_codec!(@ Q6K, $codec => $body),
            $crate::Format::IQ4_NL => $crate::layout::with_codec!(@ Iq4Nl, $codec => $body),
            $crate::Format::IQ4_XS => $crate::layout::with_codec!(@ Iq4Xs, $codec => $body),
            $crate::Format::TQ1_0 => $crate::layout::with_codec!(@ Tq1_0, $codec => $body),
            $crate::Format::TQ2_0 => $crate::layout::with_codec!(@ Ternary, $codec => $body),
            $crate::Format::I2_S => $crate::layout::with_codec!(@ I2S, $codec => $body),
            $crate::Format::MXFP4 => $crate::layout::with_codec!(@ Mxfp4, $codec => $body),
        }
    };
    (@ $name:ident, $codec:ident => $body:expr) => {{
        type $codec = $crate::layout::$name;
        $body
    }};
}

/// Evaluates an expression with `$layout` standing for the [`Layout`] of a [`Format`]: once for all formats that are
/// packed alike, whose kernels are thereby compiled once.
macro_rules! with_layout {
    ($format:expr, $layout:ident => $body:expr) => {
        match $format {
            $crate::Format::F32 => $crate::layout::with_layout!(@ F32, $layout => $body),
            $crate::Format::F16 => $crate::layout::with_layout!(@ F16, $layout => $body),
            $crate::Format::BF16 => $crate::layout::with_layout!(@ Bf16, $layout => $body),
            $crate::Format::Q4_0 => $crate::layout::with_layout!(@ Q4_0, $layout => $body),
            $crate::Format::Q4_1 => $crate::layout::with_layout!(@ Q4_1, $layout => $body),
            $crate::Format::Q5_0 => $crate::layout::with_layout!(@ Q5_0, $layout => $body),
            $crate::Format::Q5_1 => $crate::layout::with_layout!(@ Q5_1, $layout => $body),
            $crate::Format::Q8_0 => $crate::layout::with_layout!(@ Q8_0, $layout => $body),
            $crate::Format::Q2_K => $crate::layout::with_layout!(@ Q2K, $layout => $body),
            $crate::Format::Q3_K => $crate::layout::with_layout!(@ Q3K, $layout => $body),
            $crate::Format::Q4_K => $crate::layout::with_layout!(@ Q4K, $layout => $body),
            $crate::Format::Q5_K => $crate::layout::with_layout!(@ Q5K, $layout => $body),
            $crate::Format::Q6_K => $crate::layout::with_layout!(@ Q6K, $layout => $body),
            $crate::Format::IQ4_NL => $crate::layout::with_layout!(@ Iq4Nl, $layout => $body),
            $crate::Format::IQ4_XS => $crate::layout::with_layout!(@ Iq4Xs, $layout => $body),
            $crate::Format::TQ1_0 | $crate::Format::TQ2_0 | $crate::Format::I2_S => {
                $crate::layout::with_layout!(@ Ternary, $layout => $body)
            }
            $crate::Format::MXFP4 => $crate::layout::with_layout!(@ Mxfp4, $layout => $body),
        }
    };
    (@ $name:ident, $layout:ident => $body:expr) => {{
        type $layout = $crate::layout::$name;
        $body
    }};
}

pub(crate) use {with_codec, with_layout};
