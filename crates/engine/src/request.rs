//! What is asked of the engine.

use std::fmt;

use serde::Serialize;

/// Names one request for as long as the engine lives; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct RequestId(pub(crate) u64);

impl RequestId {
    /// The number behind the name, for messages across a boundary.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }
}

impl From<u64> for RequestId {
    fn from(number: u64) -> Self {
        Self(number)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The text to go on from.
#[derive(Debug, Clone)]
pub enum Prompt {
    /// Text, tokenized with the model's BOS/EOS habits and with special-token text recognized, as llama-server's
    /// `/completion` does.
    Text(String),
    /// Token ids, taken as they are.
    Tokens(Vec<u32>),
    /// A conversation, rendered with the model's chat template.
    Chat(chat::Conversation),
}

/// One generation: a prompt, how to sample from it, and when to stop.
#[derive(Debug, Clone)]
pub struct Request {
    /// The text to go on from.
    pub prompt: Prompt,
    /// How tokens are chosen.
    pub sampling: sampler::Params,
    /// Most tokens to generate; `None` goes on until the context is full. 0 only computes the prompt, which leaves it
    /// in the prefix cache.
    pub max_tokens: Option<u32>,
    /// Texts that end the answer. None of them, and nothing after, is ever emitted.
    pub stop: Vec<String>,
    /// Reports the log-probability of each token and of this many most likely alternatives.
    pub logprobs: Option<usize>,
    /// Goes on past the model's end-of-generation tokens: they are forbidden.
    pub ignore_eos: bool,
    /// Emits the text of control tokens (`<|im_end|>` and the like) that are otherwise silent.
    pub special: bool,
}

impl Request {
    /// A request with default sampling and no limits.
    #[must_use]
    pub fn new(prompt: Prompt) -> Self {
        Self {
            prompt,
            sampling: sampler::Params::default(),
            max_tokens: None,
            stop: Vec::new(),
            logprobs: None,
            ignore_eos: false,
            special: false,
        }
    }
}
