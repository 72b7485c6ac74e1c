//! `out = x · wᵀ` for packed weights and quantized activations.

use crate::{Activations, Matrix, Pool};

/// Multiplies every row of `x` (`[m, w.cols()]`) with every row of `w`: `out[i, r] = Σₖ x[i, k] · w[r, k]`,
/// `out` being `[m, w.rows()]`.
///
/// # Panics
/// If the shapes do not agree.
pub fn matmul(_pool: &dyn Pool, w: &Matrix, x: &mut Activations, out: &mut [f32]) {
    assert_eq!(
        x.cols(),
        w.cols(),
        "activations must be as long as the rows of the matrix"
    );
    assert_eq!(
        out.len(),
        x.rows() * w.rows(),
        "the output must be [m, rows]"
    );
    let mut row = vec![0.0; w.cols()];
    for r in 0..w.rows() {
        w.dequantize_row(r, &mut row);
        for (i, x) in x.values().chunks_exact(w.cols()).enumerate() {
            out[i * w.rows() + r] = row.iter().zip(x).map(|(w, x)| w * x).sum();
        }
    }
}
