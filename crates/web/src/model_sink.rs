//! Turns bytes into weights as they arrive, and prompts into their states as far as the weights reach.

use std::sync::Arc;

use engine::{Clock, EarlyPrompts, Engine, EngineOptions};
use js_sys::Function;
use kernels::Threads;
use tokenizer::Tokenizer;
use wasm_bindgen::JsValue;

use crate::clock::Performance;
use crate::io::TensorSink;
use crate::rehearsal::WarmUp;
use crate::request::Prompt;
use crate::requirements::{Needs, memory_limit};
use crate::settings::EngineSettings;
use crate::threads::{self, Stepper};
use crate::{Error, ModelInfo};

/// Milliseconds that prompts are computed for at a time, before the worker looks at its messages and at what has arrived.
const TURN_MS: f64 = 25.0;

pub(crate) struct ModelSink {
    settings: EngineSettings,
    /// What to compute before the model is there: with it, and as it was asked for later.
    prompt: Option<engine::Prompt>,
    prompts: Vec<engine::Prompt>,
    /// Gives a prompt that has been asked for since, or nothing.
    next_prompt: Function,
    pool: Arc<Threads>,
    begun: Option<Begun>,
}

struct Begun {
    info: ModelInfo,
    options: EngineOptions,
    tokenizer: Tokenizer,
    template: Option<chat::Template>,
    builder: model::Builder,
    /// Nothing for models that generate no text.
    early: Option<EarlyPrompts>,
    /// Nothing for models that generate no text.
    warm_up: Option<WarmUp>,
}

impl ModelSink {
    pub(crate) fn new(mut settings: EngineSettings, next_prompt: Function) -> Self {
        Self {
            prompt: settings.take_prompt(),
            prompts: Vec::new(),
            next_prompt,
            settings,
            pool: Arc::new(threads::pool()),
            begun: None,
        }
    }

    /// The engine, once all tensors are there, what steps it, and what is left of its warm-up.
    pub(crate) fn finish(self) -> Result<(Engine, ModelInfo, Stepper, Option<WarmUp>), Error> {
        let begun = self.begun.ok_or(model::Error::NoHeader)?;
        let stepper = Stepper::new(Arc::clone(&self.pool), self.settings.tunes_threads());
        let (tokenizer, template) = (Arc::new(begun.tokenizer), begun.template);
        let model = Arc::new(begun.builder.finish()?);
        let (options, pool, clock) = (begun.options, Box::new(self.pool), Box::new(Performance));
        let engine = match begun.early.filter(|early| !early.is_empty()) {
            Some(early) => {
                Engine::with_early_prompts(early, model, tokenizer, template, options, pool, clock)
            }
            None => Engine::new(model, tokenizer, template, options, pool, clock),
        };
        Ok((engine?, begun.info, stepper, begun.warm_up))
    }
}

impl TensorSink for ModelSink {
    fn headers(&mut self, headers: &[gguf::Header]) -> Result<(), Error> {
        // Whatever was built from an earlier version of the file goes first: both may not fit.
        self.begun = None;
        let plan = model::inspect(headers)?;
        let info = ModelInfo::from_headers(headers)?;
        let options = self.settings.to_options(info.context_length);
        let (needs, limit) = (Needs::new(&plan, &options)?, memory_limit());
        needs.check(limit)?;
        let metadata = &headers.first().ok_or(model::Error::NoHeader)?.metadata;
        let tokenizer = Tokenizer::from_metadata(metadata)?;
        let template = match &info.chat_template {
            Some(source) => Some(chat::Template::new(source, special_tokens(&tokenizer))?),
            None => None,
        };
        let builder = model::Builder::new(headers)?;
        let config = builder.config();
        let mut early = match config.generates() {
            true => Some(EarlyPrompts::new(config, &options, limit - needs.total())?),
            false => None,
        };
        if let Some(early) = &mut early {
            let mut add = |prompt| early.add(prompt, &tokenizer, template.as_ref(), config);
            self.prompt.as_ref().map(&mut add).transpose()?;
            // Of a version of the file that was begun before.
            for prompt in &self.prompts {
                let _ = add(prompt);
            }
        }
        let warm_up = WarmUp::new(builder.config(), options.kv, &self.pool);
        self.begun = Some(Begun {
            info,
            options,
            tokenizer,
            template,
            builder,
            early,
            warm_up,
        });
        Ok(())
    }

    fn tensor(&mut self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let begun = self.begun.as_mut().ok_or(model::Error::NoHeader)?;
        begun.builder.write(name, bytes)?;
        Ok(())
    }

    fn hurries(&self) -> bool {
        let early = self.begun.as_ref().and_then(|begun| begun.early.as_ref());
        early.is_some_and(|early| !early.is_empty())
    }

    fn work(&mut self, idle: bool) -> Result<bool, Error> {
        let Some(begun) = &mut self.begun else {
            return Ok(false);
        };
        let (builder, warm_up) = (&begun.builder, begun.warm_up.as_mut());
        let Some(early) = &mut begun.early else {
            return Ok(false);
        };
        let began = Performance.now_ms();
        while let Some(prompt) = next(&self.next_prompt) {
            let (tokenizer, template) = (&begun.tokenizer, begun.template.as_ref());
            // What cannot be computed early is computed, or refused, with its request.
            let _ = early.add(&prompt, tokenizer, template, builder.config());
            self.prompts.push(prompt);
        }
        let mut worked = true;
        while worked && Performance.now_ms() - began < TURN_MS {
            worked = early.advance(builder, &self.pool)?;
        }
        if let Some(warm_up) = warm_up.filter(|_| idle && early.is_empty()) {
            warm_up.advance(builder);
        }
        Ok(worked)
    }
}

/// What `next_prompt` gives, if that is a prompt.
fn next(next_prompt: &Function) -> Option<engine::Prompt> {
    let prompt = next_prompt.call0(&JsValue::UNDEFINED).ok()?;
    let prompt: Prompt = serde_wasm_bindgen::from_value(prompt).ok()?;
    Some(prompt.into())
}

fn special_tokens(tokenizer: &Tokenizer) -> chat::SpecialTokens {
    let text = |id: Option<u32>| {
        id.and_then(|id| tokenizer.token_text(id))
            .unwrap_or_default()
            .to_owned()
    };
    chat::SpecialTokens {
        bos: text(tokenizer.bos()),
        eos: text(tokenizer.eos()),
    }
}
