//! The tokens of a `tokenizer.json`, by id.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Kind, SPACE_MARK, looks_special, padding};
use crate::conversion::Config;

/// All tokens with their kinds; numbers without a token, up to the model's `vocab_size`, are filled.
pub(super) fn tokens(config: &Config, tokenizer: &Value) -> Result<Vec<(String, Kind)>> {
    let words = tokenizer["model"]["vocab"]
        .as_object()
        .context("it has no vocabulary")?;
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
        "it has a token {largest}, but vocab_size is {size}"
    );
    let one = |id| match by_id.get(&Some(id as u64)) {
        None => (padding(id), Kind::Unused),
        Some((text, Kind::UserDefined)) => (text.replace(SPACE_MARK, " "), Kind::UserDefined),
        Some((text, kind)) => ((*text).to_owned(), *kind),
    };
    Ok((0..size).map(one).collect())
}
