//! Running one request to its end.

use anyhow::{Result, bail};
use engine::{Engine, Event, FinishReason, Request, Timings, Usage};

use crate::{args::EngineArgs, clock::Monotonic, load::Loaded, threads};

/// Everything about a finished answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) ids: Vec<u32>,
    pub(crate) text: String,
    pub(crate) reason: FinishReason,
    pub(crate) usage: Usage,
    pub(crate) timings: Timings,
}

/// An engine for a loaded model.
pub(crate) fn engine(loaded: Loaded, args: &EngineArgs) -> Result<Engine> {
    let Loaded {
        model,
        tokenizer,
        template,
    } = loaded;
    let options = args.options(model.config().context_length);
    let pool = threads::pool(args.threads)?;
    Ok(Engine::new(
        model,
        tokenizer,
        template,
        options,
        pool,
        Box::new(Monotonic::new()),
    )?)
}

/// Answers one request; `show` is given each piece of text when it is certain.
pub(crate) fn generate(
    engine: &mut Engine,
    request: Request,
    mut show: impl FnMut(&str) -> Result<()>,
) -> Result<Answer> {
    let id = engine.submit(request)?;
    let mut ids = Vec::new();
    let mut whole = String::new();
    while !engine.is_idle() {
        for event in engine.step().into_iter().filter(|event| event.id() == id) {
            match event {
                Event::Prefill { .. } | Event::Embedded { .. } => {}
                Event::Token { token, text, .. } => {
                    ids.push(token);
                    whole.push_str(&text);
                    show(&text)?;
                }
                Event::Finished {
                    reason,
                    text,
                    usage,
                    timings,
                    ..
                } => {
                    whole.push_str(&text);
                    show(&text)?;
                    return Ok(Answer {
                        ids,
                        text: whole,
                        reason,
                        usage,
                        timings,
                    });
                }
                Event::Failed { error, .. } => return Err(error.into()),
            }
        }
    }
    bail!("the engine stopped without an answer")
}

/// A line about an answer for people: why it ended, counts and speeds.
pub(crate) fn summary(answer: &Answer) -> String {
    let Answer {
        reason,
        usage,
        timings,
        ..
    } = answer;
    format!(
        "[{}: prompt {} tokens ({} cached), {:.1} tokens/s; answer {} tokens, {:.1} tokens/s]",
        reason.name(),
        usage.prompt_tokens,
        usage.cached_tokens,
        timings.prompt_per_second,
        usage.completion_tokens,
        timings.predicted_per_second,
    )
}
