//! What the header says about the model.

use gguf::{Header, Metadata, Value};
use kernels::Matrix;
use kernels::kv::{LANES, MAX_HEAD_LENGTH};
use kernels::rope::{RopeConfig, RopeScaling};

use crate::{Error, families};

/// The architecture families that are implemented, by the names GGUF gives them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Architecture {
    /// Llama 1 to 3.2, Mistral, SmolLM and others of the same shape.
    Llama,
    /// Qwen 1.5, 2 and 2.5.
    Qwen2,
    /// Qwen 3, dense.
    Qwen3,
    /// Qwen 3, mixture of experts.
    Qwen3Moe,
    /// BitNet b1.58, as llama.cpp stores and computes it.
    Bitnet,
}

impl Architecture {
    /// Every implemented one.
    pub const ALL: [Self; 5] = [
        Self::Llama,
        Self::Qwen2,
        Self::Qwen3,
        Self::Qwen3Moe,
        Self::Bitnet,
    ];

    /// The name in `general.architecture`, which is also the prefix of its metadata keys.
    pub fn name(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
            Self::Qwen3Moe => "qwen3moe",
            Self::Bitnet => "bitnet",
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
    /// Epsilon of the RMS norms.
    pub norm_epsilon: f32,
    /// Rotary position embedding.
    pub rope: RopeConfig,
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

impl Config {
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

    /// Keys, and the defaults of those that may be absent, as in llama.cpp (`llama_model_base::load_hparams`).
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
        Ok(Self {
            architecture,
            name: first.metadata.string("general.name")?.map(str::to_owned),
            vocab_size: keys.vocab_size(headers)?,
            context_length: keys.dimension("context_length")?,
            layers: keys.layers()?,
            embedding_length,
            feed_forward_length: keys.feed_forward_length(experts.as_ref())?,
            experts,
            heads,
            kv_heads,
            key_length,
            value_length,
            norm_epsilon: keys.positive("attention.layer_norm_rms_epsilon")?,
            rope: keys.rope(key_length)?,
            tied_output: !families::family(architecture).own_output
                || headers
                    .iter()
                    .all(|header| header.tensor("output.weight").is_none()),
        })
    }
}

const ARCHITECTURE_KEY: &str = "general.architecture";

/// More blocks than any known model has, and few enough that listing their tensors costs nothing.
const MAX_LAYERS: usize = 1024;

/// Any one dimension; the product of two still fits 64 bits, and each tensor's true size is checked against the file.
const MAX_DIMENSION: u32 = 1 << 24;

/// Few enough heads that their number times [`MAX_HEAD_LENGTH`] fits 32 bits.
const MAX_HEADS: usize = 1 << 16;

/// More experts than any known model has, and few enough that choosing among them costs little.
const MAX_EXPERTS: usize = 1024;

/// As in the original paper.
const DEFAULT_ROPE_BASE: f32 = 10_000.0;

/// YaRN's bounds in turns, as in its paper (section 3.2: α and β).
const YARN_BETA_FAST: f32 = 32.0;
const YARN_BETA_SLOW: f32 = 1.0;

/// Reads keys that begin with the architecture's name.
struct Keys<'a> {
    metadata: &'a Metadata,
    architecture: Architecture,
}

