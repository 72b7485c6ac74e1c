//! A prompt that is computed while its model is still arriving.

use std::sync::Arc;

use chat::Template;
use kernels::Pool;
use model::{Builder, Config, Context, Model, Prefill, SeqId};
use tokenizer::Tokenizer;

use crate::{EngineOptions, Error, Prompt, prompt};

/// Most tokens that are computed early, as one batch: its intermediate results stay in memory until the model is there.
/// The rest of a longer prompt is computed when it is asked for.
const MAX_TOKENS: usize = 1024;

/// A prompt on its way through a model of which only the first blocks are there. The engine that is made with it
/// has the prompt's state in its prefix cache, and a request with this prompt computes one token before its answer begins.
#[derive(Debug)]
pub struct EarlyPrompt {
    prefill: Prefill,
    tokens: Vec<u32>,
}

impl EarlyPrompt {
    /// Tokenizes a prompt for an engine with `options`; `None` where it is too short for anything to be computed early.
    ///
    /// # Errors
    ///
    /// As [`Engine::submit`](crate::Engine::submit), for options too.
    pub fn new(
        prompt: &Prompt,
        tokenizer: &Tokenizer,
        template: Option<&Template>,
        config: &Config,
        options: &EngineOptions,
    ) -> Result<Option<Self>, Error> {
        options.validate(config)?;
        let mut tokens = prompt::tokens(prompt, tokenizer, template)?;
        if tokens.len() >= options.context_length {
            return Err(Error::ContextOverflow {
                prompt_tokens: tokens.len(),
                context_length: options.context_length,
            });
        }
        // The last token is computed with the request, for its logits.
        tokens.truncate(MAX_TOKENS.min(tokens.len().saturating_sub(1)));
        if tokens.is_empty() {
            return Ok(None);
        }
        let prefill = Prefill::new(config, options.cache(), &tokens)?;
        Ok(Some(Self { prefill, tokens }))
    }

    /// Computes the next block, if it has landed. Says whether it had.
    pub fn advance(&mut self, builder: &Builder, pool: &dyn Pool) -> bool {
        self.prefill.advance(builder, pool)
    }

    pub(crate) fn finish(
        self,
        model: Arc<Model>,
        pool: Box<dyn Pool>,
    ) -> (Context, SeqId, Vec<u32>) {
        let (context, seq) = self.prefill.finish(model, pool);
        (context, seq, self.tokens)
    }
}
