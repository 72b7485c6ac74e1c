//! A model's weights, packed.

use kernels::Matrix;

use crate::rotation::RopeFactors;
use crate::{Config, Experts};

/// A model whose weights are all there. Immutable; shared between contexts.
#[derive(Debug)]
pub struct Model {
    pub(crate) config: Config,
    pub(crate) rope_factors: RopeFactors,
    /// `[vocab_size, embedding_length]`
    pub(crate) embedding: Matrix,
    pub(crate) layers: Vec<Layer>,
    /// `[embedding_length]`
    pub(crate) output_norm: Vec<f32>,
    /// `[vocab_size, embedding_length]`; `None` where the embedding serves as the output projection.
    pub(crate) output: Option<Matrix>,
    /// `[vocab_size]` or empty.
    pub(crate) output_bias: Vec<f32>,
    /// `[context_length, embedding_length]`: what is added to embeddings at each position.
    pub(crate) positions: Option<Matrix>,
    /// `[token types, embedding_length]`: what is added to embeddings for each kind of text.
    pub(crate) token_types: Option<Matrix>,
    /// Applied to the sum of embeddings; empty in most families.
    pub(crate) embedding_norm: LayerNorm,
    pub(crate) ranking: Option<RankingHead>,
    pub(crate) weight_bytes: usize,
}

impl Model {
    /// Dimensions and constants.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Bytes that the packed weights take.
    pub fn weight_bytes(&self) -> usize {
        self.weight_bytes
    }
}

/// Makes scores of a pooled state.
#[derive(Debug)]
pub(crate) struct RankingHead {
    /// `[embedding_length, embedding_length]`, with the hyperbolic tangent after it.
    pub(crate) inner: Option<Linear>,
    /// `[labels or 1, embedding_length]`
    pub(crate) output: Linear,
    /// Whether the scores are made probabilities.
    pub(crate) softmax: bool,
}

/// One transformer block.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) attention: Attention,
    pub(crate) feed_forward: FeedForward,
    /// What chooses among experts; the matrices of `feed_forward` then are those of all experts, one below the other.
    pub(crate) router: Option<Router>,
}

/// Chooses the experts of each token.
#[derive(Debug)]
pub(crate) struct Router {
    /// `[experts, embedding_length]`
    pub(crate) weight: Matrix,
    pub(crate) experts: Experts,
}

/// Grouped-query attention.
#[derive(Debug)]
pub(crate) struct Attention {
    /// `[embedding_length]`, applied before.
    pub(crate) norm: Vec<f32>,
    /// `[heads · key_length, embedding_length]`
    pub(crate) query: Linear,
    /// `[kv_heads · key_length, embedding_length]`
    pub(crate) key: Linear,
    /// `[kv_heads · value_length, embedding_length]`
    pub(crate) value: Linear,
    /// `[key_length]` for each head, or empty.
    pub(crate) query_norm: Vec<f32>,
    /// `[key_length]` for each head, or empty.
    pub(crate) key_norm: Vec<f32>,
    /// `[heads · value_length]`, applied to what the heads give, or empty.
    pub(crate) sub_norm: Vec<f32>,
    /// `[embedding_length, heads · value_length]`
    pub(crate) output: Linear,
    /// `[embedding_length]`, applied to the output before it is added, or empty.
    pub(crate) post_norm: Vec<f32>,
    /// Applied to the residual stream after it; empty in most families.
    pub(crate) output_norm: LayerNorm,
}

/// Feed-forward network, gated in most families.
#[derive(Debug)]
pub(crate) struct FeedForward {
    /// `[embedding_length]`, applied before.
    pub(crate) norm: Vec<f32>,
    /// `[feed_forward_length, embedding_length]`
    pub(crate) gate: Option<Linear>,
    /// `[feed_forward_length, embedding_length]`
    pub(crate) up: Linear,
    /// `[feed_forward_length]`, applied to the gated inner vector, or empty.
    pub(crate) sub_norm: Vec<f32>,
    /// `[embedding_length, feed_forward_length]`
    pub(crate) down: Linear,
    /// `[embedding_length]`, applied to the output before it is added, or empty.
    pub(crate) post_norm: Vec<f32>,
    /// Applied to the residual stream after it; empty in most families.
    pub(crate) output_norm: LayerNorm,
}

/// A layer norm; both empty where a model has none.
#[derive(Debug)]
pub(crate) struct LayerNorm {
    /// `[embedding_length]`
    pub(crate) weight: Vec<f32>,
    /// `[embedding_length]`
    pub(crate) bias: Vec<f32>,
}

/// A matrix, its scale and a bias.
#[derive(Debug)]
pub(crate) struct Linear {
    pub(crate) weight: Matrix,
    /// What products with the matrix are multiplied by; 1 where the file has none.
    pub(crate) scale: f32,
    /// As long as the matrix has rows, or empty.
    pub(crate) bias: Vec<f32>,
}

impl Linear {
    /// Keeps the first `rows` outputs, and gives the others: for files that have several projections in one tensor.
    pub(crate) fn split_off(&mut self, rows: usize) -> Self {
        Self {
            weight: self.weight.split_off(rows),
            scale: self.scale,
            bias: self.bias.split_off(rows.min(self.bias.len())),
        }
    }
}
