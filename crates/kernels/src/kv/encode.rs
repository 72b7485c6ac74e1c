//! How keys and values are stored and read back.

use half::f16;
use half::slice::HalfFloatSliceExt;
use zerocopy::IntoBytes;

use super::SCALED;
use crate::isa::Simd;

/// Rounds to nearest even; what is too large becomes the largest finite number. Without a branch, so that many are converted
/// at a time.
#[inline(always)]
pub(super) fn f16_from(value: f32) -> f16 {
    const LARGEST: u32 = 65504.0_f32.to_bits();
    const INFINITE: u32 = f32::INFINITY.to_bits();
    // 2⁻¹⁴: numbers below are subnormal as halves.
    const NORMAL: u32 = f32::from_bits((127 - 14) << 23).to_bits();
    // Added to a number below 2⁻¹⁴, it leaves multiples of 2⁻²⁴, the smallest half, in the low bits.
    const ALIGN: f32 = 0.5;
    let bits = value.to_bits();
    let magnitude = bits & !SIGN;
    let finite = magnitude.min(LARGEST);
    let odd = finite >> F16_SHIFT & 1;
    // Or just less, where the last place that is kept is even already.
    let half_a_place = (1 << (F16_SHIFT - 1)) - 1 + odd;
    // Wraps where the number is subnormal, and is then not used.
    let rounded = finite
        .wrapping_sub(NORMAL - F16_NORMAL)
        .wrapping_add(half_a_place);
    let normal = rounded >> F16_SHIFT;
    let subnormal = (f32::from_bits(finite) + ALIGN).to_bits() - ALIGN.to_bits();
    let half = if finite < NORMAL { subnormal } else { normal };
    let half = if magnitude > INFINITE {
        UNDEFINED
    } else {
        half
    };
    f16::from_bits((half | (bits & SIGN) >> 16) as u16)
}

/// The sign of a 32-bit float.
const SIGN: u32 = 0x8000_0000;

/// 2⁻¹⁴ as a 16-bit float, moved to the bits of a 32-bit one.
const F16_NORMAL: u32 = 1 << 23;

/// An undefined 16-bit float.
const UNDEFINED: u32 = 0x7e00;

/// The exact values of finite numbers, without a branch: their bits moved to their places in 32 bits, and the
/// difference between the two types' exponent biases multiplied in.
#[inline(always)]
pub(crate) fn widen_f16<S: Simd>(s: S, stored: &[f16], out: &mut [f32]) {
    each_four(s, stored, out, |halves| widen_half(s, halves));
}

/// [`place_half`] for any number of halves.
#[inline(always)]
pub(crate) fn place_f16<S: Simd>(s: S, stored: &[f16], out: &mut [f32]) {
    each_four(s, stored, out, |halves| place_half(s, halves));
}

#[inline(always)]
fn each_four<S: Simd>(s: S, stored: &[f16], out: &mut [f32], convert: impl Fn(S::V) -> S::V) {
    let stored = stored.reinterpret_cast().as_bytes().as_chunks().0;
    for (out, stored) in out.as_mut_bytes().as_chunks_mut().0.iter_mut().zip(stored) {
        s.store(convert(s.load_i16(stored)), out);
    }
}

/// Four finite halves, sign-extended to 32 bits, as in [`widen_f16`].
#[inline(always)]
fn widen_half<S: Simd>(s: S, halves: S::V) -> S::V {
    s.mul_f32(place_half(s, halves), s.splat_f32(PLACED))
}

/// Four finite halves, sign-extended to 32 bits, divided by [`PLACED`]: exactly, with the bits only moved to their places.
#[inline(always)]
fn place_half<S: Simd>(s: S, halves: S::V) -> S::V {
    place_half_with(s, s.splat_i32(F16_MASK), halves)
}

/// [`place_half`] with the mask at hand: [`F16_MASK`], repeated.
#[inline(always)]
pub(crate) fn place_half_with<S: Simd>(s: S, mask: S::V, halves: S::V) -> S::V {
    s.and(s.shl_i32::<F16_SHIFT>(halves), mask)
}

