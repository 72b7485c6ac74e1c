//! Prompts that are computed while their model is still arriving: block by block, as blocks land.

use std::sync::Arc;

use kernels::{Matrix, Pool};

use crate::cache::{Cache, SeqId};
use crate::rotation::Ropes;
use crate::scratch::Scratch;
use crate::step::{self, Step};
use crate::weights::Layer;
use crate::{Builder, Config, Context, ContextOptions, Error, Model, families};

/// Prompts on their way through a model of which only the first blocks are there.
///
/// Each goes as far as blocks have landed, a panel of tokens at a time, the one added first before those that follow it. Between
/// blocks all its tokens' states are kept, `[tokens, embedding_length]` 32-bit floats. Keys and values are the same, bit for
/// bit, as those that [`Context::forward`] would have stored.
pub struct Prefill {
    options: ContextOptions,
    /// Tokens computed at a time.
    panel: usize,
    cache: Cache,
    scratch: Scratch,
    /// Known once the model's own factors are.
    ropes: Option<Ropes>,
    prompts: Vec<Prompt>,
}

/// A sequence of a context, and the tokens it has.
pub type Prefilled = (SeqId, Vec<u32>);

struct Prompt {
    seq: SeqId,
    tokens: Vec<u32>,
    /// What the next block reads, or the one before has left so far.
    states: Vec<f32>,
    /// The block whose input is the embeddings: the first, but in a rehearsal any.
    entry: usize,
    /// Blocks that have been computed.
    blocks: usize,
    /// Tokens that the next block has been computed for.
    done: usize,
}

/// What blocks are computed with besides their weights.
struct Means<'a> {
    config: &'a Config,
    embedding: &'a Matrix,
    ropes: &'a Ropes,
    pool: &'a dyn Pool,
    panel: usize,
}

impl std::fmt::Debug for Prefill {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prefill")
            .field("prompts", &self.prompts.len())
            .finish_non_exhaustive()
    }
}

impl Prefill {
    /// Prepares to compute prompts for a context with these options, `panel` tokens at a time.
    ///
    /// # Errors
    /// As [`Context::new`]; [`Error::NoLogits`] for models that only make embeddings.
    pub fn new(config: &Config, options: ContextOptions, panel: usize) -> Result<Self, Error> {
        if !config.generates() {
            return Err(Error::NoLogits);
        }
        let cache = Cache::new(config, options.kv, options.page, options.capacity)?;
        Ok(Self {
            options,
            panel: panel.max(1),
            cache,
            scratch: Scratch::default(),
            ropes: None,
            prompts: Vec::new(),
        })
    }

    /// Adds a prompt behind those that there are.
    ///
    /// # Errors
    /// [`Error::EmptyInput`], [`Error::TokenOutOfRange`]; [`Error::CacheFull`] if there is no room for its tokens,
    /// [`Error::OutOfMemory`] if memory for them can't be had. Nothing has changed then.
    pub fn add(&mut self, config: &Config, tokens: Vec<u32>) -> Result<(), Error> {
        let vocab_size = config.vocab_size;
        if tokens.is_empty() {
            return Err(Error::EmptyInput);
        }
        if let Some(&token) = tokens.iter().find(|&&token| token as usize >= vocab_size) {
            return Err(Error::TokenOutOfRange { token, vocab_size });
        }
        let rows = tokens.len().min(self.panel);
        self.scratch.reserve(config, rows, 0)?;
        let floats = tokens.len().saturating_mul(config.embedding_length);
        let mut states = Vec::new();
        let taken = states.try_reserve_exact(floats);
        taken.map_err(|_| Error::OutOfMemory {
            bytes: floats.saturating_mul(size_of::<f32>()),
            purpose: "states of a prompt between blocks",
        })?;
        let seq = self.cache.create();
        if let Err(error) = self.cache.reserve(&[(seq, tokens.len())]) {
            self.cache.release(seq);
            return Err(error);
        }
        self.prompts.push(Prompt {
            seq,
            tokens,
            states,
            entry: 0,
            blocks: 0,
            done: 0,
        });
        Ok(())
    }

    /// Prompts that have been added.
    pub fn prompts(&self) -> impl Iterator<Item = &[u32]> {
        self.prompts.iter().map(|prompt| prompt.tokens.as_slice())
    }

    /// Tokens for which the cache still has room.
    pub fn free_tokens(&self) -> usize {
        let free = self.cache.free_pages();
        free.saturating_mul(self.cache.page_tokens())
    }

    /// Has block `block` be the next, with the embeddings of the tokens as its input.
    pub(crate) fn restart_at(&mut self, block: usize) {
        for prompt in &mut self.prompts {
            (prompt.entry, prompt.blocks, prompt.done) = (block, block, 0);
        }
    }

