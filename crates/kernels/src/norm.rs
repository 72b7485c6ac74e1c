//! Root-mean-square and layer normalization.

use crate::isa::{Isa, Simd, Task};
use crate::sum::Partial;

/// Normalizes each row of `x` and scales it by `weight`: `out = x / sqrt(mean(x²) + epsilon) · weight`
/// (Zhang and Sennrich, arXiv:1910.07467). `x` and `out` are rows as long as `weight`.
///
/// # Panics
/// If `out` is not as long as `x`, or `x` is not whole rows.
pub fn rms_norm(x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
    assert_eq!(x.len(), out.len(), "out must be as long as x");
    out.copy_from_slice(x);
    rms_norm_in_place(out, weight, epsilon);
}

/// [`rms_norm`] with the result in place of `x`.
///
/// # Panics
/// If `x` is not whole rows.
pub fn rms_norm_in_place(x: &mut [f32], weight: &[f32], epsilon: f32) {
    rms_norm_with(Isa::best(), x, weight, epsilon);
}

fn rms_norm_with(isa: Isa, x: &mut [f32], weight: &[f32], epsilon: f32) {
    assert_eq!(
        x.len() % weight.len(),
        0,
        "x must be rows as long as weight"
    );
    isa.run(RmsNorm { x, weight, epsilon });
}

struct RmsNorm<'a> {
    x: &'a mut [f32],
    weight: &'a [f32],
    epsilon: f32,
}

impl Task for RmsNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        for row in self.x.chunks_exact_mut(self.weight.len()) {
            let mut squares = Partial::default();
            squares.add(row, |x| x * x);
            let scale = 1.0 / (squares.total() / row.len() as f32 + self.epsilon).sqrt();
            for (x, weight) in row.iter_mut().zip(self.weight) {
                *x = *x * scale * weight;
            }
        }
    }
}

/// Normalizes each row of `x` to mean 0 and variance 1, and scales and shifts it:
/// `x ← (x − mean(x)) / sqrt(mean((x − mean(x))²) + epsilon) · weight + bias` (Ba et al., arXiv:1607.06450). `weight` and
/// `bias` are as long as a row.
///
/// # Panics
/// If `x` is not whole rows, or `bias` is not as long as `weight`.
pub fn layer_norm_in_place(x: &mut [f32], weight: &[f32], bias: &[f32], epsilon: f32) {
    layer_norm_with(Isa::best(), x, weight, bias, epsilon);
}

fn layer_norm_with(isa: Isa, x: &mut [f32], weight: &[f32], bias: &[f32], epsilon: f32) {
    assert_eq!(
        x.len() % weight.len(),
        0,
        "x must be rows as long as weight"
    );
    assert_eq!(bias.len(), weight.len(), "bias must be as long as weight");
    isa.run(LayerNorm {
        x,
        weight,
        bias,
        epsilon,
    });
}

struct LayerNorm<'a> {
    x: &'a mut [f32],
    weight: &'a [f32],
    bias: &'a [f32],
    epsilon: f32,
}

impl Task for LayerNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        for row in self.x.chunks_exact_mut(self.weight.len()) {
            let len = row.len() as f32;
            let mut sum = Partial::default();
            sum.add(row, |x| x);
            let mean = sum.total() / len;
            let mut squares = Partial::default();
            squares.add(row, |x| (x - mean) * (x - mean));
            let scale = 1.0 / (squares.total() / len + self.epsilon).sqrt();
            for ((x, weight), bias) in row.iter_mut().zip(self.weight).zip(self.bias) {
                *x = (*x - mean) * scale * weight + bias;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Random, assert_close, assert_same_bits};
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn reference(x: &[f32], weight: &[f32], epsilon: f32) -> Vec<f64> {
        let mut out = Vec::new();
        for row in x.chunks_exact(weight.len()) {
            let squares: f64 = row.iter().map(|&x| f64::from(x).powi(2)).sum();
            let rms = (squares / row.len() as f64 + f64::from(epsilon)).sqrt();
            out.extend(
                row.iter()
                    .zip(weight)
                    .map(|(&x, &w)| f64::from(x) / rms * f64::from(w)),
            );
        }
        out
    }

    #[test]
    fn agrees_with_the_formula_in_64_bits() {
        let mut random = Random::new(1);
        for len in [1, 7, 16, 33, 576, 1000, 4096] {
            for scale in [1e-12, 1e-3, 1.0, 1e4, 1e17] {
                let (x, weight) = (random.floats(3 * len, scale), random.floats(len, 2.0));
                let mut out = vec![0.0; 3 * len];
                rms_norm(&x, &weight, 1e-6, &mut out);
                assert_close(&out, &reference(&x, &weight, 1e-6), 1e-6);
            }
        }
    }

    #[test]
    fn a_row_of_zeros_stays_zero() {
        let mut out = [1.0; 8];
        rms_norm(&[0.0; 8], &[1.0; 8], 1e-5, &mut out);
        assert_eq!(out, [0.0; 8]);
    }

    #[test]
    fn is_the_same_on_every_instruction_set_and_beside_other_rows() {
        let mut random = Random::new(2);
        for len in [5, 64, 579] {
            let (x, weight) = (random.floats(4 * len, 3.0), random.floats(len, 2.0));
            let mut expected = x.clone();
            rms_norm_with(Isa::SCALAR, &mut expected, &weight, 1e-5);
            for isa in Isa::available() {
                let mut out = x.clone();
                rms_norm_with(isa, &mut out, &weight, 1e-5);
                assert_same_bits(&out, &expected);
            }
            for (row, expected) in x.chunks_exact(len).zip(expected.chunks_exact(len)) {
                let mut out = row.to_vec();
                rms_norm_in_place(&mut out, &weight, 1e-5);
                assert_same_bits(&out, expected);
            }
        }
    }

    #[test]
    fn layer_norms_agree_with_the_formula_in_64_bits() {
        let mut random = Random::new(3);
        for len in [1, 7, 33, 384, 1000] {
            for (scale, shift) in [(1e-3, 0.0), (1.0, 5.0), (1e4, -3e4)] {
                let (weight, bias) = (random.floats(len, 2.0), random.floats(len, 1.0));
                let mut x = random.floats(3 * len, scale);
                x.iter_mut().for_each(|x| *x += shift);
                let mut expected = Vec::new();
                for row in x.chunks_exact(len) {
                    let of = |sum: f64| sum / len as f64;
                    let mean = of(row.iter().map(|&x| f64::from(x)).sum());
                    let variance = of(row.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum());
                    let normalized = row
                        .iter()
                        .map(|&x| (f64::from(x) - mean) / (variance + 1e-12).sqrt());
                    expected.extend(
                        normalized
                            .zip(weight.iter().zip(&bias))
                            .map(|(x, (&weight, &bias))| x * f64::from(weight) + f64::from(bias)),
                    );
                }
                layer_norm_in_place(&mut x, &weight, &bias, 1e-12);
                assert_close(&x, &expected, 1e-5);
            }
        }
    }

    #[test]
    fn layer_norms_are_the_same_on_every_instruction_set() {
        let mut random = Random::new(4);
        for len in [5, 64, 579] {
            let (weight, bias) = (random.floats(len, 2.0), random.floats(len, 1.0));
            let x = random.floats(4 * len, 3.0);
            let mut expected = x.clone();
            layer_norm_with(Isa::SCALAR, &mut expected, &weight, &bias, 1e-5);
            for isa in Isa::available() {
                let mut out = x.clone();
                layer_norm_with(isa, &mut out, &weight, &bias, 1e-5);
                assert_same_bits(&out, &expected);
            }
        }
    }
}
