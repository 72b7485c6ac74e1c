//! Qwen 3, mixture of experts.
//!
//! As Qwen 3, but the feed-forward network of each block is one of many, and each token goes through the few that a
//! router gives it:
//!
//! ```text
//! a = RMSNorm(x)        q, k = RoPE(RMSNorm(W_q a)), RoPE(RMSNorm(W_k a))        v = W_v a
//! x ← x + W_o · softmax(q kᵀ / √d) v
//! f = RMSNorm(x)        p = softmax(W_r f)        E = the experts with the largest p
//! x ← x + Σ_{e ∈ E} (p_e / Σ_{i ∈ E} p_i) · W_down,e (SiLU(W_gate,e f) ⊙ W_up,e f)
//! ```
//!
//! The logits are W_out · RMSNorm(x).
//!
//! Source: Yang et al., *Qwen3 Technical Report*, arXiv:2505.09388, section 2; llama.cpp, `src/models/qwen3moe.cpp` and
//! `llm_graph_context::build_moe_ffn`.

use kernels::rope::RopeStyle;

use super::Family;
use crate::Config;
use crate::step::Step;
use crate::tensors::Specs;
use crate::weights::Layer;

pub(super) const FAMILY: Family = Family {
    experts: true,
    ..Family::dense(RopeStyle::NeoX, tensors, block)
};

fn tensors(config: &Config, specs: &mut Specs) {
    for layer in 0..config.layers {
        let mut specs = specs.layer(layer);
        specs.attention(config);
        specs.mixture(config);
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
    if let Some(router) = &layer.router {
        step.add_mixture(router, &layer.feed_forward);
    }
}
