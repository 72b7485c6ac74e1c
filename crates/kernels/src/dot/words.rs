//! Activations as 16-bit words, for instruction sets that only multiply words.
//!
//! A word of weights is multiplied as it is, with all the weights in it, and then shifted to the right, until only the last is
//! left. What that is too much is taken off the words of activations beforehand: with two bytes, w₀ + 2⁸ w₁,
//!
//! ```text
//! w₀ a₀ + w₁ a₁ = (w₀ + 2⁸ w₁) a₀ + w₁ (a₁ − 2⁸ a₀)
//! ```
//!
//! and likewise with four nibbles, 2⁴ apart. So a weight takes no more than a shift, where masks would take one more each, and
//! the last of a word nothing. All of it is modulo 2¹⁶, which the sums fit.

use std::marker::PhantomData;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{
    ActStep, Arrangement, ByteForm, DotForm, NibbleForm, SignedWordDot, columns, halves, lanes,
    stored,
};
use crate::isa::{Bytes16, Lane, Simd};
use crate::prepared::STEPS;

/// Two words of the arrangement `D`.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct Words<D> {
    words: Lane,
    arrangement: PhantomData<D>,
}

impl<D: DotForm<Step = Self>> ActStep for [Words<D>; 2] {
    type Dot = D;
}

impl<D> Words<D> {
    /// The steps whose first parts are the lanes of `first`, and whose second those of `second`.
    #[inline(always)]
    pub(super) fn of_lanes<S: Simd>(s: S, first: S::V, second: S::V) -> [[Self; 2]; 4] {
        let (first, second) = (lanes(s, first), lanes(s, second));
        std::array::from_fn(|i| {
            [first[i], second[i]].map(|words| Self {
                words,
                arrangement: PhantomData,
            })
        })
    }

    #[inline(always)]
    pub(super) fn lane(self) -> Lane {
        self.words
    }

    /// The words, four times.
    #[inline(always)]
    pub(super) fn load<S: Simd>(&self, s: S) -> S::V {
        s.splat(&self.words)
    }
}

/// Words of two bytes.
#[derive(Clone, Copy)]
#[allow(
    dead_code,
    reason = "where there are products of bytes, there is no use for it"
)]
pub(crate) struct WordDot;

impl DotForm for WordDot {
    type Step = [Words<Self>; 2];
    type Weights = [Bytes16; 2];

    #[inline(always)]
    fn steps<S: Simd>(s: S, q: [S::V; 2]) -> [Self::Step; STEPS] {
        let [first, second] = q.map(|q| {
            let [even, odd] = columns(s, q);
            Words::of_lanes(s, even, s.sub_i16(odd, s.shl_i16::<8>(even)))
        });
        halves(first, second)
    }

    #[inline(always)]
    fn sub_part<S: Simd>(s: S, acc: S::V, w: S::V, a: &Words<Self>) -> S::V {
        s.sub_i16(acc, s.mul_i16(w, a.load(s)))
    }
}

impl WordDot {
    #[inline(always)]
    fn shifted<S: Simd>(s: S, w: S::V) -> [S::V; 2] {
        [w, s.shr_u16::<8>(w)]
    }
}

impl ByteForm for WordDot {
    #[inline(always)]
    fn weights<S: Simd>(s: S, w: S::V) -> Self::Weights {
        Self::shifted(s, w).map(|w| stored(s, w))
    }

    #[inline(always)]
    fn sub<S: Simd>(s: S, acc: S::V, w: S::V, a: &Self::Step) -> S::V {
        let [first, second] = Self::shifted(s, w);
        Self::sub_part(s, Self::sub_part(s, acc, first, &a[0]), second, &a[1])
    }
}

impl Arrangement for WordDot {
    type Nibbles = NibbleWordDot;
    type Signed = SignedWordDot;
}

/// Words of four nibbles, of two steps: the words that are shifted by 0 and 8 are one's, by 4 and 12 the other's.
#[derive(Clone, Copy)]
#[allow(
    dead_code,
    reason = "where there are products of bytes, there is no use for it"
)]
pub(crate) struct NibbleWordDot;

impl DotForm for NibbleWordDot {
    type Step = [Words<Self>; 2];
    type Weights = [Bytes16; 2];

    #[inline(always)]
    fn steps<S: Simd>(s: S, q: [S::V; 2]) -> [Self::Step; STEPS] {
        // In the order of the nibbles of a word.
        let ([a0, a2], [a1, a3]) = (columns(s, q[0]), columns(s, q[1]));
        let less = |a, before| s.sub_i16(a, s.shl_i16::<4>(before));
        halves(
            Words::of_lanes(s, a0, less(a2, a1)),
            Words::of_lanes(s, less(a1, a0), less(a3, a2)),
        )
    }

    #[inline(always)]
    fn sub_part<S: Simd>(s: S, acc: S::V, w: S::V, a: &Words<Self>) -> S::V {
        s.sub_i16(acc, s.mul_i16(w, a.load(s)))
    }
}

impl NibbleWordDot {
    #[inline(always)]
    fn shifted<S: Simd>(s: S, nibbles: S::V) -> [[S::V; 2]; 2] {
        [
            [nibbles, s.shr_u16::<8>(nibbles)],
            [s.shr_u16::<4>(nibbles), s.shr_u16::<12>(nibbles)],
        ]
    }
}

impl NibbleForm for NibbleWordDot {
    #[inline(always)]
    fn weights<S: Simd>(s: S, nibbles: S::V) -> [Self::Weights; 2] {
        Self::shifted(s, nibbles).map(|step| step.map(|w| stored(s, w)))
    }

    #[inline(always)]
    fn sub<S: Simd>(s: S, acc: S::V, nibbles: S::V, a: [&Self::Step; 2]) -> S::V {
        let steps = Self::shifted(s, nibbles).into_iter().zip(a);
        steps.fold(acc, |acc, ([first, second], a)| {
            Self::sub_part(s, Self::sub_part(s, acc, first, &a[0]), second, &a[1])
        })
    }
}
