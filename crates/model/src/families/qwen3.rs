//! Qwen 3, dense.
//!
//! As Qwen 2 without the biases; instead each head of the queries and keys is normalized before it is rotated:
//!
//! ```text
//! a = RMSNorm(x)        q, k = RoPE(RMSNorm(W_q a)), RoPE(RMSNorm(W_k a))        v = W_v a
//! x ← x + W_o · softmax(q kᵀ / √d) v
//! f = RMSNorm(x)
//! x ← x + W_down (SiLU(W_gate f) ⊙ W_up f)
//! ```
//!
//! The logits are W_out · RMSNorm(x). Heads may be wider than embedding_length / heads (`attention.key_length`).
//!
//! Embedding models take RMSNorm(x) of the last token. Rerankers put a small head on it, cut out of the output projection, whose
//! two scores, of "yes" and "no", are made probabilities: softmax(W_cls · RMSNorm(x)).
//!
//! Source: Yang et al., *Qwen3 Technical Report*, arXiv:2505.09388, section 2; llama.cpp, `src/models/qwen3.cpp`.

use kernels::rope::RopeStyle;

use super::Family;
use crate::Config;
use crate::step::Step;
use crate::tensors::Specs;
use crate::weights::Layer;

pub(super) const FAMILY: Family = Family {
    rank_softmax: true,
    ..Family::dense(RopeStyle::NeoX, tensors, block)
};

fn tensors(config: &Config, specs: &mut Specs) {
    specs.ranking_head(config);
    for layer in 0..config.layers {
        let mut specs = specs.layer(layer);
        specs.attention(config);
        specs.gated_feed_forward(config);
        specs.vector("attn_q_norm.weight", config.key_length);
        specs.vector("attn_k_norm.weight", config.key_length);
    }
}

fn block(step: &mut Step, index: usize, layer: &Layer) {
    step.norm(&layer.attention.norm);
    step.project_queries_keys_values(&layer.attention);
    step.norm_heads(&layer.attention);
    step.rotate(index);
    step.attend(index);
    step.add_attention_output(&layer.attention.output);

    step.norm(&layer.feed_forward.norm);
    step.add_feed_forward(&layer.feed_forward);
}
