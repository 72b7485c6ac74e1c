//! The engine from outside: what it is made of, and what may be asked of it between steps.

use std::{collections::VecDeque, sync::Arc};

use chat::{Conversation, Template};
use kernels::Pool;
use model::{Context, Model, SeqId};
use tokenizer::Tokenizer;

use crate::{
    Clock, EarlyPrompts, EngineOptions, Error, Event, FinishReason, Metrics, Prompt, Request,
    RequestId, embedding::EmbeddingJob, job::Job, prefix_cache::PrefixCache, prompt,
};

/// Answers requests with one model. See the crate's documentation for how it is driven.
///
/// A request that asks for several answers to one prompt is several requests with different seeds: those that come
/// later wait until the prompt is computed once, and share it.
///
/// The text of events is what the model said, reasoning included; `chat::ReasoningParser` splits it for callers
/// that report the two apart, one parser per answer.
pub struct Engine {
    pub(crate) context: Context,
    pub(crate) tokenizer: Arc<Tokenizer>,
    template: Option<Template>,
    pub(crate) options: EngineOptions,
    pub(crate) clock: Box<dyn Clock>,
    /// Every end-of-generation token of the vocabulary.
    end_tokens: Vec<u32>,
    next_id: u64,
    /// Requests that have no sequence yet, in the order in which they get one.
    pub(crate) waiting: VecDeque<Job>,
    /// Requests that have one, in the order of their ids: the first is the oldest.
    pub(crate) running: Vec<Running>,
    /// Texts to embed, the one at work first.
    pub(crate) embedding: VecDeque<EmbeddingJob>,
    pub(crate) prefixes: PrefixCache<SeqId>,
    /// The request whose prompt was computed first in the last step that computed any.
    pub(crate) last_turn: Option<RequestId>,
    /// Events that happened between steps.
    pub(crate) pending: Vec<Event>,
    /// Counters only: what describes the present is filled in by [`Engine::metrics`].
    pub(crate) counters: Metrics,
}

/// A job with a sequence in the key-value cache.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) job: Job,
    pub(crate) seq: SeqId,
    /// How many of the job's tokens are in the cache.
    pub(crate) done: usize,
}

impl Running {
    /// How many of the job's tokens are not in the cache yet; at least one between steps.
    pub(crate) fn remaining(&self) -> usize {
        self.job.tokens.len() - self.done
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("options", &self.options)
            .field("metrics", &self.metrics())
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine with nothing to do. `template` is the model's chat template, if it has one.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOptions`] where the options contradict themselves or the model, [`Error::Model`] where the
    /// key-value cache can't be made.
    pub fn new(
        model: Arc<Model>,
        tokenizer: Arc<Tokenizer>,
        template: Option<Template>,
        options: EngineOptions,
        pool: Box<dyn Pool>,
        clock: Box<dyn Clock>,
    ) -> Result<Self, Error> {
        options.validate(model.config())?;
        let context = Context::new(model, options.cache(), pool)?;
        Ok(Self::at_work(context, tokenizer, template, options, clock))
    }

    /// An engine that knows some prompts already, which were computed while the model arrived.
    ///
    /// # Errors
    ///
    /// As [`Engine::new`], whose other arguments are the same; `options` must be those that `early` was made with.
    pub fn with_early_prompts(
        early: EarlyPrompts,
        model: Arc<Model>,
        tokenizer: Arc<Tokenizer>,
        template: Option<Template>,
        options: EngineOptions,
        pool: Box<dyn Pool>,
        clock: Box<dyn Clock>,
    ) -> Result<Self, Error> {
        options.validate(model.config())?;
        let (context, sequences) = early.finish(model, pool)?;
        let mut engine = Self::at_work(context, tokenizer, template, options, clock);
        // The first is asked for first, and so is the last to be let go.
        for (seq, tokens) in sequences.into_iter().rev() {
            for unwanted in engine.prefixes.insert(seq, tokens) {
                engine.context.release(unwanted);
            }
        }
        Ok(engine)
    }

    fn at_work(
        context: Context,
        tokenizer: Arc<Tokenizer>,
        template: Option<Template>,
        options: EngineOptions,
        clock: Box<dyn Clock>,
    ) -> Self {
        let vocabulary = context.model().config().vocab_size as u32;
        let end_tokens = (0..vocabulary)
            .filter(|&id| tokenizer.is_end_of_generation(id))
            .collect();
        Self {
            context,
            tokenizer,
            template,
            clock,
            end_tokens,
            next_id: 0,
            waiting: VecDeque::new(),
            running: Vec::new(),
            embedding: VecDeque::new(),
            prefixes: PrefixCache::new(options.prefix_entries),
            last_turn: None,
            pending: Vec::new(),
            counters: Metrics::default(),
            options,
        }
    }

    /// Puts a request in line. Its first event comes from a later [`Engine::step`].
    ///
    /// # Errors
    ///
    /// [`Error::ContextOverflow`] for a prompt that leaves no room for an answer, [`Error::InvalidRequest`] and
    /// [`Error::Sampling`] for arguments that make no sense, [`Error::Model`] if the model only makes embeddings, and the errors of [`Engine::prompt_tokens`]. The engine
    /// is as it was.
    pub fn submit(&mut self, mut request: Request) -> Result<RequestId, Error> {
        let tokens = self.prompt_tokens(&request.prompt)?;
        self.check(&request, &tokens)?;
        if request.ignore_eos {
            let forbidden = self
                .end_tokens
                .iter()
                .map(|&token| (token, f32::NEG_INFINITY));
            request.sampling.logit_bias.extend(forbidden);
        }
        let id = self.take_id();
        self.waiting
            .push_back(Job::new(id, request, tokens, self.options.context_length)?);
        Ok(id)
    }

    /// A name for another request.
    pub(crate) fn take_id(&mut self) -> RequestId {
        self.next_id += 1;
        RequestId(self.next_id - 1)
    }

    /// Ends a request, in line or at work; its [`Event::Finished`] with [`FinishReason::Abort`] comes from the next
    /// [`Engine::step`]. Returns false for a request that is unknown or has ended.
    pub fn cancel(&mut self, id: RequestId) -> bool {
        let waiting = self.waiting.iter().position(|job| job.id == id);
        let running = self.running.iter().position(|running| running.job.id == id);
        let job = waiting
            .and_then(|at| self.waiting.remove(at))
            .or_else(|| running.map(|at| self.retire(at)));
        let Some(mut job) = job else {
            return self.cancel_embedding(id);
        };
        let event = self.finished(&mut job, FinishReason::Abort);
        self.pending.push(event);
        true
    }

    /// Whether there is nothing to do and nothing to tell.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty()
            && self.running.is_empty()
            && self.embedding.is_empty()
            && self.pending.is_empty()
    }

