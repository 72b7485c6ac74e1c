//! Which of llama.cpp's pre-tokenizers a `tokenizer.json` has.
//!
//! llama.cpp's converter encodes a text and looks up a hash of the ids. Minnow looks at the rules themselves, which needs
//! no encoding, and knows those that its tokenizer knows.

use anyhow::{Result, bail};
use serde_json::Value;

/// Patterns of `Split` rules and their names.
const PATTERNS: [(&str, &str); 4] = [
    (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        "qwen2",
    ),
    (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        LLAMA3,
    ),
    (
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        "gpt-4o",
    ),
    (
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        "tekken",
    ),
];

const LLAMA3: &str = "llama-bpe";
/// The same rules in vocabularies that start texts without a BOS token: llama.cpp tells them apart.
const LLAMA3_WITHOUT_BOS: &str = "smaug-bpe";

/// The value of `tokenizer.ggml.pre`.
pub(super) fn name(tokenizer: &Value) -> Result<&'static str> {
    let given = &tokenizer["pre_tokenizer"];
    let single = std::slice::from_ref(given);
    let rules = given["pretokenizers"]
        .as_array()
        .map_or(single, Vec::as_slice);
    let kinds: Vec<_> = rules
        .iter()
        .map(|rule| rule["type"].as_str().unwrap_or_default())
        .collect();
    let pattern = rules
        .iter()
        .find_map(|rule| rule["pattern"]["Regex"].as_str());
    let known = pattern.and_then(|pattern| PATTERNS.iter().find(|(text, _)| *text == pattern));
    match (&kinds[..], known) {
        (["ByteLevel"], _) => Ok("gpt-2"),
        (["Digits", "ByteLevel"], _) if rules[0]["individual_digits"] == true => Ok("smollm"),
        (["Split", "ByteLevel"], Some((_, LLAMA3))) if !starts_with_special(tokenizer) => {
            Ok(LLAMA3_WITHOUT_BOS)
        }
        (["Split", "ByteLevel"], Some((_, name))) => Ok(name),
        _ => bail!(
            "the pre-tokenizer of tokenizer.json is not a known one ({}{}); name one of llama.cpp's with --pre",
            kinds.join(", "),
            pattern
                .map(|pattern| format!(", {pattern}"))
                .unwrap_or_default()
        ),
    }
}

/// Whether the post-processor puts a special token in front of a text.
fn starts_with_special(tokenizer: &Value) -> bool {
    let given = &tokenizer["post_processor"];
    let single = std::slice::from_ref(given);
    let processors = given["processors"].as_array().map_or(single, Vec::as_slice);
    processors
        .iter()
        .any(|processor| processor["single"][0].get("SpecialToken").is_some())
}
