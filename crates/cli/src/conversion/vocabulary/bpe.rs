//! Byte-level BPE vocabularies: `tokenizer.json`.

use std::path::Path;

use anyhow::{Context, Result, bail};
use gguf::StringArray;
use serde_json::Value;

use super::{Tokens, pre_tokenizer, special::Special, token_list};
use crate::conversion::{Config, Entries, folder::json_file};

pub(super) fn vocabulary(
    config: &Config,
    folder: &Path,
    pre: Option<&str>,
) -> Result<(Entries, usize)> {
    let path = folder.join("tokenizer.json");
    let tokenizer = json_file(&path)?;
    let model = &tokenizer["model"];
    if model["byte_fallback"] == true {
        bail!(
            "{} is a SentencePiece vocabulary; put the tokenizer.model it was made from into the folder",
            path.display()
        );
    }
    let tokens = token_list::tokens(config, &tokenizer)
        .with_context(|| format!("{} can't be used", path.display()))?;
    let size = tokens.len();
    let mut list = Tokens::default();
    for (text, kind) in tokens {
        list.push(text, kind);
    }
    let pre = match pre {
        Some(given) => given,
        None => pre_tokenizer::name(&tokenizer)?,
    };
    let mut entries = list.entries("gpt2", pre);
    entries.push(("tokenizer.ggml.merges".to_owned(), merges(model)?.into()));
    entries.extend(Special::read(folder, None)?.entries());
    Ok((entries, size))
}

/// Merges as `left right`, whether they are stored so or as pairs.
fn merges(model: &Value) -> Result<StringArray> {
    /// A space within a part, which is where a byte-level vocabulary has none: shifted as other bytes are.
    const SHIFTED_SPACE: &str = "\u{120}";
    let list = model["merges"]
        .as_array()
        .context("tokenizer.json has no merges")?;
    let one = |merge: &Value| match merge {
        Value::String(text) => Some(text.clone()),
        Value::Array(pair) => {
            let [left, right] = &pair[..] else {
                return None;
            };
            let part = |value: &Value| Some(value.as_str()?.replace(' ', SHIFTED_SPACE));
            Some(format!("{} {}", part(left)?, part(right)?))
        }
        _ => None,
    };
    list.iter()
        .map(one)
        .collect::<Option<_>>()
        .context("tokenizer.json has a merge that is neither a text nor a pair")
}
