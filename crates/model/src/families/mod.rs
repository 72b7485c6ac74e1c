//! The architecture families: which tensors each has, and what one of its transformer blocks computes.

mod bert;
mod bitnet;
mod bitnet_b158;
mod gemma2;
mod gemma3;
mod llama;
mod nomic_bert;
mod phi3;
mod qwen2;
mod qwen3;
mod qwen3moe;
mod smollm3;

use kernels::Pool;
use kernels::rope::RopeStyle;

use crate::cache::Cache;
use crate::config::LONG_ROPE_TENSORS;
use crate::keys::Keys;
use crate::loaded::Loaded;
use crate::rotation::{RopeFactors, Ropes};
use crate::scratch::Scratch;
use crate::step::{self, Step};
use crate::tensors::{Spec, Specs};
use crate::weights::{Attention, FeedForward, Layer, Model, RankingHead, Router};
use crate::{Architecture, Config, Error};

/// The embedding, with which every model begins.
pub(crate) const EMBEDDING: &str = "token_embd.weight";

/// What frequencies are divided by: whatever the context, in short contexts, in long ones.
pub(crate) const ROPE_TENSORS: [&str; 3] = [
    "rope_freqs.weight",
    LONG_ROPE_TENSORS[0],
    LONG_ROPE_TENSORS[1],
];

/// Where a family's logits come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// A norm, and a projection of the model's own; the embedding where the file has none.
    Own,
    /// A norm, and the embedding.
    Embedding,
    /// There are none, and no norm after the last block.
    None,
}

/// What distinguishes an architecture family.
pub(crate) struct Family {
    /// Which channels the rotary embedding pairs (llama.cpp, `llama_model_rope_type`).
    pub(crate) rope_style: RopeStyle,
    /// Whether feed-forward networks are mixtures of experts.
    pub(crate) experts: bool,
    /// The key of the norms' epsilon.
    pub(crate) norm_epsilon: &'static str,
    /// Where logits come from.
    pub(crate) output: Output,
    /// Whether the scores of a ranking head are made probabilities.
    rank_softmax: bool,
    /// Reads the keys that only this family has, and puts its own defaults in the place of others.
    pub(crate) configure: fn(&Keys, &mut Config) -> Result<(), Error>,
    /// The tensors besides the embedding, the last norm and the output projection.
    tensors: fn(&Config, &mut Specs),
    /// Prepares the embeddings of the tokens for the first block; does nothing in families with logits, whose prompts may be
    /// begun without it.
    begin: fn(&mut Step, &Model),
    /// Computes one transformer block.
    block: fn(&mut Step, usize, &Layer),
}

impl Family {
    /// A family of dense language models.
    const fn dense(
        rope_style: RopeStyle,
        tensors: fn(&Config, &mut Specs),
        block: fn(&mut Step, usize, &Layer),
    ) -> Self {
        Self {
            rope_style,
            experts: false,
            norm_epsilon: "attention.layer_norm_rms_epsilon",
            output: Output::Own,
            rank_softmax: false,
            configure: |_, _| Ok(()),
            tensors,
            begin: |_, _| {},
            block,
        }
    }
}

/// The family of an architecture.
pub(crate) fn family(architecture: Architecture) -> &'static Family {
    match architecture {
        Architecture::Llama => &llama::FAMILY,
        Architecture::SmolLm3 => &smollm3::FAMILY,
        Architecture::Qwen2 => &qwen2::FAMILY,
        Architecture::Qwen3 => &qwen3::FAMILY,
        Architecture::Qwen3Moe => &qwen3moe::FAMILY,
        Architecture::Bitnet => &bitnet::FAMILY,
        Architecture::BitnetB158 => &bitnet_b158::FAMILY,
        Architecture::Gemma2 => &gemma2::FAMILY,
        Architecture::Gemma3 => &gemma3::FAMILY,
        Architecture::Phi3 => &phi3::FAMILY,
        Architecture::Bert => &bert::FAMILY,
        Architecture::NomicBert => &nomic_bert::FAMILY,
    }
}

/// Every tensor a model of this configuration has or may have.
pub(crate) fn tensors(config: &Config) -> Vec<Spec> {
    let mut specs = Specs::default();
    let family = family(config.architecture);
    specs.matrix(EMBEDDING, config.embedding_length, config.vocab_size);
    if family.output != Output::None {
        specs.vector("output_norm.weight", config.embedding_length);
    }
    if !config.tied_output {
        specs.matrix("output.weight", config.embedding_length, config.vocab_size);
    }
    (family.tensors)(config, &mut specs);
    specs.into_vec()
}

