//! The architecture families: which tensors each has, and what one of its transformer blocks computes.

mod llama;
mod qwen2;
mod qwen3;
mod qwen3moe;

use kernels::Pool;
use kernels::rope::{Rope, RopeStyle};

use crate::cache::Cache;
use crate::scratch::Scratch;
use crate::step::Step;
use crate::tensors::{Loaded, Spec, Specs};
use crate::weights::{Attention, FeedForward, Layer, Linear, Model, Router};
use crate::{Architecture, Config, Error, Experts};

/// Which channels a family's rotary embedding pairs (llama.cpp, `llama_model_rope_type`).
pub(crate) fn rope_style(architecture: Architecture) -> RopeStyle {
    match architecture {
        Architecture::Llama => llama::ROPE_STYLE,
        Architecture::Qwen2 => qwen2::ROPE_STYLE,
        Architecture::Qwen3 => qwen3::ROPE_STYLE,
        Architecture::Qwen3Moe => qwen3moe::ROPE_STYLE,
    }
}

/// Whether a family's feed-forward networks are mixtures of experts.
pub(crate) fn has_experts(architecture: Architecture) -> bool {
    match architecture {
        Architecture::Llama | Architecture::Qwen2 | Architecture::Qwen3 => false,
        Architecture::Qwen3Moe => true,
    }
}

/// Every tensor a model of this configuration has or may have.
pub(crate) fn tensors(config: &Config) -> Vec<Spec> {
    let mut specs = Specs::default();
    specs.matrix(
        "token_embd.weight",
        config.embedding_length,
        config.vocab_size,
    );
    specs.vector("output_norm.weight", config.embedding_length);
    if !config.tied_output {
        specs.matrix("output.weight", config.embedding_length, config.vocab_size);
    }
    let family = match config.architecture {
        Architecture::Llama => llama::tensors,
        Architecture::Qwen2 => qwen2::tensors,
        Architecture::Qwen3 => qwen3::tensors,
        Architecture::Qwen3Moe => qwen3moe::tensors,
    };
    family(config, &mut specs);
    specs.into_vec()
}

/// A model of tensors that are all there.
pub(crate) fn assemble(config: Config, mut tensors: Loaded) -> Result<Model, Error> {
    let layers = (0..config.layers)
        .map(|layer| assemble_layer(&mut tensors, layer, config.experts))
        .collect::<Result<_, _>>()?;
    Ok(Model {
        rope: Rope::new(&config.rope, &tensors.vector("rope_freqs.weight")),
        embedding: tensors.matrix("token_embd.weight")?,
        layers,
        output_norm: tensors.vector("output_norm.weight"),
        output: if config.tied_output {
            None
        } else {
            Some(tensors.matrix("output.weight")?)
        },
        output_bias: tensors.vector("output.bias"),
        weight_bytes: tensors.bytes(),
        config,
    })
}

/// The tensors all families have, and the optional ones where they are.
fn assemble_layer(
    tensors: &mut Loaded,
    layer: usize,
    experts: Option<Experts>,
) -> Result<Layer, Error> {
    let name = |part: &str| format!("blk.{layer}.{part}");
    let mut linear = |part: &str| -> Result<Linear, Error> {
        Ok(Linear {
            weight: tensors.matrix(&name(&format!("{part}.weight")))?,
            bias: tensors.vector(&name(&format!("{part}.bias"))),
        })
    };
    let [query, key, value] = [linear("attn_q")?, linear("attn_k")?, linear("attn_v")?];
    let output = linear("attn_output")?;
    let [gate, up, down] = match experts {
        None => ["ffn_gate", "ffn_up", "ffn_down"],
        Some(_) => ["ffn_gate_exps", "ffn_up_exps", "ffn_down_exps"],
    };
    let [gate, up, down] = [linear(gate)?, linear(up)?, linear(down)?];
    let router = match experts {
        None => None,
        Some(experts) => Some(Router {
            weight: tensors.matrix(&name("ffn_gate_inp.weight"))?,
            experts,
        }),
    };
    Ok(Layer {
        attention: Attention {
            norm: tensors.vector(&name("attn_norm.weight")),
            query,
            key,
            value,
            query_norm: tensors.vector(&name("attn_q_norm.weight")),
            key_norm: tensors.vector(&name("attn_k_norm.weight")),
            output,
        },
        feed_forward: FeedForward {
            norm: tensors.vector(&name("ffn_norm.weight")),
            gate,
            up,
            down,
        },
        router,
    })
}

/// Computes the batch planned in `scratch`: stores its keys and values, and leaves the wanted logits in `scratch`.
pub(crate) fn forward(model: &Model, pool: &dyn Pool, cache: &mut Cache, scratch: &mut Scratch) {
    let block = match model.config.architecture {
        Architecture::Llama => llama::block,
        Architecture::Qwen2 => qwen2::block,
        Architecture::Qwen3 => qwen3::block,
        Architecture::Qwen3Moe => qwen3moe::block,
    };
    let mut step = Step::new(model, pool, cache, scratch);
    for (index, layer) in model.layers.iter().enumerate() {
        block(&mut step, index, layer);
    }
    let output = model.output.as_ref().unwrap_or(&model.embedding);
    step.project_logits(&model.output_norm, output, &model.output_bias);
}
