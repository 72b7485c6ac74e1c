//! Prompts that are computed while their model is still arriving.

use std::sync::Arc;

use chat::Template;
use kernels::Pool;
use model::{Builder, Config, Context, Model, Prefill, Prefilled};
use tokenizer::Tokenizer;

use crate::{EngineOptions, Error, Prompt, prompt};

/// Most bytes of states that prompts keep between blocks, 4 for each token and channel: 16384 tokens of a model that is 1024
/// wide, 4096 of one that is 4096 wide. What is beyond is computed when it is asked for.
const MAX_STATE_BYTES: usize = 64 << 20;

/// Prompts on their way through a model of which only the first blocks are there. The engine that is made with them
/// has their states in its prefix cache, and a request with such a prompt computes one token before its answer begins.
#[derive(Debug)]
pub struct EarlyPrompts {
    prefill: Prefill,
    context_length: usize,
    /// Tokens whose states there is still room for.
    room: usize,
}

impl EarlyPrompts {
    /// Prepares for an engine with `options`. States take at most `spare_bytes`, and at most 64 MiB.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOptions`], [`Error::Model`]; a model that generates no text is refused.
    pub fn new(config: &Config, options: &EngineOptions, spare_bytes: u64) -> Result<Self, Error> {
        options.validate(config)?;
        // At most 64 MiB.
        let bytes = spare_bytes.min(MAX_STATE_BYTES as u64) as usize;
        Ok(Self {
            prefill: Prefill::new(config, options.cache(), options.max_batch_tokens)?,
            context_length: options.context_length,
            room: bytes / (config.embedding_length.max(1) * size_of::<f32>()),
        })
    }

    /// Tokenizes a prompt and has it follow those that there are: all of it but the last token, which is computed with the
    /// request, for its logits, and as much as there is room for.
    ///
    /// # Errors
    ///
    /// As [`Engine::submit`](crate::Engine::submit).
    pub fn add(
        &mut self,
        prompt: &Prompt,
        tokenizer: &Tokenizer,
        template: Option<&Template>,
        config: &Config,
    ) -> Result<(), Error> {
        let mut tokens = prompt::tokens(prompt, tokenizer, template)?;
        if tokens.len() >= self.context_length {
            return Err(Error::ContextOverflow {
                prompt_tokens: tokens.len(),
                context_length: self.context_length,
            });
        }
        let room = self.room.min(self.prefill.free_tokens());
        tokens.truncate(room.min(tokens.len().saturating_sub(1)));
        if self
            .prefill
            .prompts()
            .any(|other| other.starts_with(&tokens))
            || tokens.is_empty()
        {
            return Ok(());
        }
        let count = tokens.len();
        self.prefill.add(config, tokens)?;
        self.room -= count;
        Ok(())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.prefill.prompts().next().is_none()
    }

    /// Computes some tokens of the next block that has landed. Says whether there was one.
    ///
    /// # Errors
    ///
    /// None that can be caused from outside.
    pub fn advance(&mut self, builder: &Builder, pool: &dyn Pool) -> Result<bool, Error> {
        Ok(self.prefill.advance(builder, pool)?)
    }

    /// The context that they are sequences of.
    pub(crate) fn finish(
        self,
        model: Arc<Model>,
        pool: Box<dyn Pool>,
    ) -> Result<(Context, Vec<Prefilled>), Error> {
        Ok(self.prefill.finish(model, pool)?)
    }
}
