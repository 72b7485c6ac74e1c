//! Gemma 3, its text models (270M, 1B, 4B and up).
//!
//! Each sublayer has a norm before and one after it, heads of queries and keys are normalized before they are rotated, and
//! the gate of the feed-forward network goes through GELU. With x = √(embedding_length) · embedding:
//!
//! ```text
//! a = RMSNorm(x)        q, k = RoPE(RMSNorm(W_q a)), RoPE(RMSNorm(W_k a))        v = W_v a
//! x ← x + RMSNorm(W_o · softmax(q kᵀ · scale) v)
//! f = RMSNorm(x)
//! x ← x + RMSNorm(W_down (GELU(W_gate f) ⊙ W_up f))
//! ```
//!
//! and the logits are W_out · RMSNorm(x), bounded by cap · tanh(logits / cap) where the file gives a cap. Of every six
//! layers, five see a window of the last tokens, with a rotary base of 10 000 and no scaling, and the sixth sees
//! everything, with the file's base and scaling (the models from 4B on interpolate linearly by 8). The weights of the norms
//! are stored with the 1 that Gemma adds to them.
//!
//! scale is 1/√key_length; the 27B model's is 1/√(embedding_length / heads). Both follow from the shape, as in llama.cpp,
//! unless the file has `attention.scale`.
//!
//! Source: Gemma Team, *Gemma 3 Technical Report*, arXiv:2503.19786, section 2; llama.cpp, `src/models/gemma3.cpp`.

use kernels::rope::{RopeScaling, RopeStyle};

use super::{Family, gemma2};
use crate::keys::Keys;
use crate::step::Step;
use crate::tensors::Specs;
use crate::weights::Layer;
use crate::{Config, Error};

pub(super) const FAMILY: Family = Family {
    configure,
    ..Family::dense(RopeStyle::NeoX, tensors, block)
};

/// One of so many layers sees everything.
const GLOBAL_EVERY: usize = 6;

/// The base of the rotations in layers that see a window.
const WINDOW_ROPE_BASE: f32 = 10_000.0;

/// The blocks of the 27B model, whose queries are scaled differently.
const LAYERS_OF_27B: usize = 62;

fn configure(keys: &Keys, config: &mut Config) -> Result<(), Error> {
    gemma2::configure_all(keys, config, LAYERS_OF_27B)?;
    config.sliding_window = keys.sliding_window(config.layers, &config.rope, None, GLOBAL_EVERY)?;
    if let Some(window) = &mut config.sliding_window {
        window.rope.base = keys.rope_base("rope.freq_base_swa", WINDOW_ROPE_BASE)?;
        window.rope.scaling = RopeScaling::None;
    }
    Ok(())
}

fn tensors(config: &Config, specs: &mut Specs) {
    for layer in 0..config.layers {
        let mut specs = specs.layer(layer);
        specs.attention(config);
        specs.gated_feed_forward(config);
        specs.vector("attn_q_norm.weight", config.key_length);
        specs.vector("attn_k_norm.weight", config.key_length);
        specs.vector("post_attention_norm.weight", config.embedding_length);
        specs.vector("post_ffw_norm.weight", config.embedding_length);
    }
}

fn block(step: &mut Step, index: usize, layer: &Layer) {
    step.norm(&layer.attention.norm);
    step.project_queries_keys_values(&layer.attention);
    step.norm_heads(&layer.attention);
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
