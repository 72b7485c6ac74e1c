//! The families that can be converted.

use anyhow::{Result, bail};

/// A family of models, which share names and layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    Llama,
    SmolLm3,
    Qwen2,
    Qwen3,
    Qwen3Moe,
    Gemma2,
    Gemma3,
    Phi3,
    Bert,
    NomicBert,
    BitNet,
    /// BitNet b1.58 2B4T, with the gate squared.
    BitNetB158,
}

/// Classes of transformers and their families.
const CLASSES: [(&str, Family); 19] = [
    ("LlamaForCausalLM", Family::Llama),
    ("LlamaModel", Family::Llama),
    ("MistralForCausalLM", Family::Llama),
    ("SmolLM3ForCausalLM", Family::SmolLm3),
    ("Qwen2ForCausalLM", Family::Qwen2),
    ("Qwen2Model", Family::Qwen2),
    ("Qwen3ForCausalLM", Family::Qwen3),
    ("Qwen3Model", Family::Qwen3),
    ("Qwen3MoeForCausalLM", Family::Qwen3Moe),
    ("Gemma2ForCausalLM", Family::Gemma2),
    ("Gemma3ForCausalLM", Family::Gemma3),
    ("Gemma3ForConditionalGeneration", Family::Gemma3),
    ("Phi3ForCausalLM", Family::Phi3),
    ("BertModel", Family::Bert),
    ("BertForMaskedLM", Family::Bert),
    ("BertForSequenceClassification", Family::Bert),
    ("NomicBertModel", Family::NomicBert),
    // Two makers, two spellings, two families.
    ("BitnetForCausalLM", Family::BitNet),
    ("BitNetForCausalLM", Family::BitNetB158),
];

impl Family {
    pub(crate) fn of(class: &str) -> Result<Self> {
        if let Some((_, family)) = CLASSES.iter().find(|(name, _)| *name == class) {
            return Ok(*family);
        }
        let known: Vec<_> = CLASSES.iter().map(|(name, _)| *name).collect();
        bail!(
            "models of class {class} can't be converted; these can: {}",
            known.join(", ")
        )
    }

    /// The value of `general.architecture`, which starts the names of the family's keys.
    pub(crate) fn architecture(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::SmolLm3 => "smollm3",
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
            Self::Qwen3Moe => "qwen3moe",
            Self::Gemma2 => "gemma2",
            Self::Gemma3 => "gemma3",
            Self::Phi3 => "phi3",
            Self::Bert => "bert",
            Self::NomicBert => "nomic-bert",
            Self::BitNet => "bitnet",
            Self::BitNetB158 => "bitnet-b1.58",
        }
    }

    pub(crate) fn is_gemma(self) -> bool {
        matches!(self, Self::Gemma2 | Self::Gemma3)
    }

    /// Whether every token sees the whole text, and there is no next one.
    pub(crate) fn is_encoder(self) -> bool {
        matches!(self, Self::Bert | Self::NomicBert)
    }

    /// Whether the layers' matrices are trained to be −d, 0 or d.
    pub(crate) fn is_ternary(self) -> bool {
        matches!(self, Self::BitNet | Self::BitNetB158)
    }

    /// Whether queries and keys have their rotated pairs in two halves in the source, and side by side in GGUF.
    pub(crate) fn interleaves_pairs(self) -> bool {
        matches!(self, Self::Llama | Self::SmolLm3)
    }
}
