//! `minnow bench`: how fast prompts are computed and tokens generated.

use std::{path::PathBuf, sync::Arc, time::Instant};

use anyhow::{Result, bail};
use kernels::kv::{BLOCK, KvType};
use model::{Context, ContextOptions, Input, Model, Want};
use serde::Serialize;

use crate::{args::parse_kv, load, output, threads};

/// Measure tokens per second
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// GGUF file; the first one of a split set
    model: PathBuf,
    /// Tokens of the prompt
    #[arg(short = 'p', long, value_name = "N", default_value_t = 512)]
    n_prompt: usize,
    /// Tokens to generate
    #[arg(short = 'n', long, value_name = "N", default_value_t = 128)]
    n_gen: usize,
    /// Tokens that are in the context before either is measured
    #[arg(short = 'd', long, value_name = "N", default_value_t = 0)]
    n_depth: usize,
    /// Number format of the key-value cache: f32, f16 or q8_0
    #[arg(long, value_name = "TYPE", default_value = "f16", value_parser = parse_kv)]
    kv_cache: KvType,
    /// Compute threads, several to compare
    #[arg(
        short,
        long,
        value_name = "N,N,…",
        value_delimiter = ',',
        default_value = "1"
    )]
    threads: Vec<usize>,
    /// Prompt tokens computed at a time
    #[arg(short, long, value_name = "N", default_value_t = 128)]
    batch_size: usize,
    /// How often each is measured; the mean is reported
    #[arg(short, long, value_name = "N", default_value_t = 3)]
    repetitions: usize,
    /// Write one JSON list: [{"threads", "pp", "tg"}, …]
    #[arg(long)]
    json: bool,
}

/// Tokens computed at a time that are there before the measurement begins.
const DEPTH_BATCH: usize = 128;

/// Tokens per second with some number of threads.
#[derive(Debug, Serialize)]
struct Speed {
    threads: usize,
    /// Of the prompt.
    pp: f64,
    /// Generated.
    tg: f64,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    if args.n_prompt == 0 || args.n_gen == 0 || args.batch_size == 0 || args.repetitions == 0 {
        bail!("-p, -n, -b and -r must be 1 at least");
    }
    let model = load::load(&args.model)?.model;
    let mut speeds = Vec::new();
    for &threads in &args.threads {
        let speed = measure(&model, threads, args)?;
        if !args.json {
            let Speed { threads, pp, tg } = speed;
            output::line(&format!(
                "threads {threads}: pp{} {pp:.1} tokens/s, tg{} {tg:.1} tokens/s{}",
                args.n_prompt,
                args.n_gen,
                after(args.n_depth)
            ))?;
        }
        speeds.push(speed);
    }
    if args.json {
        output::json(&speeds)
    } else {
        Ok(())
    }
}

/// What is said of a context that is not empty.
fn after(depth: usize) -> String {
    match depth {
        0 => String::new(),
        depth => format!(" after {depth} tokens"),
    }
}

fn measure(model: &Arc<Model>, threads: usize, args: &Args) -> Result<Speed> {
    let pool = threads::pool(threads)?;
    let threads = pool.threads();
    let capacity = args.n_depth + args.n_prompt.max(args.n_gen);
    let options = ContextOptions {
        capacity,
        kv: args.kv_cache,
        context_length: capacity,
        page: BLOCK,
    };
    let mut context = Context::new(Arc::clone(model), options, pool)?;
    let before = tokens(args.n_depth, model.config().vocab_size);
    let prompt = tokens(args.n_prompt, model.config().vocab_size);
    let answer = tokens(args.n_gen, model.config().vocab_size);

    // The first pass allocates scratch memory and wakes the threads.
    forward(&mut context, &[], &prompt, args.batch_size)?;
    forward(&mut context, &[], &answer[..1], 1)?;
    let mut seconds = [0.0; 2];
    for _ in 0..args.repetitions {
        seconds[0] += forward(&mut context, &before, &prompt, args.batch_size)?;
        seconds[1] += forward(&mut context, &before, &answer, 1)?;
    }
    let speed = |tokens: usize, seconds: f64| (tokens * args.repetitions) as f64 / seconds;
    Ok(Speed {
        threads,
        pp: speed(args.n_prompt, seconds[0]),
        tg: speed(args.n_gen, seconds[1]),
    })
}

/// Seconds to compute `tokens` behind those `before` in a new sequence, `batch` at a time, with logits at the end of each
/// batch as llama-bench has it.
fn forward(context: &mut Context, before: &[u32], tokens: &[u32], batch: usize) -> Result<f64> {
    let seq = context.create();
    for tokens in before.chunks(DEPTH_BATCH) {
        context.forward(&[Input {
            seq,
            tokens,
            logits: Want::None,
        }])?;
    }
    let start = Instant::now();
    for chunk in tokens.chunks(batch) {
        context.forward(&[Input {
            seq,
            tokens: chunk,
            logits: Want::Last,
        }])?;
    }
    let seconds = start.elapsed().as_secs_f64();
    context.release(seq);
    Ok(seconds)
}

/// Tokens from all over the vocabulary: the speed of a dense model does not depend on which.
fn tokens(count: usize, vocabulary: usize) -> Vec<u32> {
    const STRIDE: usize = 7919;
    (0..count)
        .map(|i| (i * STRIDE % vocabulary) as u32)
        .collect()
}
