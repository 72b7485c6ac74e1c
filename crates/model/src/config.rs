//! What the header says about the model.

use gguf::Header;
use kernels::activation::Activation;
use kernels::kv::{KvType, LANES, MAX_HEAD_LENGTH};
use kernels::rope::RopeConfig;

use crate::families::{self, Output};
use crate::keys::Keys;
use crate::{Error, Pooling};

/// The architecture families that are implemented, by the names GGUF gives them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Architecture {
    /// Llama 1 to 3.2, Mistral, SmolLM and others of the same shape.
    Llama,
    /// SmolLM 3.
    SmolLm3,
    /// Qwen 1.5, 2 and 2.5.
    Qwen2,
    /// Qwen 3, dense.
    Qwen3,
    /// Qwen 3, mixture of experts.
    Qwen3Moe,
    /// BitNet b1.58, as llama.cpp stores and computes it.
    Bitnet,
    /// BitNet b1.58 2B4T, as Microsoft's bitnet.cpp stores it.
    BitnetB158,
    /// Gemma 2.
    Gemma2,
    /// Gemma 3, its text models.
    Gemma3,
    /// Phi 3, Phi 3.5 and Phi 4.
    Phi3,
    /// BERT and the embedding models of its shape.
    Bert,
    /// Nomic's BERT: rotated positions and gated feed-forward networks.
    NomicBert,
}

impl Architecture {
    /// Every implemented one.
    pub const ALL: [Self; 12] = [
        Self::Llama,
        Self::SmolLm3,
        Self::Qwen2,
        Self::Qwen3,
        Self::Qwen3Moe,
        Self::Bitnet,
        Self::BitnetB158,
        Self::Gemma2,
        Self::Gemma3,
        Self::Phi3,
        Self::Bert,
        Self::NomicBert,
    ];

    /// The name in `general.architecture`, which is also the prefix of its metadata keys.
    pub fn name(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::SmolLm3 => "smollm3",
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
            Self::Qwen3Moe => "qwen3moe",
            Self::Bitnet => "bitnet",
            Self::BitnetB158 => "bitnet-b1.58",
            Self::Gemma2 => "gemma2",
            Self::Gemma3 => "gemma3",
            Self::Phi3 => "phi3",
            Self::Bert => "bert",
            Self::NomicBert => "nomic-bert",
        }
    }

    /// The architecture of that name.
    ///
    /// # Errors
    /// [`Error::UnknownArchitecture`].
    pub fn from_name(name: &str) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|architecture| architecture.name() == name)
            .ok_or_else(|| Error::UnknownArchitecture {
                name: name.to_owned(),
                supported: Self::ALL.map(Self::name).join(", "),
            })
    }
}

/// The dimensions and constants of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Which family's equations apply.
    pub architecture: Architecture,
    /// `general.name`, for people.
    pub name: Option<String>,
    /// Tokens in the vocabulary: rows of the embedding.
    pub vocab_size: usize,
    /// Tokens of context the model was trained for.
    pub context_length: usize,
    /// Tokens of context before it was extended by scaling rotations; without that, the same.
    pub original_context_length: usize,
    /// Transformer blocks.
    pub layers: usize,
    /// Floats of the residual stream per token.
    pub embedding_length: usize,
    /// Inner width of the feed-forward network; of each expert's, where there are experts.
    pub feed_forward_length: usize,
    /// The experts that share the feed-forward network's work, if it is a mixture.
    pub experts: Option<Experts>,
    /// Query heads.
    pub heads: usize,
    /// Key–value heads; divides `heads`.
    pub kv_heads: usize,
    /// Floats of one head's query and key.
    pub key_length: usize,
    /// Floats of one head's value.
    pub value_length: usize,
    /// Epsilon of the norms.
    pub norm_epsilon: f32,
    /// What the feed-forward network's gate goes through.
    pub activation: Activation,
    /// What embeddings are multiplied by.
    pub embedding_scale: f32,
    /// What products of queries and keys are multiplied by.
    pub attention_scale: f32,
    /// Bounds the scaled products s by cap · tanh(s / cap).
    pub attention_soft_cap: Option<f32>,
    /// Bounds logits in the same way.
    pub logit_soft_cap: Option<f32>,
    /// Rotary position embedding; of the layers that see everything, where others do not.
    pub rope: RopeConfig,
    /// Whether rotations have two sets of factors, for contexts up to the original length and for longer ones (LongRoPE).
    pub long_rope: bool,
    /// The layers that see only the last tokens, if there are such.
    pub sliding_window: Option<SlidingWindow>,
    /// Whether queries, keys and values are one tensor in the file.
    pub(crate) fused_attention: bool,
    /// Whether gate and up projections are one tensor in the file.
    pub(crate) fused: bool,
    /// Kinds of text that a token's embedding is told apart by; 0 where the model does not tell them.
    pub token_types: usize,
    /// Whether a token sees only itself and those before it, as generating needs; else it sees the whole text.
    pub causal: bool,
    /// How the states of a text's tokens become its embedding.
    pub pooling: Pooling,
    /// Names of what a ranking head gives a score to; none where it gives one score.
    pub labels: Vec<String>,
    /// Whether the output projection is the embedding matrix (there is no `output.weight`).
    pub tied_output: bool,
}

/// A mixture of experts: each token goes through a few of many feed-forward networks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Experts {
    /// Networks in each block.
    pub count: usize,
    /// How many of them a token goes through; at most `count`.
    pub used: usize,
    /// What their weighted sum is multiplied by.
    pub scale: f32,
}

