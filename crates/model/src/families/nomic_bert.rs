//! Nomic's BERT (nomic-embed-text).
//!
//! As BERT, with rotated queries and keys instead of embeddings of positions, and gated feed-forward networks without
//! biases:
//!
//! ```text
//! q, k = RoPE(W_q x), RoPE(W_k x)        v = W_v x
//! x ← LayerNorm(x + W_o · softmax(q kᵀ / √d) v)            over all tokens
//! x ← LayerNorm(x + W_down (SiLU(W_gate x) ⊙ W_up x))
//! ```
//!
//! Source: Nussbaum et al., *Nomic Embed*, arXiv:2402.01613, section 3; llama.cpp, `src/models/nomic-bert.cpp` and
//! `src/models/bert.cpp`.

use super::{Family, bert};
use crate::Config;
use crate::step::Step;
use crate::tensors::Specs;
use crate::weights::Layer;

pub(super) const FAMILY: Family = bert::encoder(tensors, block);

fn tensors(config: &Config, specs: &mut Specs) {
    let (width, inner) = (config.embedding_length, config.feed_forward_length);
    bert::embeddings(config, specs);
    for layer in 0..config.layers {
        let mut specs = specs.layer(layer);
        bert::sublayers(config, &mut specs);
        specs.matrix("ffn_gate.weight", width, inner);
        specs.matrix("ffn_up.weight", width, inner);
        specs.matrix("ffn_down.weight", inner, width);
    }
}

fn block(step: &mut Step, index: usize, layer: &Layer) {
    step.project_queries_keys_values(&layer.attention);
    step.rotate(index);
    step.attend(index);
    step.add_attention_output(&layer.attention.output);
    step.layer_norm(&layer.attention.output_norm);

    step.add_feed_forward(&layer.feed_forward);
    step.layer_norm(&layer.feed_forward.output_norm);
}
