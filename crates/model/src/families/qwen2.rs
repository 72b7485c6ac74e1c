//! Qwen 1.5, Qwen 2 and Qwen 2.5.
//!
//! As Llama, with biases on the query, key and value projections, and RoPE that turns channels half a head apart:
//!
//! ```text
//! a = RMSNorm(x)        q, k = RoPE(W_q a + b_q), RoPE(W_k a + b_k)        v = W_v a + b_v
//! x ← x + W_o · softmax(q kᵀ / √d) v
//! f = RMSNorm(x)
//! x ← x + W_down (SiLU(W_gate f) ⊙ W_up f)
//! ```
//!
//! The logits are W_out · RMSNorm(x), plus a bias if the file has one.
//!
//! Source: Yang et al., *Qwen2 Technical Report*, arXiv:2407.10671, section 2.2; llama.cpp, `src/models/qwen2.cpp`.

use kernels::rope::RopeStyle;

use super::Family;
use crate::Config;
use crate::step::Step;
use crate::tensors::Specs;
use crate::weights::Layer;

pub(super) const FAMILY: Family = Family::dense(RopeStyle::NeoX, tensors, block);

fn tensors(config: &Config, specs: &mut Specs) {
    specs.optional_vector("output.bias", config.vocab_size);
    for layer in 0..config.layers {
        let mut specs = specs.layer(layer);
        specs.attention(config);
        specs.gated_feed_forward(config);
        specs.optional_vector("attn_q.bias", config.heads * config.key_length);
        specs.optional_vector("attn_k.bias", config.kv_heads * config.key_length);
        specs.optional_vector("attn_v.bias", config.kv_heads * config.value_length);
    }
}

fn block(step: &mut Step, index: usize, layer: &Layer) {
    step.norm(&layer.attention.norm);
    step.project_queries_keys_values(&layer.attention);
    step.rotate(index);
    step.attend(index);
    step.add_attention_output(&layer.attention.output);

    step.norm(&layer.feed_forward.norm);
    step.add_feed_forward(&layer.feed_forward);
}
