//! Minnow at a terminal: the engine that runs in the browser, natively.
//!
//! Every command reads the model through the same builder as the browser does, tensor by tensor, from a memory-mapped
//! file. With `--json` a command writes one JSON value to standard output and nothing else; progress and errors go to
//! standard error, and an error ends the program with status 1.

mod args;
mod clock;
mod commands;
mod conversion;
mod files;
mod generate;
mod load;
mod model_writer;
mod new_file;
mod output;
mod progress;
mod quantization;
mod threads;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use commands::{
    bench, chat, convert, embed, inspect, logits, merge, perplexity, quantize, run, split,
    template, tokenize,
};

/// Runs GGUF language models: the engine of minnow-llm, natively.
#[derive(Debug, Parser)]
#[command(name = "minnow", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Args),
    Chat(chat::Args),
    Inspect(inspect::Args),
    Tokenize(tokenize::Args),
    Logits(logits::Args),
    Embed(embed::Args),
    Template(template::Args),
    Bench(bench::Args),
    Perplexity(perplexity::Args),
    Quantize(quantize::Args),
    Convert(convert::Args),
    Split(split::Args),
    Merge(merge::Args),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Run(args) => run::run(args),
        Command::Chat(args) => chat::run(args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Tokenize(args) => tokenize::run(&args),
        Command::Logits(args) => logits::run(&args),
        Command::Embed(args) => embed::run(&args),
        Command::Template(args) => template::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Perplexity(args) => perplexity::run(&args),
        Command::Quantize(args) => quantize::run(&args),
        Command::Convert(args) => convert::run(&args),
        Command::Split(args) => split::run(&args),
        Command::Merge(args) => merge::run(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
