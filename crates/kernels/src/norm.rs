//! Root-mean-square normalization.

use crate::sum::Partial;

/// Normalizes each row of `x` and scales it by `weight`: `out = x / sqrt(mean(x²) + epsilon) · weight`
/// (Zhang and Sennrich, arXiv:1910.07467). `x` and `out` are rows as long as `weight`.
///
/// # Panics
/// If `out` is not as long as `x`, or `x` is not whole rows.
pub fn rms_norm(x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
    assert_eq!(x.len(), out.len(), "out must be as long as x");
    assert_eq!(
        x.len() % weight.len(),
        0,
        "x must be rows as long as weight"
    );
    for (x, out) in x
        .chunks_exact(weight.len())
        .zip(out.chunks_exact_mut(weight.len()))
    {
        let scale = inverse_rms(x, epsilon);
        for ((out, x), weight) in out.iter_mut().zip(x).zip(weight) {
            *out = x * scale * weight;
        }
    }
}

/// [`rms_norm`] with the result in place of `x`.
///
/// # Panics
/// If `x` is not whole rows.
pub fn rms_norm_in_place(x: &mut [f32], weight: &[f32], epsilon: f32) {
    assert_eq!(
        x.len() % weight.len(),
        0,
        "x must be rows as long as weight"
    );
    for row in x.chunks_exact_mut(weight.len()) {
        let scale = inverse_rms(row, epsilon);
        for (x, weight) in row.iter_mut().zip(weight) {
            *x = *x * scale * weight;
        }
    }
}

/// `1 / sqrt(mean(x²) + epsilon)`
fn inverse_rms(x: &[f32], epsilon: f32) -> f32 {
    let mut squares = Partial::default();
    squares.add(x, |x| x * x);
    1.0 / (squares.total() / x.len() as f32 + epsilon).sqrt()
}
