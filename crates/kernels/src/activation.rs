//! Activation functions of feed-forward networks, and the soft bound on scores and logits.

use crate::isa::{Isa, Simd, Task};
use crate::softmax::exp;

/// What the gate of a gated feed-forward network goes through, or the inner vector of one without a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Activation {
    /// SiLU(x) = x σ(x), with σ(x) = 1 / (1 + e^−x) (Elfwing et al., arXiv:1702.03118).
    Silu,
    /// GELU(x) ≈ x/2 (1 + tanh(√(2/π) (x + 0.044715 x³))) (Hendrycks and Gimpel, arXiv:1606.08415, section 2).
    ///
    /// Computed as x σ(2 √(2/π) (x + 0.044715 x³)), which is the same number.
    GeluTanh,
    /// max(x, 0)² (So et al., *Primer*, arXiv:2109.08668).
    ReluSquared,
}

/// `gate ← activation(gate) · up`, element by element. Both of one length.
///
/// # Panics
/// If the lengths differ.
pub fn gated_in_place(activation: Activation, gate: &mut [f32], up: &[f32]) {
    gated_with(Isa::best(), activation, gate, up);
}

fn gated_with(isa: Isa, activation: Activation, gate: &mut [f32], up: &[f32]) {
    assert_eq!(gate.len(), up.len(), "gate and up must be equally long");
    isa.run(Gated {
        activation,
        gate,
        up,
    });
}

struct Gated<'a> {
    activation: Activation,
    gate: &'a mut [f32],
    up: &'a [f32],
}

impl Task for Gated<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        match self.activation {
            Activation::Silu => self.multiply(|x| x / (1.0 + exp(-x))),
            Activation::GeluTanh => {
                self.multiply(|x| x / (1.0 + exp(GELU_LINEAR * x * (1.0 + GELU_CUBIC * x * x))));
            }
            Activation::ReluSquared => self.multiply(|x| x.max(0.0) * x.max(0.0)),
        }
    }
}

impl Gated<'_> {
    #[inline(always)]
    fn multiply(self, activation: impl Fn(f32) -> f32) {
        for (gate, &up) in self.gate.iter_mut().zip(self.up) {
            *gate = activation(*gate) * up;
        }
    }
}

/// −2 √(2/π)
const GELU_LINEAR: f32 = -1.595_769;

const GELU_CUBIC: f32 = 0.044715;

/// Bounds every element: `x ← cap · tanh(x / cap)` (Gemma Team, *Gemma 2*, arXiv:2408.00118, section 2).
pub fn soft_cap(cap: f32, x: &mut [f32]) {
    soft_cap_with(Isa::best(), cap, x);
}

fn soft_cap_with(isa: Isa, cap: f32, x: &mut [f32]) {
    isa.run(SoftCap { cap, x });
}

struct SoftCap<'a> {
    cap: f32,
    x: &'a mut [f32],
}

impl Task for SoftCap<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        for x in self.x {
            *x = soft_capped(self.cap, *x);
        }
    }
}

/// `cap · tanh(x / cap)`
#[inline(always)]
pub(crate) fn soft_capped(cap: f32, x: f32) -> f32 {
    cap * tanh(x / cap)
}

/// From here on tanh is computed from the exponential, below from a polynomial.
const TANH_SMALL: f32 = 0.625;

/// tanh x for small |x| is x + x³ · P(x²), with these coefficients of P, highest power first (Moshier, *Cephes
/// Mathematical Library*, `tanhf`).
const TANH_POLYNOMIAL: [f32; 5] = [
    -5.704_988_7e-3,
    2.063_909e-2,
    -5.373_971_6e-2,
    1.333_144_2e-1,
    -3.333_328e-1,
];

