//! How single keys and values are stored and read back.

use half::f16;

use super::{LANES, SCALED};

/// Rounds to nearest even; what is too large becomes the largest finite number.
pub(super) fn f16_from(value: f32) -> f16 {
    let limit = f16::MAX.to_f32();
    f16::from_f32(value.clamp(-limit, limit))
}

/// The exact value of a finite number, without a branch: its bits moved to their places in 32 bits, and the difference
/// between the two types' exponent biases multiplied in.
#[inline(always)]
pub(super) fn f32_from(stored: f16) -> f32 {
    let bits = u32::from(stored.to_bits());
    let magnitude = f32::from_bits((bits & 0x7fff) << 13) * F16_BIAS_DIFFERENCE;
    f32::from_bits(magnitude.to_bits() | (bits & 0x8000) << 16)
}

/// 2¹¹²: exponents are biased by 127 in 32-bit floats and by 15 in 16-bit ones.
const F16_BIAS_DIFFERENCE: f32 = f32::from_bits((112 + 127) << 23);

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

/// Bytes times scales: `out[i][j] = bytes[i][j] · scales[j]`, rows of [`LANES`].
#[inline(always)]
pub(super) fn scale_columns(bytes: &[i8], scales: &[f16], out: &mut [f32]) {
    let mut columns = [0.0; LANES];
    for (column, &scale) in columns.iter_mut().zip(scales) {
        *column = f32_from(scale);
    }
    let (bytes, out) = (bytes.as_chunks::<LANES>().0, out.as_chunks_mut::<LANES>().0);
    for (out, bytes) in out.iter_mut().zip(bytes) {
        for ((out, &byte), scale) in out.iter_mut().zip(bytes).zip(&columns) {
            *out = f32::from(byte) * scale;
        }
    }
}

/// Bytes times scales: `out[i][j] = bytes[i][j] · scales[i]`, rows of [`LANES`].
#[inline(always)]
pub(super) fn scale_rows(bytes: &[i8], scales: &[f16], out: &mut [f32]) {
    let (bytes, out) = (bytes.as_chunks::<LANES>().0, out.as_chunks_mut::<LANES>().0);
    for ((out, bytes), &scale) in out.iter_mut().zip(bytes).zip(scales) {
        let scale = f32_from(scale);
        for (out, &byte) in out.iter_mut().zip(bytes) {
            *out = f32::from(byte) * scale;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn every_finite_half_is_read_exactly() {
        for bits in 0..=u16::MAX {
            let stored = f16::from_bits(bits);
            if stored.is_finite() {
                assert_eq!(f32_from(stored).to_bits(), stored.to_f32().to_bits());
            }
        }
    }

    #[test]
    fn halves_saturate() {
        assert_eq!(f16_from(1e6), f16::MAX);
        assert_eq!(f16_from(-1e6), f16::MIN);
        assert_eq!(f16_from(0.1), f16::from_f32(0.1));
    }

    #[test]
    fn bytes_are_within_half_a_step_and_the_scale_is_right() {
        let mut random = Random::new(40);
        for scale in [1e-2, 1.0, 3e4] {
            let channels = random.floats(SCALED, scale);
            let mut bytes = [0; SCALED];
            let step = f32_from(quantize(&channels, &mut bytes));
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
