//! Requests for embeddings: in a line of their own, one at a time, a part of a text in each step.
//!
//! They share the key-value cache with the answers under way, and give way to them: what a text needs there it takes
//! from kept prefixes, and where that is not enough it begins again when the answers are done.

use model::{Embedding, Pooling};

use crate::{Engine, Error, Event, FinishReason, Prompt, RequestId, Usage, timings::Stopwatch};

/// One text to embed.
#[derive(Debug, Clone)]
pub struct EmbeddingRequest {
    /// The text.
    pub input: Prompt,
    /// How the states of its tokens become one; as the model's file says where not given.
    pub pooling: Option<Pooling>,
    /// Scales the embedding (each, where every token has one) to length 1; scores are left as they are.
    pub normalize: bool,
}

/// A request for an embedding, in line or at work.
#[derive(Debug)]
pub(crate) struct EmbeddingJob {
    id: RequestId,
    embedding: Embedding,
    normalize: bool,
    watch: Stopwatch,
    /// It found the cache full, and waits until all answers are done.
    waits: bool,
}

impl Engine {
    /// Puts a text in line to be embedded. Its [`Event::Embedded`], and an [`Event::Finished`] after it, come from a later
    /// [`Engine::step`].
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] for a text without tokens, or one longer than the context; [`Error::Model`] where scores
    /// are asked of a model that gives none; and the errors of [`Engine::prompt_tokens`]. The engine is as it was.
    pub fn embed(&mut self, request: EmbeddingRequest) -> Result<RequestId, Error> {
        let tokens = self.prompt_tokens(&request.input)?;
        self.check_tokens(&tokens)?;
        let longest = self.options.context_length;
        if tokens.len() > longest {
            return Err(Error::InvalidRequest(format!(
                "the text has {} tokens, but the context holds {longest}: split it, or load the model with a larger context",
                tokens.len()
            )));
        }
        let embedding = Embedding::new(&mut self.context, tokens, request.pooling)?;
        let id = self.take_id();
        self.embedding.push_back(EmbeddingJob {
            id,
            embedding,
            normalize: request.normalize,
            watch: Stopwatch::default(),
            waits: false,
        });
        Ok(id)
    }

    /// Computes the next part of the first text in line.
    pub(crate) fn embed_next(&mut self, events: &mut Vec<Event>) {
        let answering = !self.running.is_empty();
        if answering && self.embedding.front().is_some_and(|job| job.waits) {
            return;
        }
        let Some(mut job) = self.embedding.pop_front() else {
            return;
        };
        job.watch.start(self.clock.now_ms());
        let most = self.options.max_batch_tokens;
        let outcome = loop {
            match job.embedding.advance(&mut self.context, most) {
                Err(model::Error::CacheFull { .. }) if self.evict() => {}
                outcome => break outcome,
            }
        };
        let (id, total) = (job.id, job.embedding.tokens());
        match outcome {
            Ok(None) => {
                let done = job.embedding.done();
                events.push(Event::Prefill { id, done, total });
                self.embedding.push_front(job);
            }
            Ok(Some(values)) => {
                job.watch.lap(self.clock.now_ms());
                self.counters.steps += 1;
                self.counters.prompt_tokens += total as u64;
                events.push(self.embedded(&job, values));
                events.push(self.embedding_finished(&job, FinishReason::Stop));
            }
            Err(model::Error::CacheFull { .. }) if answering => {
                self.embedding.push_front(job);
                self.restart_embedding();
            }
            Err(error) => {
                job.embedding.abandon(&mut self.context);
                self.counters.finished += 1;
                let error = error.into();
                events.push(Event::Failed { id, error });
            }
        }
    }

    /// Gives the pages of the text at work to answers. Returns false if it has none.
    pub(crate) fn restart_embedding(&mut self) -> bool {
        let Some(job) = self.embedding.front_mut() else {
            return false;
        };
        job.waits = true;
        let had_pages = job.embedding.done() > 0;
        job.embedding.restart(&mut self.context);
        had_pages
    }

    /// Takes a text out of line, as [`Engine::cancel`].
    pub(crate) fn cancel_embedding(&mut self, id: RequestId) -> bool {
        let at = self.embedding.iter().position(|job| job.id == id);
        let Some(job) = at.and_then(|at| self.embedding.remove(at)) else {
            return false;
        };
        let event = self.embedding_finished(&job, FinishReason::Abort);
        self.pending.push(event);
        job.embedding.abandon(&mut self.context);
        true
    }

    fn embedded(&self, job: &EmbeddingJob, mut values: Vec<f32>) -> Event {
        let width = match job.embedding.pooling() {
            Pooling::Rank => values.len(),
            _ => self.model().config().embedding_length,
        };
        if job.normalize && job.embedding.pooling() != Pooling::Rank {
            values.chunks_exact_mut(width).for_each(model::normalize);
        }
        Event::Embedded {
            id: job.id,
            values,
            width,
        }
    }

    fn embedding_finished(&mut self, job: &EmbeddingJob, reason: FinishReason) -> Event {
        self.counters.finished += 1;
        let now = self.clock.now_ms();
        Event::Finished {
            id: job.id,
            reason,
            text: String::new(),
            usage: Usage {
                prompt_tokens: job.embedding.tokens(),
                ..Usage::default()
            },
            timings: job.watch.timings(now, 0, job.embedding.done(), 0),
        }
    }
}
