//! Bytes with signed weights.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{
    ActStep, ByteForm, DotForm, Lanes, SignedDotForm, SignedWordDot, columns, halves, lanes, stored,
};
use crate::isa::{Bytes16, Simd};
use crate::prepared::STEPS;

/// Four activations for [`FlippedDot`], repeated: two vectors a step are more than a tile can repeat as it loads them.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct Flipped {
    magnitudes: Bytes16,
    /// All bits where the activation is not negative.
    flips: Bytes16,
}

impl ActStep for [Flipped; 1] {
    type Dot = FlippedDot;
}

/// Signed weights for instruction sets that multiply signed bytes by ones of 7 bits and add four: accumulators are one
/// `i32` per row.
///
/// An activation's magnitude has 7 bits, and its sign is moved to the weight. For minus the sum, weights are negated where the
/// activation is not negative, by flipping their bits, which makes −w − 1 of w: `−Σwa = Σ flipped(w) |a| + Σ a`, the last sum
/// over these activations alone. That sum is where accumulators start.
#[derive(Clone, Copy)]
#[allow(
    dead_code,
    reason = "without relaxed-simd, WebAssembly has no use for it"
)]
pub(crate) struct FlippedDot;

impl DotForm for FlippedDot {
    type Step = [Flipped; 1];
    type Weights = [Bytes16; 1];

    #[inline(always)]
    fn steps<S: Simd>(s: S, q: [S::V; 2]) -> [Self::Step; STEPS] {
        let [first, second] = q.map(|q| flipped(s, q));
        halves(first, second)
    }

    /// Of those that are not negative, as one `i32`.
    #[inline(always)]
    fn add_sum<S: Simd>(s: S, sum: S::V, q: S::V) -> S::V {
        let [even, odd] = columns(s, s.and(q, s.xor(negative(s, q), s.splat_u8(0xff))));
        let fours = s.dot_i16(s.add_i16(even, odd), s.splat_i16(1));
        let first = s.add_i32(s.broadcast::<0>(fours), s.broadcast::<1>(fours));
        let second = s.add_i32(s.broadcast::<2>(fours), s.broadcast::<3>(fours));
        s.add_i32(sum, s.add_i32(first, second))
    }

    #[inline(always)]
    fn sub_part<S: Simd>(s: S, acc: S::V, w: S::V, a: &Flipped) -> S::V {
        let flipped = s.xor(w, s.load(&a.flips));
        s.add_dot_i8_u7(acc, flipped, s.load(&a.magnitudes))
    }

    #[inline(always)]
    fn widen<S: Simd>(_: S, acc: S::V) -> S::V {
        acc
    }

    #[inline(always)]
    fn scaled<S: Simd>(s: S, acc: S::V, scale: S::V) -> S::V {
        s.mul_i32(acc, scale)
    }

    #[inline(always)]
    fn scale_i8<S: Simd>(s: S, scales: S::V, j: usize) -> S::V {
        SignedWordDot::scale_i8(s, scales, j)
    }
}

/// All bits of the bytes that are negative.
#[inline(always)]
fn negative<S: Simd>(s: S, q: S::V) -> S::V {
    let odd = s.and(s.shr_i16::<15>(q), s.splat_i16(0xff00_u16.cast_signed()));
    let even = s.shr_u16::<8>(s.shr_i16::<15>(s.shl_i16::<8>(q)));
    s.or(odd, even)
}

/// The steps of sixteen activations.
#[inline(always)]
fn flipped<S: Simd>(s: S, q: S::V) -> [[Flipped; 1]; 4] {
    let negative = negative(s, q);
    let magnitudes = lanes(s, s.sub_i8(s.xor(q, negative), negative));
    let flips = lanes(s, s.xor(negative, s.splat_u8(0xff)));
    let repeated = |lane| stored(s, s.splat(lane));
    std::array::from_fn(|i| {
        [Flipped {
            magnitudes: repeated(&magnitudes[i]),
            flips: repeated(&flips[i]),
        }]
    })
}

impl ByteForm for FlippedDot {
    #[inline(always)]
    fn weights<S: Simd>(s: S, w: S::V) -> Self::Weights {
        [stored(s, w)]
    }

    #[inline(always)]
    fn sub<S: Simd>(s: S, acc: S::V, w: S::V, a: &Self::Step) -> S::V {
        Self::sub_part(s, acc, w, &a[0])
    }
}

impl SignedDotForm for FlippedDot {
    #[inline(always)]
    fn start<S: Simd>(s: S, sum: &Bytes16) -> S::V {
        s.load(sum)
    }

    #[inline(always)]
    fn lanes([step]: &Self::Step) -> Lanes {
        [step.magnitudes, step.flips].map(|vector| vector.as_chunks().0[0])
    }

    #[inline(always)]
    fn sub_vectors<S: Simd>(s: S, acc: S::V, w: S::V, a: [S::V; 2]) -> S::V {
        s.add_dot_i8_u7(acc, s.xor(w, a[1]), a[0])
    }
}
