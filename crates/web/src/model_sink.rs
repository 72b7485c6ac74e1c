//! Turns bytes into weights as they arrive, and a prompt into its state as far as the weights reach.

use std::sync::Arc;

use engine::{EarlyPrompt, Engine, EngineOptions};
use kernels::Threads;
use tokenizer::Tokenizer;

use crate::clock::Performance;
use crate::io::TensorSink;
use crate::rehearsal::{Tuned, WarmUp};
use crate::requirements::{Needs, memory_limit};
use crate::settings::EngineSettings;
use crate::{Error, ModelInfo, threads};

pub(crate) struct ModelSink {
    settings: EngineSettings,
    /// What to compute before the model is there.
    prompt: Option<engine::Prompt>,
    pool: Arc<Threads>,
    begun: Option<Begun>,
}

struct Begun {
    info: ModelInfo,
    options: EngineOptions,
    tokenizer: Tokenizer,
    template: Option<chat::Template>,
    builder: model::Builder,
    early: Option<EarlyPrompt>,
    /// Nothing for models that generate no text.
    warm_up: Option<WarmUp>,
}

impl ModelSink {
    pub(crate) fn new(mut settings: EngineSettings) -> Self {
        Self {
            prompt: settings.take_prompt(),
            settings,
            pool: Arc::new(threads::pool()),
            begun: None,
        }
    }

    /// The engine, once all tensors are there, and how many threads it was found to need, where that was to be found.
    pub(crate) fn finish(self) -> Result<(Engine, ModelInfo, Option<Tuned>), Error> {
        let begun = self.begun.ok_or(model::Error::NoHeader)?;
        let warm_up = begun.warm_up.filter(|_| self.settings.tunes_threads());
        let tuned = warm_up.and_then(|warm_up| warm_up.tune(&begun.builder, &self.pool));
        let (tokenizer, template) = (Arc::new(begun.tokenizer), begun.template);
        let model = Arc::new(begun.builder.finish()?);
        let (options, pool, clock) = (begun.options, Box::new(self.pool), Box::new(Performance));
        let engine = match begun.early {
            Some(early) => {
                Engine::with_early_prompt(early, model, tokenizer, template, options, pool, clock)
            }
            None => Engine::new(model, tokenizer, template, options, pool, clock),
        };
        Ok((engine?, begun.info, tuned))
    }
}

impl TensorSink for ModelSink {
    fn headers(&mut self, headers: &[gguf::Header]) -> Result<(), Error> {
        // Whatever was built from an earlier version of the file goes first: both may not fit.
        self.begun = None;
        let plan = model::inspect(headers)?;
        let info = ModelInfo::from_headers(headers)?;
        let options = self.settings.to_options(info.context_length);
        Needs::new(&plan, &options)?.check(memory_limit())?;
        let metadata = &headers.first().ok_or(model::Error::NoHeader)?.metadata;
        let tokenizer = Tokenizer::from_metadata(metadata)?;
        let template = match &info.chat_template {
            Some(source) => Some(chat::Template::new(source, special_tokens(&tokenizer))?),
            None => None,
        };
        let builder = model::Builder::new(headers)?;
        let early = match &self.prompt {
            Some(prompt) => {
                let (template, config) = (template.as_ref(), builder.config());
                EarlyPrompt::new(prompt, &tokenizer, template, config, &options)?
            }
            None => None,
        };
        let warm_up = WarmUp::new(builder.config(), options.kv);
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
        let landed = begun.builder.write(name, bytes)?;
        if landed.is_some() {
            if let Some(early) = &mut begun.early {
                while early.advance(&begun.builder, &self.pool) {}
            }
            if let Some(warm_up) = &mut begun.warm_up {
                warm_up.advance(&begun.builder, &self.pool);
            }
        }
        Ok(())
    }

    fn hurries(&self) -> bool {
        let early = self.begun.as_ref().and_then(|begun| begun.early.as_ref());
        early.is_some()
    }
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
