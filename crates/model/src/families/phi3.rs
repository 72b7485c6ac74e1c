//! Phi 3, Phi 3.5 and Phi 4 (mini and 14B).
//!
//! As Llama, with the projections of queries, keys and values in one tensor and the two of the feed-forward network's
//! first stage in another; both are taken apart when the model has been read:
//!
//! ```text
//! a = RMSNorm(x)        [q; k; v] = W_qkv a        q, k ← RoPE(q), RoPE(k)
//! x ← x + W_o · softmax(q kᵀ / √d) v
//! f = RMSNorm(x)        [g; u] = W_up f
//! x ← x + W_down (SiLU(g) ⊙ u)
//! ```
//!
//! The logits are W_out · RMSNorm(x). RoPE turns channels half of its dimensions apart; in the mini models of Phi 4 it
//! leaves the last quarter of a head as it is (`rope.dimension_count`).
//!
//! Models for long contexts divide the rotations' frequencies by LongRoPE's factors: `rope_factors_short.weight` where the
//! context that is asked for is at most the original one, `rope_factors_long.weight` where it is longer, and then for
//! all tokens, the first included, as llama.cpp does. Queries and keys are longer by `rope.scaling.attn_factor` either way.
//!
//! Where the file has `attention.sliding_window`, all layers see that many tokens, as in the models' own code; llama.cpp
//! ignores the key, which makes a difference from that length on.
//!
//! Source: Abdin et al., *Phi-3 Technical Report*, arXiv:2404.14219, section 2; Ding et al., *LongRoPE*, arXiv:2402.13753;
//! llama.cpp, `src/models/phi3.cpp`; `transformers`, `modeling_phi3.py`.

use kernels::Matrix;
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

fn configure(keys: &Keys, config: &mut Config) -> Result<(), Error> {
    config.fused = true;
    // Packed rows can be taken apart between their groups only; heads are whole groups anyway.
    if !config.feed_forward_length.is_multiple_of(Matrix::ROW_GROUP) {
        return Err(keys.unsupported(
            "feed_forward_length",
            config.feed_forward_length,
            format!("it must be a multiple of {}", Matrix::ROW_GROUP),
        ));
    }
    Ok(())
}

fn tensors(config: &Config, specs: &mut Specs) {
    specs.rope_factors(config);
    for layer in 0..config.layers {
        let mut specs = specs.layer(layer);
        specs.fused_attention(config);
        specs.fused_gated_feed_forward(config);
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
