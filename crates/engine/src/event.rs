//! What the engine tells about the requests it works on.

use serde::Serialize;

use crate::{Error, RequestId, Timings};

/// Something that happened to a request during a [`crate::Engine::step`].
#[derive(Debug)]
pub enum Event {
    /// Part of the prompt has been computed.
    Prefill {
        /// The request.
        id: RequestId,
        /// Tokens of the prompt whose state is in the cache now, reused ones included.
        done: usize,
        /// Tokens of the prompt.
        total: usize,
    },
    /// A token has been chosen. The token that ends a generation is not reported.
    Token {
        /// The request.
        id: RequestId,
        /// The token.
        token: u32,
        /// The text that became certain with this token: empty while a character or a possible stop string is
        /// incomplete, and more than the token's own text when such a wait is over.
        text: String,
        /// Log-probabilities, if they were asked for.
        logprobs: Option<sampler::Logprobs>,
    },
    /// A text's embedding; [`Event::Finished`] follows.
    Embedded {
        /// The request.
        id: RequestId,
        /// The embedding, the scores, or for [`model::Pooling::None`] the embeddings of all tokens, one after the other.
        values: Vec<f32>,
        /// Values in one embedding.
        width: usize,
    },
    /// The request is done; nothing about it follows.
    Finished {
        /// The request.
        id: RequestId,
        /// Why it ended.
        reason: FinishReason,
        /// Text that was held back and turned out to belong to the answer; often empty.
        text: String,
        /// What was counted.
        usage: Usage,
        /// What was measured.
        timings: Timings,
    },
    /// The request could not go on; nothing about it follows, and other requests are not affected.
    Failed {
        /// The request.
        id: RequestId,
        /// Why.
        error: Error,
    },
}

impl Event {
    /// The request that the event is about.
    #[must_use]
    pub fn id(&self) -> RequestId {
        match self {
            Self::Prefill { id, .. }
            | Self::Token { id, .. }
            | Self::Embedded { id, .. }
            | Self::Finished { id, .. }
            | Self::Failed { id, .. } => *id,
        }
    }
}

/// Why a generation ended, by OpenAI's names (and `abort`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model ended it, or a stop string appeared.
    Stop,
    /// `max_tokens` were generated, or the context is full.
    Length,
    /// It was cancelled.
    Abort,
}

impl FinishReason {
    /// OpenAI's name: `stop`, `length`, or `abort`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::Abort => "abort",
        }
    }
}

/// Token counts of one request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Tokens that were generated, the end-of-generation token included, as llama-server counts.
    pub completion_tokens: usize,
    /// Tokens of the prompt whose state was reused from earlier work.
    pub cached_tokens: usize,
}

impl Usage {
    /// Prompt and completion together.
    #[must_use]
    pub fn total_tokens(&self) -> usize {
        self.prompt_tokens + self.completion_tokens
    }
}
