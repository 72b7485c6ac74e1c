//! Activation functions of feed-forward networks.

use crate::softmax::exp;

/// `out = SiLU(gate) · up`, with SiLU(x) = x / (1 + e^−x) (Elfwing et al., arXiv:1702.03118). All of one length.
///
/// # Panics
/// If the lengths differ.
pub fn silu_mul(gate: &[f32], up: &[f32], out: &mut [f32]) {
    assert_eq!(gate.len(), up.len(), "gate and up must be equally long");
    assert_eq!(gate.len(), out.len(), "out must be as long as gate");
    for ((out, &gate), &up) in out.iter_mut().zip(gate).zip(up) {
        *out = gate / (1.0 + exp(-gate)) * up;
    }
}
