//! How keys and values are stored and read back.
//!
//! Reading is kept out of line in WebAssembly, where a call costs little and engines allocate registers better in small
//! functions; natively a function that is not inlined would not be compiled for its caller's instruction set.

use half::f16;
use half::slice::HalfFloatSliceExt;
use zerocopy::IntoBytes;

use super::{LANES, SCALED};
use crate::isa::{Bytes16, Simd, ZERO};

/// Rounds to nearest even; what is too large becomes the largest finite number.
pub(super) fn f16_from(value: f32) -> f16 {
    let limit = f16::MAX.to_f32();
    f16::from_f32(value.clamp(-limit, limit))
}

/// The exact values of finite numbers, without a branch: their bits moved to their places in 32 bits, and the
/// difference between the two types' exponent biases multiplied in.
#[cfg_attr(target_arch = "wasm32", inline(never))]
#[cfg_attr(not(target_arch = "wasm32"), inline(always))]
pub(super) fn widen_f16<S: Simd>(s: S, stored: &[f16], out: &mut [f32]) {
    let stored = stored.reinterpret_cast().as_bytes().as_chunks().0;
    for (out, stored) in out.as_mut_bytes().as_chunks_mut().0.iter_mut().zip(stored) {
        s.store(widen_half(s, s.load_i16(stored)), out);
    }
}

/// Four finite halves, sign-extended to 32 bits, as in [`widen_f16`].
#[inline(always)]
pub(crate) fn widen_half<S: Simd>(s: S, halves: S::V) -> S::V {
    let bits = s.shl_i32::<F16_SHIFT>(halves);
    s.mul_f32(
        s.and(bits, s.splat_i32(F16_MASK)),
        s.splat_f32(F16_BIAS_DIFFERENCE),
    )
}

/// From the place of a 16-bit float's exponent to that of a 32-bit one's.
const F16_SHIFT: i32 = 13;

/// Exponent and mantissa after the shift, and the sign, of which there are copies in between.
const F16_MASK: i32 = (0x8000_0000_u32 | 0x7fff << F16_SHIFT).cast_signed();

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
#[cfg_attr(target_arch = "wasm32", inline(never))]
#[cfg_attr(not(target_arch = "wasm32"), inline(always))]
pub(super) fn scale_columns<S: Simd>(s: S, bytes: &[i8], scales: &[f16], out: &mut [f32]) {
    let mut columns = [0.0; LANES];
    widen_f16(s, scales, &mut columns);
    let columns = columns.as_bytes().as_chunks().0;
    let unit = s.splat_f32(BYTE_UNIT);
    let columns = [0, 1].map(|i| s.mul_f32(s.load(&columns[i]), unit));
    each_sixteen(bytes, out, |bytes, out| {
        widen_bytes(s, s.load(bytes), [columns, columns].as_flattened(), out);
    });
}

/// Bytes times scales: `out[i][j] = bytes[i][j] · scales[i]`, rows of [`LANES`]; an even number of rows.
#[cfg_attr(target_arch = "wasm32", inline(never))]
#[cfg_attr(not(target_arch = "wasm32"), inline(always))]
pub(super) fn scale_rows<S: Simd>(s: S, bytes: &[i8], scales: &[f16], out: &mut [f32]) {
    let mut pairs = scales.as_chunks::<2>().0.iter();
    each_sixteen(bytes, out, |bytes, out| {
        let scales = pairs.next().map_or([f16::ZERO; 2], |pair| *pair);
        let [a, b] = scales.map(|scale| s.splat_f32(scale.to_f32() * BYTE_UNIT));
        widen_bytes(s, s.load(bytes), &[a, a, b, b], out);
    });
}

/// What a byte has to be multiplied by when it is the highest of a 32-bit integer.
const BYTE_UNIT: f32 = 1.0 / (1 << 24) as f32;

#[inline(always)]
fn each_sixteen(bytes: &[i8], out: &mut [f32], mut widen: impl FnMut(&Bytes16, &mut [Bytes16; 4])) {
    let bytes = bytes.as_bytes().as_chunks().0.iter();
    let out = out
        .as_mut_bytes()
        .as_chunks_mut()
        .0
        .as_chunks_mut()
        .0
        .iter_mut();
    for (bytes, out) in bytes.zip(out) {
        widen(bytes, out);
    }
}

/// Sixteen signed bytes as floats, times four vectors of scales that are given per [`BYTE_UNIT`]. Each byte is put
/// highest in a 32-bit integer, which sign-extends it and which a float still holds exactly.
#[inline(always)]
fn widen_bytes<S: Simd>(s: S, bytes: S::V, scales: &[S::V], out: &mut [Bytes16; 4]) {
    const HIGHEST: [Bytes16; 4] = {
        let mut indices = [[ZERO; 16]; 4];
        let mut i = 0;
        while i < 16 {
            indices[i / 4][i % 4 * 4 + 3] = i as u8;
            i += 1;
        }
        indices
    };
    for ((out, indices), &scale) in out.iter_mut().zip(&HIGHEST).zip(scales) {
        s.store(s.mul_f32(s.to_f32(s.swizzle(bytes, indices)), scale), out);
    }
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

    struct Scale<'a>(bool, &'a [i8], &'a [f16], &'a mut [f32]);

    impl Task for Scale<'_> {
        type Output = ();
        fn run<S: Simd>(self, s: S) {
            let scale = if self.0 { scale_columns } else { scale_rows };
            scale(s, self.1, self.2, self.3);
        }
    }

    #[test]
    fn every_byte_is_scaled_exactly() {
        let bytes: Vec<i8> = (i8::MIN..=i8::MAX).collect();
        let scales: Vec<f16> = (0..32).map(|i| f16::from_bits(1 + i * 980)).collect();
        for isa in Isa::available() {
            for columns in [true, false] {
                let mut out = vec![0.0; 256];
                isa.run(Scale(columns, &bytes, &scales, &mut out));
                for (i, (out, &byte)) in out.iter().zip(&bytes).enumerate() {
                    let scale = scales[if columns { i % LANES } else { i / LANES }];
                    assert_eq!(out.to_bits(), (f32::from(byte) * scale.to_f32()).to_bits());
                }
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
