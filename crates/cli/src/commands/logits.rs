//! `minnow logits`: what the model makes of some tokens, for comparison with other implementations.

use std::path::PathBuf;

use anyhow::{Result, bail};
use kernels::kv::{BLOCK, KvType};
use model::{Context, ContextOptions, Input, Want};
use serde::Serialize;

use crate::{load, output, threads};

/// Show the logits that follow some tokens
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// GGUF file; the first one of a split set
    model: PathBuf,
    /// Token ids, e.g. 1,2,3
    #[arg(long, value_delimiter = ',', required = true)]
    ids: Vec<u32>,
    /// Compute threads; 0 takes as many as the machine offers
    #[arg(short, long, value_name = "N", default_value_t = 0)]
    threads: usize,
    /// Write one JSON object: {"logits"}, of the last position and the whole vocabulary
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Output<'a> {
    logits: &'a [f32],
}

/// How many of the highest logits people are shown.
const SHOWN: usize = 10;

pub(crate) fn run(args: &Args) -> Result<()> {
    let loaded = load::load(&args.model)?;
    if args.ids.len() > loaded.model.config().context_length {
        bail!(
            "{} tokens were given, but the model was made for {} at most",
            args.ids.len(),
            loaded.model.config().context_length
        );
    }
    let options = ContextOptions {
        capacity: args.ids.len(),
        kv: KvType::F32,
        context_length: args.ids.len(),
        page: BLOCK,
    };
    let mut context = Context::new(loaded.model, options, threads::pool(args.threads)?)?;
    let input = Input {
        seq: context.create(),
        tokens: &args.ids,
        logits: Want::Last,
    };
    let logits = context.forward(&[input])?.row(0);
    if args.json {
        return output::json(&Output { logits });
    }
    let mut ranked: Vec<_> = (0u32..).zip(logits).collect();
    ranked.sort_by(|a, b| b.1.total_cmp(a.1));
    for (id, logit) in ranked.into_iter().take(SHOWN) {
        let bytes = loaded.tokenizer.token_bytes(id, true).unwrap_or_default();
        output::line(&format!(
            "{id:>6}  {logit:>9.4}  {:?}",
            String::from_utf8_lossy(&bytes)
        ))?;
    }
    Ok(())
}
