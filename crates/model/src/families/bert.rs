//! BERT, and the embedding models and rerankers of its shape: all-MiniLM, BGE, E5, GTE.
//!
//! Every token sees the whole text, and each sublayer has its norm after it. With x the sum of the embeddings of the token, of
//! its position and of the first kind of text, normalized:
//!
//! ```text
//! q, k, v = W_q x + b_q, W_k x + b_k, W_v x + b_v
//! x ← LayerNorm(x + W_o · softmax(q kᵀ / √d) v + b_o)            over all tokens
//! x ← LayerNorm(x + W_down GELU(W_up x + b_up) + b_down)
//! ```
//!
//! There are no logits: x is pooled. A reranker scores the first token's, y = W_out tanh(W_cls x + b_cls) + b_out, or
//! without the inner stage. GELU is the one with the hyperbolic tangent, as in llama.cpp.
//!
//! Source: Devlin et al., *BERT*, arXiv:1810.04805, section 3; llama.cpp, `src/models/bert.cpp` and
//! `llm_graph_context::build_pooling`.

use kernels::activation::Activation;
use kernels::rope::RopeStyle;

use super::{Family, Output};
use crate::keys::Keys;
use crate::step::Step;
use crate::tensors::{LayerSpecs, Specs};
use crate::weights::{Layer, Model};
use crate::{Config, Error};

pub(super) const FAMILY: Family = Family {
    configure: |keys, config| {
        config.activation = Activation::GeluTanh;
        configure(keys, config)
    },
    begin,
    ..encoder(tensors, block)
};

/// What this family has in common with others of its kind.
pub(super) const fn encoder(
    tensors: fn(&Config, &mut Specs),
    block: fn(&mut Step, usize, &Layer),
) -> Family {
    Family {
        configure,
        norm_epsilon: "attention.layer_norm_epsilon",
        output: Output::None,
        begin,
        ..Family::dense(RopeStyle::NeoX, tensors, block)
    }
}

const TOKEN_TYPES_KEY: &str = "tokenizer.ggml.token_type_count";

fn configure(keys: &Keys, config: &mut Config) -> Result<(), Error> {
    let types = keys.metadata.u32(TOKEN_TYPES_KEY)?;
    config.token_types = match types {
        None | Some(0) => {
            return Err(Error::MissingKey {
                key: TOKEN_TYPES_KEY.to_owned(),
            });
        }
        Some(types) => types as usize,
    };
    Ok(())
}

fn tensors(config: &Config, specs: &mut Specs) {
    let (width, inner) = (config.embedding_length, config.feed_forward_length);
    specs.matrix("position_embd.weight", width, config.context_length);
    specs.optional_matrix("cls.weight", width, width);
    specs.optional_vector("cls.bias", width);
    specs.ranking_head(config);
    specs.optional_vector("cls.output.bias", config.labels.len().max(1));
    embeddings(config, specs);
    for layer in 0..config.layers {
        let mut specs = specs.layer(layer);
        sublayers(config, &mut specs);
        specs.matrix("ffn_up.weight", width, inner);
        specs.optional_vector("ffn_up.bias", inner);
        specs.matrix("ffn_down.weight", inner, width);
        specs.optional_vector("ffn_down.bias", width);
    }
}

/// What is added to the embeddings of tokens, and the norm of the sum.
pub(super) fn embeddings(config: &Config, specs: &mut Specs) {
    specs.optional_matrix(
        "token_types.weight",
        config.embedding_length,
        config.token_types,
    );
    specs.layer_norm("token_embd_norm", config);
}

/// Attention, and the norms of both sublayers.
pub(super) fn sublayers(config: &Config, specs: &mut LayerSpecs) {
    let (queries, keys, values) = (
        config.heads * config.key_length,
        config.kv_heads * config.key_length,
        config.kv_heads * config.value_length,
    );
    if config.fused_attention {
        specs.fused_attention_matrices(config);
        specs.optional_vector("attn_qkv.bias", queries + keys + values);
    } else {
        specs.attention_matrices(config);
        specs.optional_vector("attn_q.bias", queries);
        specs.optional_vector("attn_k.bias", keys);
        specs.optional_vector("attn_v.bias", values);
    }
    specs.optional_vector("attn_output.bias", config.embedding_length);
    specs.layer_norm("attn_output_norm", config);
    specs.layer_norm("layer_output_norm", config);
}

fn begin(step: &mut Step, model: &Model) {
    if let Some(types) = &model.token_types {
        step.add_token_type(types);
    }
    if let Some(positions) = &model.positions {
        step.add_positions(positions);
    }
    step.layer_norm(&model.embedding_norm);
}

fn block(step: &mut Step, index: usize, layer: &Layer) {
    step.project_queries_keys_values(&layer.attention);
    step.attend(index);
    step.add_attention_output(&layer.attention.output);
    step.layer_norm(&layer.attention.output_norm);

    step.add_feed_forward(&layer.feed_forward);
    step.layer_norm(&layer.feed_forward.output_norm);
}