/// A model of blocks and other tensors that are all there.
pub(crate) fn assemble(
    config: Config,
    mut tensors: Loaded,
    layers: Vec<Layer>,
) -> Result<Model, Error> {
    Ok(Model {
        rope_factors: rope_factors(&tensors),
        embedding: tensors.matrix(EMBEDDING)?,
        layers,
        output_norm: tensors.vector("output_norm.weight"),
        output: if config.tied_output {
            None
        } else {
            Some(tensors.matrix("output.weight")?)
        },
        output_bias: tensors.vector("output.bias"),
        positions: tensors.matrix("position_embd.weight").ok(),
        token_types: tensors.matrix("token_types.weight").ok(),
        embedding_norm: tensors.norm("token_embd_norm"),
        ranking: ranking_head(&mut tensors, family(config.architecture)),
        weight_bytes: tensors.bytes(),
        config,
    })
}

/// What the rotary embeddings are made with; each vector empty where the files do not have it.
pub(crate) fn rope_factors(tensors: &Loaded) -> RopeFactors {
    let [every, short, long] = ROPE_TENSORS.map(|name| tensors.peek_vector(name));
    RopeFactors { every, short, long }
}

fn ranking_head(tensors: &mut Loaded, family: &Family) -> Option<RankingHead> {
    Some(RankingHead {
        inner: tensors.linear("cls").ok(),
        output: tensors.linear("cls.output").ok()?,
        softmax: family.rank_softmax,
    })
}

/// The tensors all families have, and the optional ones where they are.
pub(crate) fn assemble_layer(
    tensors: &mut Loaded,
    layer: usize,
    config: &Config,
) -> Result<Layer, Error> {
    let name = |part: &str| format!("blk.{layer}.{part}");
    let mut linear = |part: &str| tensors.linear(&name(part));
    let [query, key, value] = match linear("attn_qkv") {
        Ok(mut query) => {
            let mut key = query.split_off(config.heads * config.key_length);
            let value = key.split_off(config.kv_heads * config.key_length);
            [query, key, value]
        }
        Err(_) => [linear("attn_q")?, linear("attn_k")?, linear("attn_v")?],
    };
    let output = linear("attn_output")?;
    let (gate, up, down) = if config.fused {
        let mut gate = linear("ffn_up")?;
        let up = gate.split_off(config.feed_forward_length);
        (Some(gate), up, linear("ffn_down")?)
    } else {
        let [gate, up, down] = match config.experts {
            None => ["ffn_gate", "ffn_up", "ffn_down"],
            Some(_) => ["ffn_gate_exps", "ffn_up_exps", "ffn_down_exps"],
        };
        (linear(gate).ok(), linear(up)?, linear(down)?)
    };
    let router = match config.experts {
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
            sub_norm: tensors.vector(&name("attn_sub_norm.weight")),
            output,
            post_norm: tensors.vector(&name("post_attention_norm.weight")),
            output_norm: tensors.norm(&name("attn_output_norm")),
        },
        feed_forward: FeedForward {
            norm: tensors.vector(&name("ffn_norm.weight")),
            gate,
            up,
            sub_norm: tensors.vector(&name("ffn_sub_norm.weight")),
            down,
            post_norm: tensors.vector(&name("post_ffw_norm.weight")),
            output_norm: tensors.norm(&name("layer_output_norm")),
        },
        router,
    })
}

/// Computes the batch planned in `scratch`: stores its keys and values, and leaves the final states of the wanted rows in
/// `scratch`: what logits and embeddings are made of.
pub(crate) fn forward(
    model: &Model,
    ropes: &Ropes,
    pool: &dyn Pool,
    cache: &mut Cache,
    scratch: &mut Scratch,
) {
    let family = family(model.config.architecture);
    step::embed(&model.config, &model.embedding, ropes, scratch);
    let mut step = Step::new(&model.config, ropes, pool, cache, scratch);
    (family.begin)(&mut step, model);
    for (index, layer) in model.layers.iter().enumerate() {
        (family.block)(&mut step, index, layer);
    }
    if family.output != Output::None {
        step.norm(&model.output_norm);
    }
}

/// Computes one block of the batch planned in `scratch`, from where the block before has left it.
pub(crate) fn advance(step: &mut Step, index: usize, layer: &Layer, config: &Config) {
    (family(config.architecture).block)(step, index, layer);
}
