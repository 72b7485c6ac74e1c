//! Words with signed weights.

use super::words::Words;
use super::{ByteForm, DotForm, Lanes, SignedDotForm, bytes_of_lane, columns, halves, stored};
use crate::isa::{Bytes16, Simd};
use crate::prepared::STEPS;

/// Even columns apart from odd ones.
///
/// A weight is the upper byte of its word, where signs need no operation. Accumulators are one `i32` for each row, and
/// hold 256 times the sum, which up to 512 products of weights fit.
#[derive(Clone, Copy)]
pub(crate) struct SignedWordDot;

impl SignedWordDot {
    /// Even and odd columns, times 256.
    #[inline(always)]
    fn upper_bytes<S: Simd>(s: S, w: S::V) -> [S::V; 2] {
        const UPPER: i16 = 0xff00_u16 as i16;
        [s.shl_i16::<8>(w), s.and(w, s.splat_i16(UPPER))]
    }
}

impl DotForm for SignedWordDot {
    type Step = [Words<Self>; 2];
    type Weights = [Bytes16; 2];

    #[inline(always)]
    fn steps<S: Simd>(s: S, q: [S::V; 2]) -> [Self::Step; STEPS] {
        let [first, second] = q.map(|q| {
            let [even, odd] = columns(s, q);
            Words::of_lanes(s, even, odd)
        });
        halves(first, second)
    }

    #[inline(always)]
    fn sub_part<S: Simd>(s: S, acc: S::V, w: S::V, a: &Words<Self>) -> S::V {
        s.sub_i32(acc, s.dot_i16(w, a.load(s)))
    }

    #[inline(always)]
    fn widen<S: Simd>(s: S, acc: S::V) -> S::V {
        s.shr_i32::<8>(acc)
    }

    #[inline(always)]
    fn scaled<S: Simd>(s: S, acc: S::V, scale: S::V) -> S::V {
        s.mul_i32(Self::widen(s, acc), scale)
    }

    #[inline(always)]
    fn scale_i8<S: Simd>(s: S, scales: S::V, j: usize) -> S::V {
        const HIGH_BYTE: [Bytes16; 4] = bytes_of_lane([false, false, false, true]);
        s.shr_i32::<24>(s.swizzle(scales, &HIGH_BYTE[j]))
    }
}

impl ByteForm for SignedWordDot {
    #[inline(always)]
    fn weights<S: Simd>(s: S, w: S::V) -> Self::Weights {
        Self::upper_bytes(s, w).map(|w| stored(s, w))
    }

    #[inline(always)]
    fn sub<S: Simd>(s: S, acc: S::V, w: S::V, a: &Self::Step) -> S::V {
        let [even, odd] = Self::upper_bytes(s, w);
        Self::sub_part(s, Self::sub_part(s, acc, even, &a[0]), odd, &a[1])
    }
}

impl SignedDotForm for SignedWordDot {
    #[inline(always)]
    fn start<S: Simd>(s: S, _: &Bytes16) -> S::V {
        s.splat_i32(0)
    }

    #[inline(always)]
    fn lanes(step: &Self::Step) -> Lanes {
        step.map(Words::lane)
    }

    #[inline(always)]
    fn sub_vectors<S: Simd>(s: S, acc: S::V, w: S::V, a: [S::V; 2]) -> S::V {
        let w = Self::upper_bytes(s, w);
        let acc = s.sub_i32(acc, s.dot_i16(w[0], a[0]));
        s.sub_i32(acc, s.dot_i16(w[1], a[1]))
    }
}