/// From the place of a 16-bit float's exponent to that of a 32-bit one's.
const F16_SHIFT: i32 = 13;

/// Exponent and mantissa after the shift, and the sign, of which there are copies in between.
pub(crate) const F16_MASK: i32 = (SIGN | 0x7fff << F16_SHIFT).cast_signed();

/// 2¹¹²: exponents are biased by 127 in 32-bit floats and by 15 in 16-bit ones.
pub(crate) const PLACED: f32 = f32::from_bits((112 + 127) << 23);

/// Rounds up to [`SCALED`] channels to bytes, the largest to ±127, and returns their scale.
pub(super) fn quantize(channels: &[f32], bytes: &mut [i8]) -> f16 {
    debug_assert!(channels.len() <= SCALED);
    let largest = channels
        .iter()
        .fold(0.0f32, |largest, x| largest.max(x.abs()));
    let scale = f16_from(largest / f32::from(i8::MAX));
    let inverse = if largest > 0.0 {
        f32::from(i8::MAX) / largest
    } else {
        0.0
    };
    for (byte, x) in bytes.iter_mut().zip(channels) {
        *byte = (x * inverse).round_ties_even() as i8;
    }
    scale
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::{Isa, Task};
    use crate::testing::Random;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    struct Widen<'a>(&'a [f16], &'a mut [f32]);

    impl Task for Widen<'_> {
        type Output = ();
        fn run<S: Simd>(self, s: S) {
            widen_f16(s, self.0, self.1);
        }
    }

    #[test]
    fn every_finite_half_is_read_exactly() {
        let stored: Vec<f16> = (0..=u16::MAX)
            .map(f16::from_bits)
            .filter(|half| half.is_finite())
            .collect();
        for isa in Isa::available() {
            let mut out = vec![0.0; stored.len()];
            isa.run(Widen(&stored, &mut out));
            for (out, stored) in out.iter().zip(&stored) {
                assert_eq!(out.to_bits(), stored.to_f32().to_bits());
            }
        }
    }

    #[test]
    fn floats_become_the_nearest_halves() {
        let expected = |x: f32| f16::from_f32(x.clamp(-65504.0, 65504.0));
        let check = |x: f32| {
            for x in [x, -x] {
                assert_eq!(f16_from(x).to_bits(), expected(x).to_bits(), "{x:e}");
            }
        };
        for bits in 0..f16::INFINITY.to_bits() {
            let half = f16::from_bits(bits).to_f32();
            let next = f16::from_bits(bits + 1).to_f32().min(65536.0);
            let middle = (half + next) / 2.0;
            for x in [half, middle.next_down(), middle, middle.next_up()] {
                check(x);
            }
        }
        for x in [
            f32::from_bits(1),
            f32::MIN_POSITIVE,
            2.0_f32.powi(-15).next_down(),
            1e6,
            f32::MAX,
            f32::INFINITY,
        ] {
            check(x);
        }
        assert!(f16_from(f32::NAN).is_nan());
    }

    #[test]
    fn bytes_are_within_half_a_step_and_the_scale_is_right() {
        let mut random = Random::new(40);
        for scale in [1e-2, 1.0, 3e4] {
            let channels = random.floats(SCALED, scale);
            let mut bytes = [0; SCALED];
            let step = quantize(&channels, &mut bytes).to_f32();
            for (&byte, &x) in bytes.iter().zip(&channels) {
                // Half a step, and the rounding of the scale itself times at most 127.
                assert!((f32::from(byte) * step - x).abs() <= step * (0.5 + 127.0 / 2048.0) + 1e-6);
            }
        }
        let mut bytes = [1; SCALED];
        assert_eq!(quantize(&[0.0; SCALED], &mut bytes), f16::ZERO);
        assert_eq!(bytes, [0; SCALED]);
    }
}
