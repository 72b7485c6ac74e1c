//! `minnow run`: one prompt, one answer.

use std::path::PathBuf;

use anyhow::Result;
use chat::{Conversation, Message};
use engine::{Prompt, Request, Timings};
use serde::Serialize;

use crate::{
    args::{EngineArgs, LengthArgs, SamplingArgs},
    clock, generate, load, output,
};

/// Answer a prompt
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// GGUF file; the first one of a split set
    model: PathBuf,
    /// What to ask, or with --raw the text to go on from
    prompt: String,
    /// Take the prompt as it is, without the model's chat template
    #[arg(long)]
    raw: bool,
    /// System message
    #[arg(
        long = "system-prompt",
        alias = "sys",
        value_name = "TEXT",
        conflicts_with = "raw"
    )]
    system_prompt: Option<String>,
    #[command(flatten)]
    length: LengthArgs,
    /// End the answer before this text; may be given several times
    #[arg(
        short = 'r',
        long = "reverse-prompt",
        alias = "stop",
        value_name = "TEXT"
    )]
    stop: Vec<String>,
    /// Go on past the model's end-of-generation tokens
    #[arg(long)]
    ignore_eos: bool,
    /// Show the text of control tokens
    #[arg(long)]
    special: bool,
    /// Write one JSON object: {"ids", "text", "timings"}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    sampling: SamplingArgs,
    #[command(flatten)]
    engine: EngineArgs,
}

#[derive(Debug, Serialize)]
struct Output {
    ids: Vec<u32>,
    text: String,
    timings: Timings,
}

pub(crate) fn run(args: Args) -> Result<()> {
    let mut engine = generate::engine(load::load(&args.model)?, &args.engine)?;
    let request = Request {
        sampling: args.sampling.params(),
        max_tokens: args.length.max_tokens(),
        stop: args.stop,
        ignore_eos: args.ignore_eos,
        special: args.special,
        ..Request::new(prompt(args.prompt, args.system_prompt, args.raw))
    };
    if args.json {
        let answer = generate::generate(&mut engine, request, |_| Ok(()))?;
        return output::json(&Output {
            ids: answer.ids,
            text: answer.text,
            timings: answer.timings,
        });
    }
    let answer = generate::generate(&mut engine, request, output::write)?;
    output::line("")?;
    eprintln!("{}", generate::summary(&answer));
    Ok(())
}

fn prompt(text: String, system: Option<String>, raw: bool) -> Prompt {
    if raw {
        return Prompt::Text(text);
    }
    let system = system.map(|text| Message::new("system", text));
    Prompt::Chat(Conversation {
        messages: system
            .into_iter()
            .chain([Message::new("user", text)])
            .collect(),
        add_generation_prompt: true,
        now: clock::unix_seconds(),
        ..Conversation::default()
    })
}
