//! What only encoders do: embeddings of more than tokens, and layer norms of the residual stream itself.

use kernels::{Matrix, for_rows, norm};

use super::Step;
use crate::weights::LayerNorm;

impl Step<'_> {
    /// `residual += row of each token's position`
    pub(crate) fn add_positions(&mut self, rows: &Matrix) {
        let positions = std::mem::take(&mut self.scratch.batch.positions);
        self.add_embeddings(rows, positions.iter().copied());
        self.scratch.batch.positions = positions;
    }

    /// `residual += row of the first kind of text`, which is all there is in a single text
    pub(crate) fn add_token_type(&mut self, rows: &Matrix) {
        self.add_embeddings(rows, std::iter::repeat(0));
    }

    fn add_embeddings(&mut self, rows: &Matrix, indices: impl Iterator<Item = u32>) {
        let width = self.config.embedding_length;
        let delta = &mut self.scratch.delta;
        delta.resize(self.rows * width, 0.0);
        for (out, index) in delta.chunks_exact_mut(width).zip(indices) {
            rows.dequantize_row(index as usize, out);
        }
        self.add_delta();
    }

    /// `residual = LayerNorm(residual)`, `normed = residual`
    pub(crate) fn layer_norm(&mut self, norm: &LayerNorm) {
        let scratch = &mut *self.scratch;
        let epsilon = self.config.norm_epsilon;
        let width = self.config.embedding_length;
        for_rows(self.pool, &mut scratch.residual, width, &|_, rows| {
            norm::layer_norm_in_place(rows, &norm.weight, &norm.bias, epsilon);
        });
        let normed = scratch.normed.reset(self.rows, width);
        normed.copy_from_slice(&scratch.residual);
    }
}