impl Keys<'_> {
    fn full(&self, key: &str) -> String {
        format!("{}.{key}", self.architecture.name())
    }

    fn missing(&self, key: &str) -> Error {
        Error::MissingKey {
            key: self.full(key),
        }
    }

    fn unsupported(&self, key: &str, value: impl ToString, expected: impl Into<String>) -> Error {
        Error::UnsupportedValue {
            key: self.full(key),
            value: value.to_string(),
            expected: expected.into(),
        }
    }

    fn number(&self, key: &str) -> Result<Option<usize>, Error> {
        let Some(value) = self.metadata.u32(&self.full(key))? else {
            return Ok(None);
        };
        if value > MAX_DIMENSION {
            return Err(self.unsupported(
                key,
                value,
                format!("at most {MAX_DIMENSION} is supported"),
            ));
        }
        Ok(Some(value as usize))
    }

    fn dimension(&self, key: &str) -> Result<usize, Error> {
        let value = self.number(key)?.ok_or_else(|| self.missing(key))?;
        if value == 0 {
            return Err(self.unsupported(key, 0, "it must be at least 1"));
        }
        Ok(value)
    }

    fn dimension_or(&self, key: &str, default: usize) -> Result<usize, Error> {
        Ok(self.number(key)?.unwrap_or(default))
    }

    fn layers(&self) -> Result<usize, Error> {
        let layers = self.dimension("block_count")?;
        if layers > MAX_LAYERS {
            return Err(self.unsupported(
                "block_count",
                layers,
                format!("at most {MAX_LAYERS} are supported"),
            ));
        }
        Ok(layers)
    }

    /// A number that may be given for each layer; only the same for all is supported.
    fn per_layer(&self, key: &str, default: Option<usize>) -> Result<usize, Error> {
        let full = self.full(key);
        let value = match self.metadata.get(&full) {
            None => default.ok_or_else(|| self.missing(key))?,
            Some(Value::Array(array)) => {
                let first = array.integer(0);
                if (1..array.len()).any(|layer| array.integer(layer) != first) {
                    return Err(self.unsupported(
                        key,
                        "different from layer to layer",
                        "only one number for all layers is supported",
                    ));
                }
                let number = first
                    .and_then(|number| u32::try_from(number).ok())
                    .filter(|&number| number <= MAX_DIMENSION);
                number.ok_or_else(|| {
                    self.unsupported(key, "an array", "its elements must be positive integers")
                })? as usize
            }
            Some(_) => self.dimension(key)?,
        };
        let limit = if key.starts_with("attention.") {
            MAX_HEADS
        } else {
            MAX_DIMENSION as usize
        };
        if value == 0 || value > limit {
            return Err(self.unsupported(key, value, format!("it must be from 1 to {limit}")));
        }
        Ok(value)
    }

    fn float(&self, key: &str) -> Result<Option<f32>, Error> {
        let Some(value) = self.metadata.f32(&self.full(key))? else {
            return Ok(None);
        };
        if !value.is_finite() {
            return Err(self.unsupported(key, value, "it must be a finite number"));
        }
        Ok(Some(value))
    }

    fn positive(&self, key: &str) -> Result<f32, Error> {
        let value = self.float(key)?.ok_or_else(|| self.missing(key))?;
        if value <= 0.0 {
            return Err(self.unsupported(key, value, "it must be positive"));
        }
        Ok(value)
    }

    /// The experts of a mixture, with llama.cpp's defaults (`llama_model_qwen3moe::load_arch_tensors`).
    fn experts(&self) -> Result<Option<Experts>, Error> {
        let count = self.number("expert_count")?.unwrap_or(0);
        if !families::family(self.architecture).experts {
            return match count {
                0 => Ok(None),
                _ => Err(self.unsupported(
                    "expert_count",
                    count,
                    "this architecture is supported without experts only",
                )),
            };
        }
        if count == 0 || count > MAX_EXPERTS {
            return Err(self.unsupported(
                "expert_count",
                count,
                format!("it must be from 1 to {MAX_EXPERTS}"),
            ));
        }
        let used = self.dimension("expert_used_count")?;
        if used > count {
            return Err(self.unsupported(
                "expert_used_count",
                used,
                format!("there are only {count} experts"),
            ));
        }
        for key in ["expert_shared_count", "expert_group_count"] {
            if let Some(number) = self.number(key)?.filter(|&number| number > 0) {
                return Err(self.unsupported(key, number, "only 0 is supported"));
            }
        }
        Ok(Some(Experts {
            count,
            used,
            scale: match self.float("expert_weights_scale")? {
                // Zero is written for "none".
                None | Some(0.0) => 1.0,
                Some(scale) => scale,
            },
        }))
    }

    fn feed_forward_length(&self, experts: Option<&Experts>) -> Result<usize, Error> {
        const EXPERT_LENGTH: &str = "expert_feed_forward_length";
        let Some(experts) = experts else {
            return self.per_layer("feed_forward_length", None);
        };
        let shared = self
            .per_layer("feed_forward_length", None)
            .map(|length| length / experts.used);
        let length = self.per_layer(EXPERT_LENGTH, shared.ok())?;
        for (key, rows) in [
            (EXPERT_LENGTH, length),
            ("embedding_length", self.dimension("embedding_length")?),
        ] {
            // Experts stand one below the other in a packed matrix, whose rows come in groups.
            if !rows.is_multiple_of(Matrix::ROW_GROUP) {
                return Err(self.unsupported(
                    key,
                    rows,
                    format!(
                        "with experts it must be a multiple of {}",
                        Matrix::ROW_GROUP
                    ),
                ));
            }
        }
        Ok(length)
    }

    /// Rows of the embedding, or what the metadata say where the embedding is in another part of a split set.
    fn vocab_size(&self, headers: &[Header]) -> Result<usize, Error> {
        let embedding = headers
            .iter()
            .find_map(|header| header.tensor("token_embd.weight"));
        if let Some(rows) = embedding.and_then(|tensor| tensor.shape.get(1)) {
            return match u32::try_from(*rows) {
                Ok(rows) if rows <= MAX_DIMENSION => Ok(rows as usize),
                _ => Err(self.unsupported(
                    "vocab_size",
                    rows,
                    format!("at most {MAX_DIMENSION} is supported"),
                )),
            };
        }
        if let Some(size) = self.number("vocab_size")? {
            return Ok(size);
        }
        match self.metadata.array("tokenizer.ggml.tokens")? {
            Some(tokens) => Ok(tokens.len()),
            None => Err(self.missing("vocab_size")),
        }
    }

    fn rope(&self, key_length: usize) -> Result<RopeConfig, Error> {
        let dims = self.dimension_or("rope.dimension_count", key_length)?;
        if dims != key_length {
            return Err(self.unsupported(
                "rope.dimension_count",
                dims,
                format!("this architecture rotates all {key_length} channels of a head"),
            ));
        }
        let base = self.float("rope.freq_base")?.unwrap_or(DEFAULT_ROPE_BASE);
        if base <= 1.0 {
            return Err(self.unsupported("rope.freq_base", base, "it must be greater than 1"));
        }
        Ok(RopeConfig {
            style: families::family(self.architecture).rope_style,
            dims,
            base,
            scaling: self.rope_scaling()?,
            magnitude: self.float("rope.scaling.attn_factor")?.unwrap_or(1.0),
        })
    }

    fn rope_scaling(&self) -> Result<RopeScaling, Error> {
        let factor = match self.float("rope.scaling.factor")? {
            Some(factor) => factor,
            None => self.float("rope.scale_linear")?.unwrap_or(1.0),
        };
        // A factor of zero is written for "none".
        let factor = if factor == 0.0 { 1.0 } else { factor };
        if factor < 0.0 {
            return Err(self.unsupported("rope.scaling.factor", factor, "it must be positive"));
        }
        let kind = self
            .metadata
            .string(&self.full("rope.scaling.type"))?
            .unwrap_or("linear");
        match kind {
            "none" => Ok(RopeScaling::None),
            "linear" if factor == 1.0 => Ok(RopeScaling::None),
            "linear" => Ok(RopeScaling::Linear { factor }),
            "yarn" => Ok(RopeScaling::Yarn {
                factor,
                original_context: match self.number("rope.scaling.original_context_length")? {
                    Some(length) => length as u32,
                    None => self.dimension("context_length")? as u32,
                },
                beta_fast: YARN_BETA_FAST,
                beta_slow: YARN_BETA_SLOW,
            }),
            other => Err(self.unsupported(
                "rope.scaling.type",
                format!("{other:?}"),
                "only none, linear and yarn are supported",
            )),
        }
    }
}
