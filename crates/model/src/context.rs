//! Running a model: sequences in a cache, and batches of their next tokens.

use std::sync::Arc;

use kernels::kv::{BLOCK, KvType};
use kernels::{Activations, Pool};

use crate::cache::{Cache, SeqId};
use crate::rotation::Ropes;
use crate::scratch::Scratch;
use crate::{Error, Model, families, step};

/// How to set up a [`Context`].
#[derive(Debug, Clone)]
pub struct ContextOptions {
    /// Tokens that the key–value cache can hold, of all sequences together; rounded up to whole pages. Memory is
    /// taken page by page as it is needed.
    pub capacity: usize,
    /// How keys and values are stored. Where tokens see those after them, nothing is read again in a later call, and they
    /// are 32-bit floats whatever this says.
    pub kv: KvType,
    /// Tokens that any one sequence will have at most. Models with LongRoPE rotate by other factors where that is more than
    /// they were first trained for.
    pub context_length: usize,
    /// Tokens of a page, a multiple of [`kernels::kv::BLOCK`]: the unit of sharing between sequences.
    pub page: usize,
}

impl Default for ContextOptions {
    /// 2048 tokens, which one sequence may have, as 16-bit floats in pages of 32.
    fn default() -> Self {
        Self {
            capacity: 2048,
            kv: KvType::F16,
            context_length: 2048,
            page: BLOCK,
        }
    }
}

/// The next tokens of one sequence.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The sequence they are appended to.
    pub seq: SeqId,
    /// At least one token id.
    pub tokens: &'a [u32],
    /// After which of them the logits are wanted.
    pub logits: Want,
}

/// After which tokens of an [`Input`] logits are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// None: the rest of the prompt follows in another batch.
    None,
    /// The first one.
    First,
    /// The last one.
    Last,
    /// Each.
    All,
}

/// Logits of one batch, in the order of its inputs and of their tokens.
#[derive(Debug, Clone, Copy)]
pub struct Logits<'a> {
    values: &'a [f32],
    vocab_size: usize,
}

impl<'a> Logits<'a> {
    /// How many rows were wanted.
    pub fn rows(&self) -> usize {
        self.values.len() / self.vocab_size
    }

    /// Row `index`, `[vocab_size]`, unnormalized.
    ///
    /// # Panics
    /// If there are not so many rows.
    pub fn row(&self, index: usize) -> &'a [f32] {
        &self.values[index * self.vocab_size..][..self.vocab_size]
    }
}

/// A model at work: its key–value cache and its scratch memory.
pub struct Context {
    model: Arc<Model>,
    ropes: Ropes,
    pool: Box<dyn Pool>,
    cache: Cache,
    scratch: Scratch,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("architecture", &self.model.config.architecture)
            .field("kv_bytes", &self.kv_bytes())
            .field("scratch_bytes", &self.scratch_bytes())
            .finish_non_exhaustive()
    }
}

impl Context {
    /// A context without sequences.
    ///
    /// # Errors
    /// [`Error::Kernels`] if the model's heads or the page size are not supported.
    pub fn new(
        model: Arc<Model>,
        options: ContextOptions,
        pool: Box<dyn Pool>,
    ) -> Result<Self, Error> {
        let config = &model.config;
        Ok(Self {
            ropes: Ropes::new(config, &model.rope_factors, options.context_length),
            cache: Cache::new(config, options.kv, options.page, options.capacity)?,
            scratch: Scratch::default(),
            model,
            pool,
        })
    }

    /// A context that has been at work already.
    pub(crate) fn from_parts(
        model: Arc<Model>,
        ropes: Ropes,
        pool: Box<dyn Pool>,
        cache: Cache,
        scratch: Scratch,
    ) -> Self {
        Self {
            model,
            ropes,
            pool,
            cache,
            scratch,
        }
    }

    /// The model.
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// A new sequence without tokens.
    pub fn create(&mut self) -> SeqId {
        self.cache.create()
    }

    /// Forgets a sequence; pages that no other sequence shares become free. An id already released is ignored.
    pub fn release(&mut self, seq: SeqId) {
        self.cache.release(seq);
    }

