//! WordPiece vocabularies: `tokenizer.json` of BERT and its kin.

use std::path::Path;

use anyhow::{Context, Result, bail};

use super::{Kind, SPACE_MARK, Tokens, special::Special, token_list};
use crate::conversion::{Config, Entries, Family, folder::json_file};

/// The pre-tokenizer that llama.cpp's converter finds in BERT's vocabulary. None is looked at when texts are cut up.
const PRE: &str = "jina-v2-en";
/// What BERT marks pieces with that do not start a word.
const CONTINUES: &str = "##";

/// In GGUF, pieces that start a word are marked, and those that go on are not.
pub(super) fn vocabulary(
    family: Family,
    config: &Config,
    folder: &Path,
    pre: Option<&str>,
) -> Result<(Entries, usize)> {
    let path = folder.join("tokenizer.json");
    let tokenizer = json_file(&path)?;
    let kind = &tokenizer["model"]["type"];
    if kind != "WordPiece" {
        bail!(
            "{} has a vocabulary of type {kind}, where a {} model needs WordPiece",
            path.display(),
            family.architecture()
        );
    }
    let listed = token_list::tokens(config, &tokenizer)
        .with_context(|| format!("{} can't be used", path.display()))?;
    let size = listed.len();
    let mut tokens = Tokens::default();
    for (text, kind) in listed {
        match text.strip_prefix(CONTINUES) {
            _ if kind == Kind::Control => tokens.push(text, kind),
            Some(rest) => tokens.push(rest, kind),
            None => tokens.push(format!("{SPACE_MARK}{text}"), kind),
        }
    }
    // What transformers takes for the two families if config.json has none.
    let default_types = match family {
        Family::Bert => 2,
        _ => 1,
    };
    let types = config.u32("type_vocab_size")?.unwrap_or(default_types);
    let mut entries = tokens.entries("bert", pre.unwrap_or(PRE));
    entries.push(("tokenizer.ggml.token_type_count".to_owned(), types.into()));
    entries.extend(Special::read(folder, Some(size))?.entries());
    Ok((entries, size))
}
