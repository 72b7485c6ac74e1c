//! Reading typed metadata, with the limits and defaults of each key.
//!
//! Keys, and the defaults of those that may be absent, are those of llama.cpp (`llama_model_base::load_hparams`).

use gguf::{Array, Header, Metadata, Value};
use kernels::Matrix;
use kernels::activation::Activation;
use kernels::rope::{RopeConfig, RopeScaling, RopeStyle};

use crate::config::SlidingWindow;
use crate::{Architecture, Error, Experts, Pooling, families};

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
pub(crate) struct Keys<'a> {
    pub(crate) metadata: &'a Metadata,
    pub(crate) architecture: Architecture,
}

impl Keys<'_> {
    pub(crate) fn full(&self, key: &str) -> String {
        format!("{}.{key}", self.architecture.name())
    }

    fn missing(&self, key: &str) -> Error {
        Error::MissingKey {
            key: self.full(key),
        }
    }

    pub(crate) fn unsupported(
        &self,
        key: &str,
        value: impl ToString,
        expected: impl Into<String>,
    ) -> Error {
        Error::UnsupportedValue {
            key: self.full(key),
            value: value.to_string(),
            expected: expected.into(),
        }
    }

    pub(crate) fn number(&self, key: &str) -> Result<Option<usize>, Error> {
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

    pub(crate) fn dimension(&self, key: &str) -> Result<usize, Error> {
        let value = self.number(key)?.ok_or_else(|| self.missing(key))?;
        if value == 0 {
            return Err(self.unsupported(key, 0, "it must be at least 1"));
        }
        Ok(value)
    }

    pub(crate) fn dimension_or(&self, key: &str, default: usize) -> Result<usize, Error> {
        Ok(self.number(key)?.unwrap_or(default))
    }

    pub(crate) fn layers(&self) -> Result<usize, Error> {
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
    pub(crate) fn per_layer(&self, key: &str, default: Option<usize>) -> Result<usize, Error> {
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

    pub(crate) fn float(&self, key: &str) -> Result<Option<f32>, Error> {
        let Some(value) = self.metadata.f32(&self.full(key))? else {
            return Ok(None);
        };
        if !value.is_finite() {
            return Err(self.unsupported(key, value, "it must be a finite number"));
        }
        Ok(Some(value))
    }

    pub(crate) fn positive(&self, key: &str) -> Result<f32, Error> {
        let value = self.float(key)?.ok_or_else(|| self.missing(key))?;
        if value <= 0.0 {
            return Err(self.unsupported(key, value, "it must be positive"));
        }
        Ok(value)
    }

    /// The experts of a mixture, with llama.cpp's defaults (`llama_model_qwen3moe::load_arch_tensors`).
    pub(crate) fn experts(&self) -> Result<Option<Experts>, Error> {
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

    pub(crate) fn feed_forward_length(&self, experts: Option<&Experts>) -> Result<usize, Error> {
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

    /// How states become an embedding; not at all where the file does not say.
    pub(crate) fn pooling(&self) -> Result<Pooling, Error> {
        const KEY: &str = "pooling_type";
        let Some(id) = self.number(KEY)? else {
            return Ok(Pooling::None);
        };
        Pooling::ALL.get(id).copied().ok_or_else(|| {
            self.unsupported(
                KEY,
                id,
                format!("only 0 to {} are known", Pooling::ALL.len() - 1),
            )
        })
    }

    /// Names of what a ranking head gives a score to.
    pub(crate) fn labels(&self) -> Result<Vec<String>, Error> {
        const KEY: &str = "classifier.output_labels";
        match self.metadata.array(&self.full(KEY))? {
            None => Ok(Vec::new()),
            Some(Array::Strings(labels)) => Ok(labels
                .iter()
                .map(|label| String::from_utf8_lossy(label).into_owned())
                .collect()),
            Some(_) => {
                Err(self.unsupported(KEY, "an array of numbers", "it must be an array of strings"))
            }
        }
    }

    /// Rows of the embedding, or what the metadata say where the embedding is in another part of a split set.
    pub(crate) fn vocab_size(&self, headers: &[Header]) -> Result<usize, Error> {
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

    /// A bound that scores are squeezed below; 0 is written for none.
    pub(crate) fn soft_cap(&self, key: &str, default: Option<f32>) -> Result<Option<f32>, Error> {
        match self.float(key)? {
            None => Ok(default),
            Some(0.0) => Ok(None),
            Some(cap) if cap > 0.0 => Ok(Some(cap)),
            Some(cap) => Err(self.unsupported(key, cap, "it must be positive, or 0 for none")),
        }
    }

    /// What the feed-forward network's gate goes through, by the name that Hugging Face's configurations give it.
    pub(crate) fn activation(&self, default: Activation) -> Result<Activation, Error> {
        const KEY: &str = "hidden_activation";
        match self.metadata.string(&self.full(KEY))? {
            None => Ok(default),
            Some("silu") => Ok(Activation::Silu),
            Some("gelu_pytorch_tanh") => Ok(Activation::GeluTanh),
            Some(other) => Err(self.unsupported(
                KEY,
                format!("{other:?}"),
                "only silu and gelu_pytorch_tanh are supported",
            )),
        }
    }

    /// Which layers see a window of the last tokens only. `default` applies where the file does not say how many tokens that
    /// is; of `every` layers the last sees everything, unless the file says otherwise, and with 0 none does. The
    /// rotation of these layers is that of the others until the family changes it.
    pub(crate) fn sliding_window(
        &self,
        layers: usize,
        rope: &RopeConfig,
        default: Option<usize>,
        every: usize,
    ) -> Result<Option<SlidingWindow>, Error> {
        const PATTERN: &str = "attention.sliding_window_pattern";
        let tokens = self.number("attention.sliding_window")?.or(default);
        // A window of 0 tokens is written for none.
        let Some(tokens) = tokens.filter(|&tokens| tokens > 0) else {
            return Ok(None);
        };
        let periodic =
            |every: usize| (0..layers).map(move |layer| every == 0 || layer % every + 1 < every);
        let layers: Vec<bool> = match self.metadata.get(&self.full(PATTERN)) {
            None => periodic(every).collect(),
            Some(Value::Array(Array::Bool(pattern))) if pattern.len() == layers => pattern.clone(),
            Some(Value::Array(array)) => {
                return Err(self.unsupported(
                    PATTERN,
                    format!("an array of {}", array.len()),
                    format!("it must be a number, or {layers} truth values"),
                ));
            }
            Some(_) => periodic(self.dimension_or(PATTERN, every)?).collect(),
        };
        Ok(layers.contains(&true).then(|| SlidingWindow {
            tokens,
            layers,
            rope: rope.clone(),
        }))
    }

    pub(crate) fn rope(&self, key_length: usize) -> Result<RopeConfig, Error> {
        const DIMENSIONS: &str = "rope.dimension_count";
        let style = families::family(self.architecture).rope_style;
        let dims = self.dimension_or(DIMENSIONS, key_length)?;
        if dims > key_length || !dims.is_multiple_of(2) {
            return Err(self.unsupported(
                DIMENSIONS,
                dims,
                format!("it must be even, and at most the {key_length} channels of a head"),
            ));
        }
        // The converters permute whole heads for this style.
        if style == RopeStyle::Normal && dims != key_length {
            return Err(self.unsupported(
                DIMENSIONS,
                dims,
                format!("this architecture rotates all {key_length} channels of a head"),
            ));
        }
        Ok(RopeConfig {
            style,
            dims,
            base: self.rope_base("rope.freq_base", DEFAULT_ROPE_BASE)?,
            scaling: self.rope_scaling()?,
            magnitude: self.float("rope.scaling.attn_factor")?.unwrap_or(1.0),
        })
    }

    /// The base of a rotary embedding's angles.
    pub(crate) fn rope_base(&self, key: &str, default: f32) -> Result<f32, Error> {
        let base = self.float(key)?.unwrap_or(default);
        if base <= 1.0 {
            return Err(self.unsupported(key, base, "it must be greater than 1"));
        }
        Ok(base)
    }

    /// Tokens of context before it was extended.
    pub(crate) fn original_context_length(&self) -> Result<usize, Error> {
        match self.number("rope.scaling.original_context_length")? {
            Some(length) => Ok(length),
            None => self.dimension("context_length"),
        }
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
            // LongRoPE's factors are tensors; they come on top of what the factor says.
            "linear" | "longrope" if factor == 1.0 => Ok(RopeScaling::None),
            "linear" | "longrope" => Ok(RopeScaling::Linear { factor }),
            "yarn" => Ok(RopeScaling::Yarn {
                factor,
                original_context: self.original_context_length()? as u32,
                beta_fast: YARN_BETA_FAST,
                beta_slow: YARN_BETA_SLOW,
            }),
            other => Err(self.unsupported(
                "rope.scaling.type",
                format!("{other:?}"),
                "only none, linear, yarn and longrope are supported",
            )),
        }
    }
}
