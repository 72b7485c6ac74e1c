//! A prompt that is computed while its model is still arriving: block by block, as blocks land.

use std::sync::Arc;

use kernels::Pool;

use crate::cache::{Cache, SeqId};
use crate::rotation::Ropes;
use crate::scratch::Scratch;
use crate::step::{self, Step};
use crate::{Builder, Config, Context, ContextOptions, Error, Input, Model, Want, families};

/// A prompt on its way through a model of which only the first blocks are there.
///
/// All its tokens are one batch whose intermediate results are kept between blocks. Its keys and values are the same, bit
/// for bit, as those that [`Context::forward`] would have stored.
pub struct Prefill {
    options: ContextOptions,
    cache: Cache,
    scratch: Scratch,
    seq: SeqId,
    /// Known once the model's own factors are.
    ropes: Option<Ropes>,
    /// Blocks that have been computed.
    done: usize,
}

impl std::fmt::Debug for Prefill {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prefill")
            .field("done", &self.done)
            .finish_non_exhaustive()
    }
}

impl Prefill {
    /// Prepares to compute `tokens`, for a context with these options.
    ///
    /// # Errors
    /// As [`Context::new`] and [`Context::forward`].
    pub fn new(config: &Config, options: ContextOptions, tokens: &[u32]) -> Result<Self, Error> {
        if !config.generates() {
            return Err(Error::NoLogits);
        }
        let mut cache = Cache::new(config, options.kv, options.page, options.capacity)?;
        let mut scratch = Scratch::default();
        let seq = cache.create();
        let logits = Want::None;
        let input = Input {
            seq,
            tokens,
            logits,
        };
        scratch.batch.plan(&[input], config.vocab_size, &cache)?;
        scratch.reserve(config, tokens.len(), 0)?;
        scratch.batch.reserve_pages(&mut cache)?;
        Ok(Self {
            options,
            cache,
            scratch,
            seq,
            ropes: None,
            done: 0,
        })
    }

    /// Has block `block` be the next, with the embeddings of the tokens as its input.
    pub(crate) fn restart_at(&mut self, block: usize) {
        self.ropes = None;
        self.done = block;
    }

    /// Computes the next block, if it has landed. Says whether it had.
    pub fn advance(&mut self, builder: &Builder, pool: &dyn Pool) -> bool {
        let config = builder.config();
        let Some(layer) = builder.layers().get(self.done) else {
            return false;
        };
        if self.ropes.is_none()
            && let Some((embedding, factors)) = builder.foundation()
        {
            let ropes = Ropes::new(config, &factors, self.options.context_length);
            step::embed(config, embedding, &ropes, &mut self.scratch);
            self.ropes = Some(ropes);
        }
        let Some(ropes) = &self.ropes else {
            return false;
        };
        let mut step = Step::new(config, ropes, pool, &mut self.cache, &mut self.scratch);
        families::advance(&mut step, self.done, layer, config);
        self.done += 1;
        true
    }

    /// Computes the blocks that are left, and makes the context in which the prompt is a sequence.
    pub fn finish(mut self, model: Arc<Model>, pool: Box<dyn Pool>) -> (Context, SeqId) {
        let config = &model.config;
        let ropes = self.ropes.take().unwrap_or_else(|| {
            let ropes = Ropes::new(config, &model.rope_factors, self.options.context_length);
            step::embed(config, &model.embedding, &ropes, &mut self.scratch);
            ropes
        });
        let mut step = Step::new(config, &ropes, &*pool, &mut self.cache, &mut self.scratch);
        for (index, layer) in model.layers.iter().enumerate().skip(self.done) {
            families::advance(&mut step, index, layer, config);
        }
        self.cache.advance(&self.scratch.batch.appends);
        let context = Context::from_parts(model, ropes, pool, self.cache, self.scratch);
        (context, self.seq)
    }
}
