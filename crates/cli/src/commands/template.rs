//! `minnow template`: a conversation as the model's chat template renders it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow};
use chat::{Conversation, Message};
use clap::ValueEnum;
use serde::{Serialize, de::DeserializeOwned};

use crate::{clock, files::ModelFiles, load, output};

/// Render a conversation with the model's chat template
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// GGUF file; the first one of a split set
    model: PathBuf,
    /// JSON file with a list of messages in OpenAI's shape
    #[arg(long, value_name = "FILE")]
    messages: PathBuf,
    /// JSON file with a list of tools in OpenAI's shape
    #[arg(long, value_name = "FILE")]
    tools: Option<PathBuf>,
    /// Ask a model that can reason to do so or not; left to the template if not given
    #[arg(long, value_name = "on|off")]
    thinking: Option<Switch>,
    /// Do not end the prompt where the assistant's answer starts
    #[arg(long)]
    no_generation_prompt: bool,
    /// Write one JSON object: {"prompt"}
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

#[derive(Debug, Serialize)]
struct Output {
    prompt: String,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let files = ModelFiles::open(&args.model)?;
    let template = load::template(&files.first_header().metadata)?;
    let template =
        template.ok_or_else(|| anyhow!("{} carries no chat template", args.model.display()))?;
    let conversation = Conversation {
        messages: read::<Vec<Message>>(&args.messages)?,
        tools: args
            .tools
            .as_deref()
            .map(read)
            .transpose()?
            .unwrap_or_default(),
        add_generation_prompt: !args.no_generation_prompt,
        enable_thinking: args.thinking.map(|switch| switch == Switch::On),
        now: clock::unix_seconds(),
        ..Conversation::default()
    };
    let prompt = template.render(&conversation)?;
    if args.json {
        output::json(&Output { prompt })
    } else {
        output::write(&prompt)
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text =
        fs::read_to_string(path).with_context(|| format!("{} can't be read", path.display()))?;
    serde_json::from_str(&text)
        .with_context(|| format!("{} is not what is expected here", path.display()))
}
