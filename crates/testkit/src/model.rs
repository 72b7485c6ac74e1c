//! Tiny models with random weights.

use gguf::{Array, TensorType, Writer};

use crate::{BEGIN, END_OF_TEXT, END_OF_TURN, Rng, random_tensor, vocabulary};

/// Chat template of every tiny model.
const TEMPLATE: &str = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + \
                        message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}\
                        {% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

/// The model families.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// Rotates neighbouring pairs; neither biases nor q/k norms.
    Llama,
    /// Rotates halves; biases on q, k and v.
    Qwen2,
    /// Rotates halves; norms on each head of q and k.
    Qwen3,
}

impl Architecture {
    /// `general.architecture` in a file, and the prefix of the other keys.
    pub fn name(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
        }
    }

    /// `tokenizer.ggml.pre` of this family.
    fn pre_tokenizer(self) -> &'static str {
        match self {
            Self::Llama => "smollm",
            Self::Qwen2 | Self::Qwen3 => "qwen2",
        }
    }
}

/// What a tiny model is made of. The defaults suit every tensor type: all row lengths are multiples of 256.
///
/// ```
/// use testkit::{Architecture, TinyModel};
/// let model = TinyModel { layers: 1, ..TinyModel::new(Architecture::Qwen3) };
/// let header = gguf::Header::parse(&model.to_bytes()).expect("valid");
/// assert!(header.tensor("blk.0.attn_q_norm.weight").is_some());
/// ```
#[derive(Debug, Clone)]
pub struct TinyModel {
    /// Family.
    pub architecture: Architecture,
    /// Blocks.
    pub layers: usize,
    /// Length of the residual stream.
    pub embedding: usize,
    /// Length of the feed-forward network's inner vector.
    pub feed_forward: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads, a divisor of `heads`.
    pub kv_heads: usize,
    /// Elements per head.
    pub head_dim: usize,
    /// Tokens the model is said to be trained for.
    pub context_length: usize,
    /// Whether the output projection is the token embedding.
    pub tied: bool,
    /// Type of all matrices; vectors are F32.
    pub kind: TensorType,
    /// Determines every weight.
    pub seed: u64,
}

impl TinyModel {
    /// A model of two layers, 4 query heads over 2 key and value heads, tied output, matrices in F32.
    pub fn new(architecture: Architecture) -> Self {
        Self {
            architecture,
            layers: 2,
            embedding: 256,
            feed_forward: 512,
            heads: 4,
            kv_heads: 2,
            head_dim: 64,
            context_length: 1024,
            tied: true,
            kind: TensorType::F32,
            seed: 1,
        }
    }

