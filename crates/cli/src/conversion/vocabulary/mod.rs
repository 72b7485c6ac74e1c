//! Tokenizers as metadata.

mod bpe;
mod pre_tokenizer;
mod sentencepiece;
mod special;
mod token_list;
mod wordpiece;

use std::path::Path;

use anyhow::Result;
use gguf::{Array, StringArray, Value};

use super::{Config, Entries, Family, folder::optional_json_file};

/// A token's kind, by the numbers of `tokenizer.ggml.token_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Normal = 1,
    Unknown = 2,
    Control = 3,
    UserDefined = 4,
    Unused = 5,
    Byte = 6,
}

/// A vocabulary, by id.
#[derive(Debug, Default)]
struct Tokens {
    texts: StringArray,
    kinds: Vec<i32>,
    /// Of SentencePiece vocabularies only.
    scores: Vec<f32>,
}

impl Tokens {
    fn push(&mut self, text: impl AsRef<[u8]>, kind: Kind) {
        self.texts.push(text);
        self.kinds.push(kind as i32);
    }

    fn entries(self, model: &str, pre: &str) -> Entries {
        let mut entries = vec![
            ("tokenizer.ggml.model".to_owned(), model.into()),
            ("tokenizer.ggml.pre".to_owned(), pre.into()),
            ("tokenizer.ggml.tokens".to_owned(), self.texts.into()),
        ];
        if !self.scores.is_empty() {
            entries.push((
                "tokenizer.ggml.scores".to_owned(),
                Value::Array(Array::F32(self.scores)),
            ));
        }
        entries.push((
            "tokenizer.ggml.token_type".to_owned(),
            Value::Array(Array::I32(self.kinds)),
        ));
        entries
    }
}

/// SentencePiece's mark for a space.
const SPACE_MARK: char = '\u{2581}';

/// The text of a token that only fills a number.
fn padding(id: usize) -> String {
    format!("[PAD{id}]")
}

/// Whether an added token that is not marked as special has the look of one.
fn looks_special(token: &str) -> bool {
    let between = |start: &str, end: &str| token.starts_with(start) && token.ends_with(end);
    matches!(token, "<pad>" | "<mask>" | "<2mass>" | "[@BOS@]")
        || between("<|", "|>")
        || between("<｜", "｜>")
        || between("<unused", ">")
}

/// The keys of a model's tokenizer, and how many tokens it has. `pre` names the pre-tokenizer where the folder's is not
/// known.
pub(crate) fn vocabulary(
    family: Family,
    config: &Config,
    folder: &Path,
    pre: Option<&str>,
) -> Result<(Entries, usize)> {
    /// SmolLM's vocabulary, whose files would have a BOS token added otherwise.
    const SMOLLM_VOCABULARY: u32 = 49152;
    if family.is_encoder() {
        return wordpiece::vocabulary(family, config, folder, pre);
    }
    let tokenizer_config = optional_json_file(&folder.join("tokenizer_config.json"))?;
    let of_config = |key: &str| tokenizer_config.as_ref().and_then(|config| config.get(key));
    let has_model = folder.join(sentencepiece::FILE).exists();
    let is_bpe = match family {
        Family::Phi3 => of_config("tokenizer_class").is_some_and(|class| class == "GPT2Tokenizer"),
        Family::Gemma2 | Family::BitNet => false,
        _ => !has_model,
    };
    let (mut entries, count) = match is_bpe {
        true => bpe::vocabulary(config, folder, pre)?,
        false => sentencepiece::vocabulary(family, config, folder)?,
    };
    let mut put = |key: &str, value: bool| {
        let key = format!("tokenizer.ggml.{key}");
        entries.retain(|(present, _)| *present != key);
        entries.push((key, value.into()));
    };
    match family {
        Family::Llama | Family::SmolLm3 => {
            if let Some(prefix) = of_config("add_prefix_space").and_then(serde_json::Value::as_bool)
            {
                put("add_space_prefix", prefix);
            }
            if config.u32("vocab_size")? == Some(SMOLLM_VOCABULARY) {
                put("add_bos_token", false);
            }
        }
        Family::Gemma2 | Family::Gemma3 if !is_bpe => put("add_space_prefix", false),
        _ => {}
    }
    Ok((entries, count))
}
