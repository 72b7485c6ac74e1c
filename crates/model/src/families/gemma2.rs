//! Gemma 2.
//!
//! Each sublayer has a norm before and one after it, scores and logits are bounded by a soft cap, and the gate of
//! the feed-forward network goes through GELU. With x = √(embedding_length) · embedding and cap(s, c) = c · tanh(s / c):
//!
//! ```text
//! a = RMSNorm(x)        q, k = RoPE(W_q a), RoPE(W_k a)        v = W_v a
//! x ← x + RMSNorm(W_o · softmax(cap(q kᵀ · scale, 50)) v)
//! f = RMSNorm(x)
//! x ← x + RMSNorm(W_down (GELU(W_gate f) ⊙ W_up f))
//! ```
//!
//! and the logits are cap(W_out · RMSNorm(x), 30). Every other layer, from the first, sees a window of the last 4096
//! tokens. The weights of the norms are stored with the 1 that Gemma adds to them.
//!
//! scale is 1/√key_length; the 27B model's is 1/√(embedding_length / heads). Both follow from the shape, as in llama.cpp,
//! unless the file has `attention.scale`.
//!
//! Source: Gemma Team, *Gemma 2*, arXiv:2408.00118, section 2; llama.cpp, `src/models/gemma2.cpp`.

use kernels::activation::Activation;
use kernels::rope::RopeStyle;

use super::Family;
use crate::keys::Keys;
use crate::step::Step;
use crate::tensors::Specs;
use crate::weights::Layer;
use crate::{Config, Error};

pub(super) const FAMILY: Family = Family {
    configure,
    ..Family::dense(RopeStyle::NeoX, tensors, block)
};

/// Caps and window of files that do not give them.
const ATTENTION_SOFT_CAP: f32 = 50.0;
const LOGIT_SOFT_CAP: f32 = 30.0;
const WINDOW: usize = 4096;

/// One of so many layers sees everything.
const GLOBAL_EVERY: usize = 2;

/// The blocks of the 27B model, whose queries are scaled differently.
const LAYERS_OF_27B: usize = 46;

fn configure(keys: &Keys, config: &mut Config) -> Result<(), Error> {
    configure_all(keys, config, LAYERS_OF_27B)?;
    config.sliding_window =
        keys.sliding_window(config.layers, &config.rope, Some(WINDOW), GLOBAL_EVERY)?;
    if let Some(window) = &mut config.sliding_window {
        window.rope.base = keys.rope_base("rope.freq_base_swa", window.rope.base)?;
    }
    config.attention_soft_cap =
        keys.soft_cap("attn_logit_softcapping", Some(ATTENTION_SOFT_CAP))?;
    config.logit_soft_cap = keys.soft_cap("final_logit_softcapping", Some(LOGIT_SOFT_CAP))?;
    Ok(())
}

/// What Gemma 2 and 3 have in common.
pub(super) fn configure_all(
    keys: &Keys,
    config: &mut Config,
    layers_of_27b: usize,
) -> Result<(), Error> {
    config.activation = keys.activation(Activation::GeluTanh)?;
    config.embedding_scale = (config.embedding_length as f32).sqrt();
    if config.layers == layers_of_27b && keys.float("attention.scale")?.is_none() {
        config.attention_scale = 1.0 / ((config.embedding_length / config.heads) as f32).sqrt();
    }
    Ok(())
}

fn tensors(config: &Config, specs: &mut Specs) {
    for layer in 0..config.layers {
        let mut specs = specs.layer(layer);
        specs.attention(config);
        specs.gated_feed_forward(config);
        specs.vector("post_attention_norm.weight", config.embedding_length);
        specs.vector("post_ffw_norm.weight", config.embedding_length);
    }
}

fn block(step: &mut Step, index: usize, layer: &Layer) {
    step.norm(&layer.attention.norm);
    step.project_queries_keys_values(&layer.attention);
    step.rotate(index);
    step.attend(index);
    step.project_attention_output(&layer.attention.output);
    step.norm_delta(&layer.attention.post_norm);
    step.add_delta();

    step.norm(&layer.feed_forward.norm);
    step.project_gated(&layer.feed_forward);
    step.project_feed_forward_output(&layer.feed_forward.down);
    step.norm_delta(&layer.feed_forward.post_norm);
    step.add_delta();
}
