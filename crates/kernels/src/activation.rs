//! Activation functions of feed-forward networks.

use crate::isa::{Isa, Simd, Task};
use crate::softmax::exp;

/// `out = SiLU(gate) · up`, with SiLU(x) = x / (1 + e^−x) (Elfwing et al., arXiv:1702.03118). All of one length.
///
/// # Panics
/// If the lengths differ.
pub fn silu_mul(gate: &[f32], up: &[f32], out: &mut [f32]) {
    silu_mul_with(Isa::best(), gate, up, out);
}

fn silu_mul_with(isa: Isa, gate: &[f32], up: &[f32], out: &mut [f32]) {
    assert_eq!(gate.len(), up.len(), "gate and up must be equally long");
    assert_eq!(gate.len(), out.len(), "out must be as long as gate");
    isa.run(SiluMul { gate, up, out });
}

struct SiluMul<'a> {
    gate: &'a [f32],
    up: &'a [f32],
    out: &'a mut [f32],
}

impl Task for SiluMul<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        for ((out, &gate), &up) in self.out.iter_mut().zip(self.gate).zip(self.up) {
            *out = gate / (1.0 + exp(-gate)) * up;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Random, assert_same_bits};
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn agrees_with_the_formula_in_64_bits() {
        let gate: Vec<f32> = (-3500..=3500).map(|i| i as f32 / 41.0).collect();
        let up = Random::new(3).floats(gate.len(), 5.0);
        let mut out = vec![0.0; gate.len()];
        silu_mul(&gate, &up, &mut out);
        for ((out, &gate), &up) in out.iter().zip(&gate).zip(&up) {
            let (gate, up) = (f64::from(gate), f64::from(up));
            let expected = gate / (1.0 + (-gate).exp()) * up;
            let error = (f64::from(*out) - expected).abs();
            assert!(
                error <= 4e-7 * expected.abs() + 1e-36,
                "gate {gate}, up {up}: {out} and {expected}"
            );
        }
    }

    #[test]
    fn large_gates_stay_finite() {
        let mut out = [0.0; 4];
        silu_mul(&[-1e30, -200.0, 200.0, 1e30], &[1.0; 4], &mut out);
        assert!(out[0].abs() <= 1e-7 && out[1].abs() <= 1e-30, "{out:?}");
        assert_eq!(out[2..], [200.0, 1e30]);
    }

    #[test]
    fn is_the_same_on_every_instruction_set() {
        let mut random = Random::new(4);
        let (gate, up) = (random.floats(1003, 30.0), random.floats(1003, 3.0));
        let mut expected = vec![0.0; 1003];
        silu_mul_with(Isa::SCALAR, &gate, &up, &mut expected);
        for isa in Isa::available() {
            let mut out = vec![0.0; 1003];
            silu_mul_with(isa, &gate, &up, &mut out);
            assert_same_bits(&out, &expected);
        }
    }
}