    /// The model's file.
    ///
    /// # Panics
    /// If row lengths are not multiples of the type's block length, or the type is not one that models compute with.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.writer().to_bytes().expect("a valid file")
    }

    /// As [`Self::to_bytes`], for a test to add keys and tensors to.
    pub fn writer(&self) -> Writer {
        self.weights(self.tokenizer(self.configuration()))
    }

    fn configuration(&self) -> Writer {
        let name = self.architecture.name();
        let key = |suffix: &str| format!("{name}.{suffix}");
        let count = |value: usize| u32::try_from(value).expect("tiny");
        Writer::new()
            .with("general.architecture", name)
            .with("general.name", format!("tiny {name}, random weights"))
            .with(key("block_count"), count(self.layers))
            .with(key("context_length"), count(self.context_length))
            .with(key("embedding_length"), count(self.embedding))
            .with(key("feed_forward_length"), count(self.feed_forward))
            .with(key("attention.head_count"), count(self.heads))
            .with(key("attention.head_count_kv"), count(self.kv_heads))
            .with(key("attention.key_length"), count(self.head_dim))
            .with(key("attention.value_length"), count(self.head_dim))
            .with(key("attention.layer_norm_rms_epsilon"), 1e-6f32)
            .with(key("rope.dimension_count"), count(self.head_dim))
            .with(key("rope.freq_base"), 10_000f32)
            .with(key("vocab_size"), count(vocabulary().tokens.len()))
    }

    fn tokenizer(&self, writer: Writer) -> Writer {
        let vocabulary = vocabulary();
        writer
            .with("tokenizer.ggml.model", "gpt2")
            .with("tokenizer.ggml.pre", self.architecture.pre_tokenizer())
            .with("tokenizer.ggml.bos_token_id", vocabulary.id(BEGIN))
            .with("tokenizer.ggml.eos_token_id", vocabulary.id(END_OF_TURN))
            .with(
                "tokenizer.ggml.padding_token_id",
                vocabulary.id(END_OF_TEXT),
            )
            .with("tokenizer.ggml.add_bos_token", false)
            .with("tokenizer.ggml.tokens", vocabulary.tokens)
            .with("tokenizer.ggml.merges", vocabulary.merges)
            .with("tokenizer.ggml.token_type", Array::I32(vocabulary.types))
            .with("tokenizer.chat_template", TEMPLATE)
    }

    fn weights(&self, writer: Writer) -> Writer {
        let mut weights = Weights {
            rng: Rng::new(self.seed),
            kind: self.kind,
            writer,
        };
        let vocab = vocabulary().tokens.len();
        let (q, kv) = (self.heads * self.head_dim, self.kv_heads * self.head_dim);
        weights.matrix("token_embd.weight", self.embedding, vocab);
        for layer in 0..self.layers {
            let name = |suffix: &str| format!("blk.{layer}.{suffix}");
            weights.norm(&name("attn_norm.weight"), self.embedding);
            for (letter, rows) in [("q", q), ("k", kv), ("v", kv)] {
                weights.matrix(
                    &name(&format!("attn_{letter}.weight")),
                    self.embedding,
                    rows,
                );
                if self.architecture == Architecture::Qwen2 {
                    weights.bias(&name(&format!("attn_{letter}.bias")), rows);
                }
            }
            if self.architecture == Architecture::Qwen3 {
                weights.norm(&name("attn_q_norm.weight"), self.head_dim);
                weights.norm(&name("attn_k_norm.weight"), self.head_dim);
            }
            weights.matrix(&name("attn_output.weight"), q, self.embedding);
            weights.norm(&name("ffn_norm.weight"), self.embedding);
            weights.matrix(&name("ffn_gate.weight"), self.embedding, self.feed_forward);
            weights.matrix(&name("ffn_up.weight"), self.embedding, self.feed_forward);
            weights.matrix(&name("ffn_down.weight"), self.feed_forward, self.embedding);
        }
        weights.norm("output_norm.weight", self.embedding);
        if !self.tied {
            weights.matrix("output.weight", self.embedding, vocab);
        }
        weights.writer
    }
}

/// Draws tensors and adds them to a file.
struct Weights {
    rng: Rng,
    kind: TensorType,
    writer: Writer,
}

impl Weights {
    fn matrix(&mut self, name: &str, columns: usize, rows: usize) {
        let bytes = random_tensor(&mut self.rng, self.kind, columns, rows);
        self.add(name, &[columns as u64, rows as u64], self.kind, bytes);
    }

    /// Weights around 1.
    fn norm(&mut self, name: &str, len: usize) {
        self.vector(name, len, 1.0, 0.5);
    }

    /// Weights around 0.
    fn bias(&mut self, name: &str, len: usize) {
        self.vector(name, len, 0.0, 0.5);
    }

    fn vector(&mut self, name: &str, len: usize, center: f32, spread: f32) {
        let bytes = (0..len)
            .flat_map(|_| (center + spread * self.rng.signed_unit()).to_le_bytes())
            .collect();
        self.add(name, &[len as u64], TensorType::F32, bytes);
    }

    fn add(&mut self, name: &str, shape: &[u64], kind: TensorType, bytes: Vec<u8>) {
        let writer = std::mem::take(&mut self.writer);
        self.writer = writer.tensor(name, shape, kind, bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::COMPUTABLE;

    #[test]
    fn every_family_in_every_type_is_a_valid_file() {
        for architecture in [
            Architecture::Llama,
            Architecture::Qwen2,
            Architecture::Qwen3,
        ] {
            for kind in COMPUTABLE {
                let model = TinyModel {
                    kind,
                    tied: false,
                    ..TinyModel::new(architecture)
                };
                let header = gguf::Header::parse(&model.to_bytes()).expect("valid");
                assert_eq!(header.tensor("output.weight").expect("untied").kind, kind);
                assert_eq!(
                    header.metadata.string("general.architecture"),
                    Ok(Some(architecture.name()))
                );
            }
        }
    }

    #[test]
    fn the_seed_determines_the_file() {
        let model = TinyModel::new(Architecture::Llama);
        assert_eq!(model.to_bytes(), model.to_bytes());
        let other = TinyModel {
            seed: 2,
            ..model.clone()
        };
        assert_ne!(model.to_bytes(), other.to_bytes());
    }
}
