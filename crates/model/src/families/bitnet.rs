//! BitNet b1.58: ternary weights, each matrix with one scale, and norms before the second projections too.
//!
//! ```text
//! a = RMSNorm(x)        q, k = RoPE(s_q W_q a), RoPE(s_k W_k a)        v = s_v W_v a
//! x ← x + s_o W_o RMSNorm(softmax(q kᵀ / √d) v)
//! f = RMSNorm(x)
//! x ← x + s_down W_down RMSNorm(SiLU(s_gate W_gate f) ⊙ s_up W_up f)
//! ```
//!
//! The logits are E · RMSNorm(x), with E the embedding. Weights are -1, 0 or 1 with the scales s apart
//! (`blk.N.attn_q.scale` and so on), or have been multiplied by them, in which case the file has no scales.
//!
//! Source: Ma et al., *The Era of 1-bit LLMs: All Large Language Models are in 1.58 Bits*, arXiv:2402.17764; llama.cpp,
//! `src/models/bitnet.cpp`.

use kernels::rope::RopeStyle;

use super::{Family, Output};
use crate::Config;
use crate::step::Step;
use crate::tensors::Specs;
use crate::weights::Layer;

pub(super) const FAMILY: Family = Family {
    output: Output::Embedding,
    ..Family::dense(RopeStyle::NeoX, tensors, block)
};

fn tensors(config: &Config, specs: &mut Specs) {
    for layer in 0..config.layers {
        let mut specs = specs.layer(layer);
        specs.attention(config);
        specs.gated_feed_forward(config);
        specs.vector("attn_sub_norm.weight", config.heads * config.value_length);
        specs.vector("ffn_sub_norm.weight", config.feed_forward_length);
        for matrix in [
            "attn_q",
            "attn_k",
            "attn_v",
            "attn_output",
            "ffn_gate",
            "ffn_up",
            "ffn_down",
        ] {
            specs.optional_vector(&format!("{matrix}.scale"), 1);
        }
    }
}

fn block(step: &mut Step, index: usize, layer: &Layer) {
    step.norm(&layer.attention.norm);
    step.project_queries_keys_values(&layer.attention);
    step.rotate(index);
    step.attend(index);
    step.norm_attended(&layer.attention.sub_norm);
    step.add_attention_output(&layer.attention.output);

    step.norm(&layer.feed_forward.norm);
    step.project_gated(&layer.feed_forward);
    step.norm_gated(&layer.feed_forward.sub_norm);
    step.add_feed_forward_output(&layer.feed_forward.down);
}
