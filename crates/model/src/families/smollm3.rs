//! SmolLM 3.
//!
//! As Llama, but every fourth layer leaves queries and keys as they are:
//!
//! ```text
//! a = RMSNorm(x)        q, k = RoPE(W_q a), RoPE(W_k a), or W_q a, W_k a        v = W_v a
//! x ← x + W_o · softmax(q kᵀ / √d) v
//! f = RMSNorm(x)
//! x ← x + W_down (SiLU(W_gate f) ⊙ W_up f)
//! ```
//!
//! The logits are W_out · RMSNorm(x). RoPE turns neighbouring channels, as in Llama's files.
//!
//! Source: Bakouch et al., *SmolLM3*, huggingface.co/blog/smollm3, 2025; Yang et al., *RoPE to NoPE and Back Again*,
//! arXiv:2501.18795; llama.cpp, `src/models/smollm3.cpp`.

use kernels::rope::RopeStyle;

use super::Family;
use crate::Config;
use crate::step::Step;
use crate::tensors::Specs;
use crate::weights::Layer;

pub(super) const FAMILY: Family = Family::dense(RopeStyle::Normal, tensors, block);

/// One of so many layers, the last of them, has no rotation; files do not say so.
const UNROTATED_EVERY: usize = 4;

fn tensors(config: &Config, specs: &mut Specs) {
    for layer in 0..config.layers {
        let mut specs = specs.layer(layer);
        specs.attention(config);
        specs.gated_feed_forward(config);
    }
}

fn block(step: &mut Step, index: usize, layer: &Layer) {
    step.norm(&layer.attention.norm);
    step.project_queries_keys_values(&layer.attention);
    if !(index + 1).is_multiple_of(UNROTATED_EVERY) {
        step.rotate(index);
    }
    step.attend(index);
    step.add_attention_output(&layer.attention.output);

    step.norm(&layer.feed_forward.norm);
    step.add_feed_forward(&layer.feed_forward);
}
