//! One request while it is worked on, wherever its state is at the time.

use sampler::{Logprobs, Sampler};
use tokenizer::Tokenizer;

use crate::{
    Error, FinishReason, Request, RequestId, Timings, Usage, answer::Answer, timings::Stopwatch,
};

/// What a request needs besides its place in the key-value cache; survives being put back in line.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) id: RequestId,
    /// The prompt, and the answer so far.
    pub(crate) tokens: Vec<u32>,
    pub(crate) prompt_len: usize,
    /// Tokens of the prompt that were reused when the job was first begun; `None` before that.
    pub(crate) cached: Option<usize>,
    /// Tokens of the prompt that have been in the cache at some time.
    pub(crate) prompt_done: usize,
    pub(crate) watch: Stopwatch,
    /// Chosen tokens, the end-of-generation token included.
    generated: usize,
    sampler: Sampler,
    answer: Answer,
    /// Most tokens to generate.
    max_tokens: Option<usize>,
    /// Length at which the context is full.
    context_length: usize,
    logprobs: Option<usize>,
}

/// What came of one row of logits.
#[derive(Debug)]
pub(crate) struct Chosen {
    /// The token, the text that became certain and its log-probabilities; nothing if the token ends the generation.
    pub(crate) token: Option<(u32, String, Option<Logprobs>)>,
    /// Whether that was the last one, and why.
    pub(crate) finish: Option<FinishReason>,
}

impl Job {
    /// A job for a request whose prompt is `tokens`, and which has been checked.
    pub(crate) fn new(
        id: RequestId,
        request: Request,
        tokens: Vec<u32>,
        context_length: usize,
    ) -> Result<Self, Error> {
        let mut sampler = Sampler::new(request.sampling)?;
        for &token in &tokens {
            sampler.accept(token);
        }
        Ok(Self {
            id,
            prompt_len: tokens.len(),
            tokens,
            cached: None,
            prompt_done: 0,
            watch: Stopwatch::default(),
            generated: 0,
            sampler,
            answer: Answer::new(request.stop, request.special),
            max_tokens: request.max_tokens.map(|most| most as usize),
            context_length,
            logprobs: request.logprobs,
        })
    }

    /// Whether no token has been chosen yet.
    pub(crate) fn in_prompt(&self) -> bool {
        self.generated == 0
    }

    /// Whether only the prompt is to be computed.
    pub(crate) fn wants_no_tokens(&self) -> bool {
        self.max_tokens == Some(0)
    }

    /// Chooses the token that follows all tokens so far. `logits`: `[vocabulary]`.
    pub(crate) fn choose(
        &mut self,
        logits: &[f32],
        tokenizer: &Tokenizer,
    ) -> Result<Chosen, Error> {
        let token = self.sampler.sample(logits)?;
        self.generated += 1;
        if tokenizer.is_end_of_generation(token) {
            return Ok(Chosen {
                token: None,
                finish: Some(FinishReason::Stop),
            });
        }
        let logprobs = match self.logprobs {
            Some(top) => Some(sampler::logprobs(logits, token, top)?),
            None => None,
        };
        self.sampler.accept(token);
        self.tokens.push(token);
        let text = self.answer.push(tokenizer, token);
        let spent = self.max_tokens.is_some_and(|most| self.generated >= most);
        let finish = if self.answer.stopped() {
            Some(FinishReason::Stop)
        } else if spent || self.tokens.len() >= self.context_length {
            Some(FinishReason::Length)
        } else {
            None
        };
        Ok(Chosen {
            token: Some((token, text, logprobs)),
            finish,
        })
    }

    /// The text held back until now.
    pub(crate) fn finish_text(&mut self, reason: FinishReason) -> String {
        self.answer.finish(reason)
    }

    pub(crate) fn usage(&self) -> Usage {
        Usage {
            prompt_tokens: self.prompt_len,
            completion_tokens: self.generated,
            cached_tokens: self.cached.unwrap_or(0),
        }
    }

    pub(crate) fn timings(&self, now: f64) -> Timings {
        let cached = self.cached.unwrap_or(0);
        self.watch.timings(
            now,
            cached,
            self.prompt_done.saturating_sub(cached),
            self.generated,
        )
    }
}
