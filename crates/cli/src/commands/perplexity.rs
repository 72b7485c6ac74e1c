//! `minnow perplexity`: how well a model predicts a text, measured as llama-perplexity measures it.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, Result, bail};
use kernels::kv::{BLOCK, KvType};
use model::{Context, ContextOptions, Input, Want};
use serde::Serialize;
use tokenizer::EncodeOptions;

use crate::{
    args::parse_kv,
    load::{self, Loaded},
    output, progress, threads,
};

/// Measure how well a model predicts a text
///
/// The text is cut into chunks that are computed each on its own; the first half of a chunk is context, the
/// tokens of the second half are counted, as llama-perplexity does. If the model starts texts with a BOS token, it
/// replaces the first token of each chunk. An incomplete chunk at the end is left out.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// GGUF file; the first one of a split set
    model: PathBuf,
    /// File with the text
    #[arg(required_unless_present = "ids_file")]
    text: Option<PathBuf>,
    /// JSON file with a list of token ids, instead of a text
    #[arg(long, value_name = "FILE", conflicts_with = "text")]
    ids_file: Option<PathBuf>,
    /// Tokens of a chunk
    #[arg(long, value_name = "N", default_value_t = 512)]
    chunk: usize,
    /// Compute threads; 0 takes as many as the machine offers
    #[arg(short, long, value_name = "N", default_value_t = 0)]
    threads: usize,
    /// Number format of the key-value cache: f32, f16 or q8_0
    #[arg(long, value_name = "TYPE", default_value = "f32", value_parser = parse_kv)]
    kv_cache: KvType,
    /// Write one JSON object: {"ppl", "nll", "tokens"}
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Output {
    /// `exp(nll)`.
    ppl: f64,
    /// Mean negative log-likelihood of a token, in nats.
    nll: f64,
    /// Tokens counted.
    tokens: usize,
}

/// Tokens computed at a time where each one's logits are wanted: they are a vocabulary's worth of floats each.
const BATCH: usize = 64;

/// Context, a token to start from, and a token to predict.
const SHORTEST_CHUNK: usize = 4;

pub(crate) fn run(args: &Args) -> Result<()> {
    let given = given_ids(args)?;
    let Loaded {
        model, tokenizer, ..
    } = load::load(&args.model)?;
    let ids = match &args.text {
        Some(path) => {
            let options = EncodeOptions {
                add_special: true,
                parse_special: false,
            };
            tokenizer.encode(&read(path)?, options)
        }
        None => given,
    };
    if args.chunk < SHORTEST_CHUNK || ids.len() < args.chunk {
        bail!(
            "--chunk is {}, but must be from {SHORTEST_CHUNK} to the number of ids, {}",
            args.chunk,
            ids.len()
        );
    }
    let options = ContextOptions {
        capacity: args.chunk,
        kv: args.kv_cache,
        context_length: args.chunk,
        page: BLOCK,
    };
    let mut context = Context::new(Arc::clone(&model), options, threads::pool(args.threads)?)?;
    let bos = tokenizer.bos().filter(|_| tokenizer.add_bos());
    let (mut total, mut counted) = (0.0, 0);
    let bar = progress::steps("computing", (ids.len() / args.chunk) as u64);
    for chunk in ids.chunks_exact(args.chunk) {
        let mut chunk = chunk.to_vec();
        if let Some(bos) = bos {
            chunk[0] = bos;
        }
        total += negative_log_likelihood(&mut context, &chunk)?;
        counted += counted_tokens(args.chunk);
        bar.inc(1);
        bar.set_message(format!("{:.4}", (total / counted as f64).exp()));
    }
    bar.finish_and_clear();
    let nll = total / counted as f64;
    let result = Output {
        ppl: nll.exp(),
        nll,
        tokens: counted,
    };
    if args.json {
        return output::json(&result);
    }
    output::line(&format!(
        "perplexity {:.4} over {} tokens",
        result.ppl, result.tokens
    ))
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("{} can't be read", path.display()))
}

/// The ids of `--ids-file`, if there is one.
fn given_ids(args: &Args) -> Result<Vec<u32>> {
    let Some(path) = &args.ids_file else {
        return Ok(Vec::new());
    };
    serde_json::from_str(&read(path)?)
        .with_context(|| format!("{} is not a JSON list of token ids", path.display()))
}

/// How many tokens of a chunk are predicted and counted.
fn counted_tokens(chunk: usize) -> usize {
    chunk - chunk / 2 - 1
}

/// The sum of `-ln p` over the counted tokens of a chunk.
fn negative_log_likelihood(context: &mut Context, chunk: &[u32]) -> Result<f64> {
    let seq = context.create();
    let (known, rest) = chunk.split_at(chunk.len() / 2);
    for tokens in known.chunks(BATCH) {
        context.forward(&[Input {
            seq,
            tokens,
            logits: Want::None,
        }])?;
    }
    let mut sum = 0.0;
    // The last token is only predicted, not computed.
    let mut next = &rest[1..];
    for tokens in rest[..rest.len() - 1].chunks(BATCH) {
        let logits = context.forward(&[Input {
            seq,
            tokens,
            logits: Want::All,
        }])?;
        for (row, &id) in next.iter().take(tokens.len()).enumerate() {
            sum -= f64::from(sampler::logprobs(logits.row(row), id, 0)?.chosen.logprob);
        }
        next = &next[tokens.len()..];
    }
    context.release(seq);
    Ok(sum)
}