    /// Forgets the finished sequences that were kept for requests that begin alike.
    pub fn clear_prefix_cache(&mut self) {
        while self.evict() {}
    }

    /// What was counted since the engine was made, and its present load.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        Metrics {
            waiting: self.waiting.len() + self.embedding.len(),
            running: self.running.len(),
            prefix_entries: self.prefixes.len(),
            free_tokens: self.context.free_tokens(),
            kv_bytes: self.context.kv_bytes(),
            scratch_bytes: self.context.scratch_bytes(),
            ..self.counters
        }
    }

    /// The model's tokenizer.
    #[must_use]
    pub fn tokenizer(&self) -> &Arc<Tokenizer> {
        &self.tokenizer
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &Arc<Model> {
        self.context.model()
    }

    /// The model's chat template, if it has one.
    #[must_use]
    pub fn template(&self) -> Option<&Template> {
        self.template.as_ref()
    }

    /// The options it was made with.
    #[must_use]
    pub fn options(&self) -> &EngineOptions {
        &self.options
    }

    /// The prompt of a conversation.
    ///
    /// # Errors
    ///
    /// [`Error::NoTemplate`], [`Error::Template`].
    pub fn render(&self, conversation: &Conversation) -> Result<String, Error> {
        prompt::render(self.template.as_ref(), conversation)
    }

    /// The tokens of a prompt, as [`Engine::submit`] would use them.
    ///
    /// # Errors
    ///
    /// As [`Engine::render`].
    pub fn prompt_tokens(&self, wanted: &Prompt) -> Result<Vec<u32>, Error> {
        prompt::tokens(wanted, &self.tokenizer, self.template.as_ref())
    }

    /// Refuses a request that could not be answered.
    fn check(&self, request: &Request, tokens: &[u32]) -> Result<(), Error> {
        let invalid = |message: String| Err(Error::InvalidRequest(message));
        let vocabulary = self.context.model().config().vocab_size;
        let unknown = |id: u32| id as usize >= vocabulary;
        if !self.model().config().generates() {
            return Err(model::Error::NoLogits.into());
        }
        request.sampling.validate()?;
        self.check_tokens(tokens)?;
        if let Some(&(id, _)) = request
            .sampling
            .logit_bias
            .iter()
            .find(|&&(id, _)| unknown(id))
        {
            return invalid(format!(
                "logit_bias names token {id}, but the vocabulary has {vocabulary} tokens"
            ));
        }
        if request.stop.iter().any(String::is_empty) {
            return invalid("a stop string is empty: it would end every answer at once".into());
        }
        if tokens.len() >= self.options.context_length {
            let context_length = self.options.context_length;
            return Err(Error::ContextOverflow {
                prompt_tokens: tokens.len(),
                context_length,
            });
        }
        Ok(())
    }

    /// Refuses tokens that the model could not read.
    pub(crate) fn check_tokens(&self, tokens: &[u32]) -> Result<(), Error> {
        let vocabulary = self.model().config().vocab_size;
        let problem = match tokens.iter().find(|&&id| id as usize >= vocabulary) {
            _ if tokens.is_empty() => "the prompt is empty: give at least one token".into(),
            Some(id) => {
                format!("prompt token {id} is not in the vocabulary of {vocabulary} tokens")
            }
            None => return Ok(()),
        };
        Err(Error::InvalidRequest(problem))
    }
}
