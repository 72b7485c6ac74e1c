//! Llama, and the many models of the same shape: Mistral, SmolLM, TinyLlama, Yi.
//!
//! With x the residual stream of one token, for every block:
//!
//! ```text
//! a = RMSNorm(x)        q, k = RoPE(W_q a + b_q), RoPE(W_k a + b_k)        v = W_v a + b_v
//! x ← x + W_o · softmax(q kᵀ / √d) v + b_o            over this and all earlier tokens
//! f = RMSNorm(x)
//! x ← x + W_down (SiLU(W_gate f) ⊙ W_up f)            each with its bias, if there is one
//! ```
//!
//! and the logits are W_out · RMSNorm(x). RoPE turns neighbouring channels: the converter to GGUF permutes the rows
//! of W_q and W_k for that. Llama 3.1 and later give a factor for each pair in `rope_freqs.weight`.
//!
//! Source: Touvron et al., *LLaMA*, arXiv:2302.13971, section 2.2; Grattafiori et al., *The Llama 3 Herd of Models*,
//! arXiv:2407.21783; llama.cpp, `src/models/llama.cpp`.

use kernels::rope::RopeStyle;

use super::Family;
use crate::Config;
use crate::step::Step;
use crate::tensors::Specs;
use crate::weights::Layer;

pub(super) const FAMILY: Family = Family::dense(RopeStyle::Normal, tensors, block);

fn tensors(config: &Config, specs: &mut Specs) {
    specs.rope_factors(config);
    for layer in 0..config.layers {
        let mut specs = specs.layer(layer);
        specs.attention(config);
        specs.gated_feed_forward(config);
        specs.optional_vector("attn_q.bias", config.heads * config.key_length);
        specs.optional_vector("attn_k.bias", config.kv_heads * config.key_length);
        specs.optional_vector("attn_v.bias", config.kv_heads * config.value_length);
        specs.optional_vector("attn_output.bias", config.embedding_length);
        specs.optional_vector("ffn_gate.bias", config.feed_forward_length);
        specs.optional_vector("ffn_up.bias", config.feed_forward_length);
        specs.optional_vector("ffn_down.bias", config.embedding_length);
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
