//! `minnow chat`: a conversation, a line at a time.

use std::{
    io::{BufRead, IsTerminal, stdin},
    path::PathBuf,
};

use anyhow::{Context, Result};
use chat::{Conversation, Message};
use engine::{Engine, Prompt, Request};

use crate::{
    args::{EngineArgs, LengthArgs, SamplingArgs},
    clock, generate, load, output,
};

/// Talk to a model; /clear starts anew, /exit or the end of input ends
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// GGUF file; the first one of a split set
    model: PathBuf,
    /// System message
    #[arg(long = "system-prompt", alias = "sys", value_name = "TEXT")]
    system_prompt: Option<String>,
    #[command(flatten)]
    length: LengthArgs,
    #[command(flatten)]
    sampling: SamplingArgs,
    #[command(flatten)]
    engine: EngineArgs,
}

pub(crate) fn run(args: Args) -> Result<()> {
    let mut engine = generate::engine(load::load(&args.model)?, &args.engine)?;
    let beginning: Vec<_> = args
        .system_prompt
        .iter()
        .map(|text| Message::new("system", text.as_str()))
        .collect();
    let mut messages = beginning.clone();
    let mut lines = stdin().lock().lines();
    loop {
        if stdin().is_terminal() {
            eprint!("> ");
        }
        let Some(line) = lines.next() else { break };
        match line.context("standard input can't be read")?.trim() {
            "" => {}
            "/exit" => break,
            "/clear" => messages.clone_from(&beginning),
            text => {
                messages.push(Message::new("user", text));
                // A question that can't be answered must not end the conversation, nor stay in it.
                if let Err(error) = answer(&mut engine, &args, &mut messages) {
                    eprintln!("error: {error:#}");
                    messages.pop();
                }
            }
        }
    }
    Ok(())
}

/// Answers the last message, and appends the answer.
fn answer(engine: &mut Engine, args: &Args, messages: &mut Vec<Message>) -> Result<()> {
    let conversation = Conversation {
        messages: messages.clone(),
        add_generation_prompt: true,
        now: clock::unix_seconds(),
        ..Conversation::default()
    };
    let request = Request {
        sampling: args.sampling.params(),
        max_tokens: args.length.max_tokens(),
        ..Request::new(Prompt::Chat(conversation))
    };
    let answer = generate::generate(engine, request, output::write)?;
    output::line("")?;
    eprintln!("{}", generate::summary(&answer));
    messages.push(Message::new("assistant", answer.text));
    Ok(())
}