    /// Computes a panel of the first prompt that a block has landed for. Says whether there was one.
    ///
    /// # Errors
    /// None that can be caused from outside.
    pub fn advance(&mut self, builder: &Builder, pool: &dyn Pool) -> Result<bool, Error> {
        let Some(embedding) = builder.embedding() else {
            return Ok(false);
        };
        let config = builder.config();
        if self.ropes.is_none() {
            let factors = builder.rope_factors();
            self.ropes = Some(Ropes::new(config, &factors, self.options.context_length));
        }
        self.compute_panel(config, embedding, builder.layers(), pool)
    }

    /// As [`advance`](Self::advance), when all blocks are there.
    pub(crate) fn advance_in(&mut self, model: &Model, pool: &dyn Pool) -> Result<bool, Error> {
        let config = &model.config;
        if self.ropes.is_none() {
            let (factors, length) = (&model.rope_factors, self.options.context_length);
            self.ropes = Some(Ropes::new(config, factors, length));
        }
        self.compute_panel(config, &model.embedding, &model.layers, pool)
    }

    fn compute_panel(
        &mut self,
        config: &Config,
        embedding: &Matrix,
        layers: &[Layer],
        pool: &dyn Pool,
    ) -> Result<bool, Error> {
        let mut prompts = self.prompts.iter_mut();
        let next = prompts.find_map(|prompt| Some((layers.get(prompt.blocks)?, prompt)));
        let (Some((layer, prompt)), Some(ropes)) = (next, &self.ropes) else {
            return Ok(false);
        };
        let means = Means {
            config,
            embedding,
            ropes,
            pool,
            panel: self.panel,
        };
        prompt.compute_panel(layer, &means, &mut self.cache, &mut self.scratch)?;
        Ok(true)
    }

    /// Makes the context in which the prompts are sequences. The first prompt's blocks that are left are computed for that,
    /// and those of others that are half done; the rest is better computed beside the first one's answer, and is dropped.
    ///
    /// # Errors
    /// None that can be caused from outside.
    pub fn finish(
        mut self,
        model: Arc<Model>,
        pool: Box<dyn Pool>,
    ) -> Result<(Context, Vec<Prefilled>), Error> {
        let config = &model.config;
        let context_length = self.options.context_length;
        let ropes = self
            .ropes
            .take()
            .unwrap_or_else(|| Ropes::new(config, &model.rope_factors, context_length));
        let means = Means {
            config,
            embedding: &model.embedding,
            ropes: &ropes,
            pool: &*pool,
            panel: self.panel,
        };
        let mut sequences = Vec::new();
        for (number, mut prompt) in self.prompts.into_iter().enumerate() {
            if number > 0 && prompt.blocks * 2 < config.layers {
                self.cache.release(prompt.seq);
                continue;
            }
            while let Some(layer) = model.layers.get(prompt.blocks) {
                prompt.compute_panel(layer, &means, &mut self.cache, &mut self.scratch)?;
            }
            self.cache.advance(&[(prompt.seq, prompt.tokens.len())]);
            sequences.push((prompt.seq, prompt.tokens));
        }
        let context = Context::from_parts(model, ropes, pool, self.cache, self.scratch);
        Ok((context, sequences))
    }
}

impl Prompt {
    /// Computes the next block for the next tokens.
    fn compute_panel(
        &mut self,
        layer: &Layer,
        means: &Means,
        cache: &mut Cache,
        scratch: &mut Scratch,
    ) -> Result<(), Error> {
        let Means { config, ropes, .. } = *means;
        let end = self.tokens.len().min(self.done + means.panel);
        let tokens = &self.tokens[self.done..end];
        scratch
            .batch
            .plan_part(self.seq, self.done, tokens, cache)?;
        let width = config.embedding_length;
        let states = self.done * width..end * width;
        if self.blocks == self.entry {
            step::embed(config, means.embedding, ropes, scratch);
        } else {
            scratch.residual.clear();
            let before = &self.states[states.clone()];
            scratch.residual.extend_from_slice(before);
            ropes.angles(&scratch.batch.positions, &mut scratch.angles);
        }
        let mut step = Step::new(config, ropes, means.pool, cache, scratch);
        families::advance(&mut step, self.blocks, layer, config);
        // Of the last block only keys and values are wanted, and no states are left.
        if self.blocks + 1 < config.layers {
            self.states.resize(self.tokens.len() * width, 0.0);
            self.states[states].copy_from_slice(&scratch.residual);
        }
        self.done = end;
        if end == self.tokens.len() {
            self.done = 0;
            self.blocks += 1;
        }
        Ok(())
    }
}