    /// A new sequence that begins with the first `len` tokens of `seq`. Its pages are shared, not copied, until one of
    /// the two writes into a page that both have.
    ///
    /// # Errors
    /// [`Error::UnknownSequence`], [`Error::BeyondEnd`]; [`Error::LeftWindow`] where [`Self::resumable`] is less than `len`.
    pub fn fork(&mut self, seq: SeqId, len: usize) -> Result<SeqId, Error> {
        self.cache.fork(seq, len)
    }

    /// Forgets all tokens of `seq` but the first `len`.
    ///
    /// # Errors
    /// As [`Self::fork`].
    pub fn truncate(&mut self, seq: SeqId, len: usize) -> Result<(), Error> {
        self.cache.truncate(seq, len)
    }

    /// How many of the first `len` tokens of `seq` it can go on after: `len`, or 0 where the next token would see some whose
    /// keys and values are gone. Layers with a sliding window give pages back that have left it, and keep one page
    /// more than they need; so a sequence can always be cut back by a page less one token, and, as long as it is shorter
    /// than window and page together, to any length.
    ///
    /// # Errors
    /// [`Error::UnknownSequence`].
    pub fn resumable(&self, seq: SeqId, len: usize) -> Result<usize, Error> {
        Ok(if len < self.cache.least(seq)? { 0 } else { len })
    }

    /// As [`Self::resumable`], of a sequence that will have grown to `grown` tokens.
    pub fn resumable_from(&self, grown: usize, len: usize) -> usize {
        if len < self.cache.least_at(grown) {
            0
        } else {
            len
        }
    }

    /// Tokens of `seq` that are in the cache.
    ///
    /// # Errors
    /// [`Error::UnknownSequence`].
    pub fn len(&self, seq: SeqId) -> Result<usize, Error> {
        self.cache.len(seq)
    }

    /// Tokens for which there are still free pages.
    pub fn free_tokens(&self) -> usize {
        self.cache
            .free_pages()
            .saturating_mul(self.cache.page_tokens())
    }

    /// Bytes that the key–value cache takes now.
    pub fn kv_bytes(&self) -> usize {
        self.cache.bytes()
    }

    /// Bytes that intermediate results take; they grow with the largest batch and are used again.
    pub fn scratch_bytes(&self) -> usize {
        self.scratch.bytes()
    }

    pub(crate) fn pool(&self) -> &dyn Pool {
        &*self.pool
    }

    /// Runs the model over the next tokens of some sequences, appends them to the cache, and returns the logits that
    /// were asked for. On an error nothing has changed.
    ///
    /// # Errors
    /// [`Error::EmptyInput`], [`Error::UnknownSequence`], [`Error::RepeatedSequence`], [`Error::TokenOutOfRange`];
    /// [`Error::NoLogits`] if the model only makes embeddings; [`Error::CacheFull`] if there is no room for the tokens,
    /// [`Error::OutOfMemory`] if memory for them can't be had.
    pub fn forward(&mut self, inputs: &[Input]) -> Result<Logits<'_>, Error> {
        let config = &self.model.config;
        if !config.generates() {
            return Err(Error::NoLogits);
        }
        let vocab_size = config.vocab_size;
        self.compute(inputs, vocab_size)?;
        step::project_logits(&self.model, &*self.pool, &mut self.scratch);
        Ok(Logits {
            values: &self.scratch.logits,
            vocab_size,
        })
    }

    /// As [`Self::forward`], but gives what logits are computed from: the normalized states of the last block, rows of
    /// `embedding_length`.
    pub(crate) fn states(&mut self, input: &Input) -> Result<&Activations, Error> {
        self.compute(std::slice::from_ref(input), 0)?;
        Ok(&self.scratch.normed)
    }

    /// Appends tokens to the cache and leaves the states of the wanted rows in scratch memory, with room for
    /// `logits_width` logits of each.
    fn compute(&mut self, inputs: &[Input], logits_width: usize) -> Result<(), Error> {
        let config = &self.model.config;
        let batch = &mut self.scratch.batch;
        batch.plan(inputs, config.vocab_size, &self.cache)?;
        let (rows, wanted) = (batch.tokens.len(), batch.wanted.len());
        let logits = wanted.saturating_mul(logits_width);
        self.scratch.reserve(config, rows, logits)?;
        self.scratch.batch.reserve_pages(&mut self.cache)?;
        families::forward(
            &self.model,
            &self.ropes,
            &*self.pool,
            &mut self.cache,
            &mut self.scratch,
        );
        self.cache.advance(&self.scratch.batch.appends);
        Ok(())
    }
}
