//! `minnow tokenize`: text to token ids.

use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;
use tokenizer::EncodeOptions;

use crate::{files::ModelFiles, load, output};

/// Show the tokens of a text
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// GGUF file; the first one of a split set
    model: PathBuf,
    /// The text
    text: String,
    /// Read the text of control tokens (<|im_start|>) as those tokens
    #[arg(long)]
    special: bool,
    /// Leave out the beginning-of-sequence and end-of-sequence tokens that the model asks for
    #[arg(long)]
    no_bos: bool,
    /// Write one JSON object: {"ids"}
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Output {
    ids: Vec<u32>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let files = ModelFiles::open(&args.model)?;
    let tokenizer = load::tokenizer(&files.first_header().metadata)?;
    let options = EncodeOptions {
        add_special: !args.no_bos,
        parse_special: args.special,
    };
    let ids = tokenizer.encode(&args.text, options);
    if args.json {
        return output::json(&Output { ids });
    }
    for id in ids {
        let bytes = tokenizer.token_bytes(id, true).unwrap_or_default();
        output::line(&format!("{id:>6}  {:?}", String::from_utf8_lossy(&bytes)))?;
    }
    Ok(())
}
