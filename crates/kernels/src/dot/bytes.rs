//! Activations as bytes.

use super::{
    ActStep, Arrangement, ByteForm, DotForm, FlippedDot, NibbleForm, halves, lanes, stored,
};
use crate::isa::{Bytes16, Lane, Simd};
use crate::prepared::STEPS;

/// For instruction sets that multiply unsigned by signed bytes and add pairs.
#[derive(Clone, Copy)]
#[allow(
    dead_code,
    reason = "without relaxed-simd, WebAssembly has no use for it"
)]
pub(crate) struct ByteDot;

impl ActStep for [Lane; 1] {
    type Dot = ByteDot;
}

impl DotForm for ByteDot {
    type Step = [Lane; 1];
    type Weights = [Bytes16; 1];

    #[inline(always)]
    fn steps<S: Simd>(s: S, q: [S::V; 2]) -> [Self::Step; STEPS] {
        let [first, second] = q.map(|q| lanes(s, q).map(|step| [step]));
        halves(first, second)
    }

    #[inline(always)]
    fn sub_part<S: Simd>(s: S, acc: S::V, w: S::V, a: &Lane) -> S::V {
        s.sub_i16(acc, s.dot_u7_i8(w, s.splat(a)))
    }
}

impl ByteForm for ByteDot {
    #[inline(always)]
    fn weights<S: Simd>(s: S, w: S::V) -> Self::Weights {
        [stored(s, w)]
    }

    #[inline(always)]
    fn sub<S: Simd>(s: S, acc: S::V, w: S::V, a: &Self::Step) -> S::V {
        Self::sub_part(s, acc, w, &a[0])
    }
}

/// Lower and upper nibbles, a byte each.
#[inline(always)]
pub(crate) fn as_bytes<S: Simd>(s: S, nibbles: S::V) -> [S::V; 2] {
    let mask = s.splat_u8(0x0f);
    [s.and(nibbles, mask), s.and(s.shr_u16::<4>(nibbles), mask)]
}

impl NibbleForm for ByteDot {
    #[inline(always)]
    fn weights<S: Simd>(s: S, nibbles: S::V) -> [Self::Weights; 2] {
        as_bytes(s, nibbles).map(|w| <Self as ByteForm>::weights(s, w))
    }

    #[inline(always)]
    fn sub<S: Simd>(s: S, acc: S::V, nibbles: S::V, a: [&Self::Step; 2]) -> S::V {
        let [low, high] = as_bytes(s, nibbles);
        let acc = <Self as ByteForm>::sub(s, acc, low, a[0]);
        <Self as ByteForm>::sub(s, acc, high, a[1])
    }
}

impl Arrangement for ByteDot {
    type Nibbles = Self;
    type Signed = FlippedDot;
}