/// The hyperbolic tangent with a relative error below 2⁻²². Free of branches, so that it is the same in every lane.
#[inline(always)]
fn tanh(x: f32) -> f32 {
    let square = x * x;
    let mut p = TANH_POLYNOMIAL[0];
    for coefficient in &TANH_POLYNOMIAL[1..] {
        p = p * square + coefficient;
    }
    let small = p * square * x + x;
    let large = 1.0 - 2.0 / (exp(2.0 * x.abs()) + 1.0);
    if x.abs() < TANH_SMALL {
        small
    } else {
        large.copysign(x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Random, assert_same_bits};
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const ALL: [Activation; 3] = [
        Activation::Silu,
        Activation::GeluTanh,
        Activation::ReluSquared,
    ];

    fn reference(activation: Activation, x: f64) -> f64 {
        match activation {
            Activation::Silu => x / (1.0 + (-x).exp()),
            Activation::GeluTanh => {
                let root = (2.0 / std::f64::consts::PI).sqrt();
                // 1 + tanh u, without the cancellation for u far below 0.
                let u = root * (x + 0.044_715 * x.powi(3));
                x / 2.0 * (2.0 / (1.0 + (-2.0 * u).exp()))
            }
            Activation::ReluSquared => x.max(0.0).powi(2),
        }
    }

    #[test]
    fn agrees_with_the_formula_in_64_bits() {
        let gate: Vec<f32> = (-3500..=3500).map(|i| i as f32 / 41.0).collect();
        let up = Random::new(3).floats(gate.len(), 5.0);
        for activation in ALL {
            let mut out = gate.clone();
            gated_in_place(activation, &mut out, &up);
            for ((out, &gate), &up) in out.iter().zip(&gate).zip(&up) {
                let expected = reference(activation, f64::from(gate)) * f64::from(up);
                let error = (f64::from(*out) - expected).abs();
                // The argument of the exponential is rounded, and its error counts as often as the argument is large.
                let tolerance = match activation {
                    Activation::Silu | Activation::ReluSquared => 4e-7,
                    Activation::GeluTanh => 4e-5,
                };
                assert!(
                    error <= tolerance * expected.abs() + 1e-35,
                    "{activation:?} of {gate}, up {up}: {out} and {expected}"
                );
            }
        }
    }

    #[test]
    fn large_gates_stay_finite() {
        for activation in [Activation::Silu, Activation::GeluTanh] {
            let mut out = [-1e30, -200.0, 200.0, 1e30];
            gated_in_place(activation, &mut out, &[1.0; 4]);
            assert!(out[0].abs() <= 1e-7 && out[1].abs() <= 1e-30, "{out:?}");
            assert_eq!(out[2..], [200.0, 1e30]);
        }
    }

    #[test]
    fn is_the_same_on_every_instruction_set() {
        let mut random = Random::new(4);
        let (gate, up) = (random.floats(1003, 30.0), random.floats(1003, 3.0));
        for activation in ALL {
            let mut expected = gate.clone();
            gated_with(Isa::SCALAR, activation, &mut expected, &up);
            for isa in Isa::available() {
                let mut out = gate.clone();
                gated_with(isa, activation, &mut out, &up);
                assert_same_bits(&out, &expected);
            }
        }
        let mut expected = gate.clone();
        soft_cap_with(Isa::SCALAR, 20.0, &mut expected);
        for isa in Isa::available() {
            let mut out = gate.clone();
            soft_cap_with(isa, 20.0, &mut out);
            assert_same_bits(&out, &expected);
        }
    }

    #[test]
    fn the_hyperbolic_tangent_is_as_exact_as_a_float() {
        // Every 401st float up to where tanh is 1, of both signs.
        let positive = (0..=10f32.to_bits()).step_by(401).map(f32::from_bits);
        let worst = positive
            .flat_map(|x| [x, -x])
            .filter(|&x| x != 0.0)
            .map(|x| (f64::from(tanh(x)) / f64::from(x).tanh() - 1.0).abs())
            .fold(0.0, f64::max);
        assert!(worst < 2f64.powi(-22), "relative error {worst:e}");
    }

    #[test]
    fn a_cap_is_never_exceeded() {
        let mut x = [0.0, 1e-6, -3.0, 1e30, -1e30, f32::INFINITY];
        soft_cap(30.0, &mut x);
        assert_eq!(x[..2], [0.0, 1e-6]);
        assert!((x[2] + 30.0 * 0.1f32.tanh()).abs() < 1e-6, "{}", x[2]);
        assert_eq!(x[3..], [30.0, -30.0, 30.0]);
    }
}
