//! Byte-level BPE vocabularies: `tokenizer.json`.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, Result, bail, ensure};
use gguf::StringArray;
use serde_json::Value;

use super::{Kind, Tokens, looks_special, padding, pre_tokenizer, special::Special};
use crate::conversion::{Config, Entries, folder::json_file};

/// SentencePiece's mark for a space.
const SPACE_MARK: char = '\u{2581}';

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
    let words = model["vocab"]
        .as_object()
        .with_context(|| format!("{} has no vocabulary", path.display()))?;
    let mut by_id = BTreeMap::new();
    for (text, id) in words {
        by_id.insert(id.as_u64(), (text.as_str(), Kind::Normal));
    }
    let added = tokenizer["added_tokens"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    for token in added {
        let text = token["content"]
            .as_str()
            .context("an added token has no content")?;
        let kind = match token["special"] == true || looks_special(text) {
            true => Kind::Control,
            false => Kind::UserDefined,
        };
        by_id.insert(token["id"].as_u64(), (text, kind));
    }
    let size = config
        .u32("vocab_size")?
        .map_or(by_id.len(), |size| size as usize);
    let largest = by_id.keys().next_back().copied().flatten().unwrap_or(0);
    ensure!(
        largest < size as u64,
        "{} has a token {largest}, but vocab_size is {size}",
        path.display()
    );
    let mut tokens = Tokens::default();
    for id in 0..size {
        match by_id.get(&Some(id as u64)) {
            None => tokens.push(padding(id), Kind::Unused),
            Some((text, Kind::UserDefined)) => {
                tokens.push(text.replace(SPACE_MARK, " "), Kind::UserDefined);
            }
            Some((text, kind)) => tokens.push(text, *kind),
        }
    }
    let pre = match pre {
        Some(given) => given,
        None => pre_tokenizer::name(&tokenizer)?,
    };
    let mut entries = tokens.entries("gpt2", pre);
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