/// Layers that see a window of the last tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct SlidingWindow {
    /// How many tokens are seen, the token itself included.
    pub tokens: usize,
    /// Which layers these are, one truth value for each layer of the model.
    pub layers: Vec<bool>,
    /// Rotary position embedding of these layers.
    pub rope: RopeConfig,
}

impl Config {
    /// Whether the model predicts tokens; else it only makes embeddings.
    pub fn generates(&self) -> bool {
        self.causal && families::family(self.architecture).output != Output::None
    }

    /// How keys and values are stored where `wanted` was asked for. Where tokens see those after them, the cache only lasts for
    /// one pass: there is nothing to gain from small numbers.
    pub(crate) fn kv_type(&self, wanted: KvType) -> KvType {
        if self.causal { wanted } else { KvType::F32 }
    }

    /// How many tokens each token sees in `layer`, itself included; `None` if all that are before it.
    ///
    /// # Panics
    /// If there is no such layer.
    pub fn window(&self, layer: usize) -> Option<usize> {
        self.sliding_window
            .as_ref()
            .filter(|window| window.layers[layer])
            .map(|window| window.tokens)
    }

    /// Reads the configuration from the header of a model in one file.
    ///
    /// For a split set this is the first part's header, which has the metadata; whether the output is tied can then only
    /// be told by [`inspect`](crate::inspect), which sees all parts.
    ///
    /// # Errors
    /// [`Error::UnknownArchitecture`], [`Error::MissingKey`], [`Error::UnsupportedValue`]; [`Error::Gguf`] if a key has a
    /// value of the wrong type.
    pub fn from_header(header: &Header) -> Result<Self, Error> {
        Self::from_headers(std::slice::from_ref(header))
    }

    pub(crate) fn from_headers(headers: &[Header]) -> Result<Self, Error> {
        let first = headers.first().ok_or(Error::NoHeader)?;
        let name = first
            .metadata
            .string(ARCHITECTURE_KEY)?
            .ok_or_else(|| Error::MissingKey {
                key: ARCHITECTURE_KEY.to_owned(),
            })?;
        let architecture = Architecture::from_name(name)?;
        let keys = Keys {
            metadata: &first.metadata,
            architecture,
        };

        let experts = keys.experts()?;
        let embedding_length = keys.dimension("embedding_length")?;
        let heads = keys.per_layer("attention.head_count", None)?;
        let kv_heads = keys.per_layer("attention.head_count_kv", Some(heads))?;
        if !heads.is_multiple_of(kv_heads) {
            return Err(keys.unsupported(
                "attention.head_count_kv",
                kv_heads,
                format!("it must divide the {heads} query heads"),
            ));
        }
        let key_length = keys.dimension_or("attention.key_length", embedding_length / heads)?;
        let value_length = keys.dimension_or("attention.value_length", embedding_length / heads)?;
        for (key, length) in [
            ("attention.key_length", key_length),
            ("attention.value_length", value_length),
        ] {
            if length == 0 || !length.is_multiple_of(LANES) || length > MAX_HEAD_LENGTH {
                return Err(keys.unsupported(
                    key,
                    length,
                    format!(
                        "heads must be a multiple of {LANES} long, and at most {MAX_HEAD_LENGTH}"
                    ),
                ));
            }
        }
        let layers = keys.layers()?;
        let rope = keys.rope(key_length)?;
        let has = |tensor| headers.iter().any(|header| header.tensor(tensor).is_some());
        let mut config = Self {
            architecture,
            name: first.metadata.string("general.name")?.map(str::to_owned),
            vocab_size: keys.vocab_size(headers)?,
            context_length: keys.dimension("context_length")?,
            original_context_length: keys.original_context_length()?,
            layers,
            embedding_length,
            feed_forward_length: keys.feed_forward_length(experts.as_ref())?,
            experts,
            heads,
            kv_heads,
            key_length,
            value_length,
            norm_epsilon: keys.positive(families::family(architecture).norm_epsilon)?,
            activation: keys.activation(Activation::Silu)?,
            embedding_scale: 1.0,
            attention_scale: match keys.float("attention.scale")? {
                Some(scale) => scale,
                None => 1.0 / (key_length as f32).sqrt(),
            },
            attention_soft_cap: keys.soft_cap("attn_logit_softcapping", None)?,
            logit_soft_cap: keys.soft_cap("final_logit_softcapping", None)?,
            sliding_window: keys.sliding_window(layers, &rope, None, 0)?,
            rope,
            long_rope: LONG_ROPE_TENSORS.into_iter().any(has),
            fused_attention: has("blk.0.attn_qkv.weight"),
            fused: false,
            token_types: 0,
            causal: first
                .metadata
                .bool(&keys.full("attention.causal"))?
                .unwrap_or(true),
            pooling: keys.pooling()?,
            labels: keys.labels()?,
            tied_output: families::family(architecture).output == Output::Embedding
                || !has("output.weight"),
        };
        (families::family(architecture).configure)(&keys, &mut config)?;
        Ok(config)
    }
}

const ARCHITECTURE_KEY: &str = "general.architecture";

/// LongRoPE's factors for contexts up to the original length, and for longer ones.
pub(crate) const LONG_ROPE_TENSORS: [&str; 2] =
    ["rope_factors_short.weight", "rope_factors_long.weight"];
