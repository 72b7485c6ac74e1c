//! What the engine tells, as the page receives it.

use serde::Serialize;
use tsify::Tsify;

use crate::{ErrorReport, Timings, TokenCounts};

/// A token and its probability, in OpenAI's shape.
#[derive(Serialize, Tsify)]
pub struct TokenProbability {
    /// The token's text; a part of a character shows as U+FFFD.
    pub token: String,
    /// Natural logarithm of its probability, before any sampling option.
    pub logprob: f32,
    /// The token's bytes.
    pub bytes: Vec<u8>,
}

/// A generated token, its probability, and the most likely alternatives.
#[derive(Serialize, Tsify)]
pub struct TokenLogprobs {
    /// The token's text; a part of a character shows as U+FFFD.
    pub token: String,
    /// Natural logarithm of its probability, before any sampling option.
    pub logprob: f32,
    /// The token's bytes.
    pub bytes: Vec<u8>,
    /// The most likely tokens, most likely first.
    pub top_logprobs: Vec<TokenProbability>,
}

/// A call of a tool that the model asks for, in OpenAI's shape.
#[derive(Serialize, Tsify)]
pub struct ToolCall {
    /// Its place among the answer's calls, from 0.
    pub index: usize,
    /// Links the call to the message that answers it.
    pub id: String,
    /// What is called.
    #[serde(rename = "type")]
    #[tsify(type = r#""function""#)]
    pub kind: &'static str,
    /// The tool and its arguments.
    pub function: CalledFunction,
}

/// The function of a call.
#[derive(Serialize, Tsify)]
pub struct CalledFunction {
    /// Its name.
    pub name: String,
    /// A JSON object as text.
    pub arguments: String,
}

/// Something that happened to a request during a step.
#[derive(Serialize, Tsify)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum StepEvent {
    /// Part of the prompt has been computed.
    Prefill {
        /// The request.
        id: u32,
        /// Tokens of the prompt that are in the cache now.
        done: usize,
        /// Tokens of the prompt.
        total: usize,
    },
    /// A token has been chosen.
    Token {
        /// The request.
        id: u32,
        /// The token.
        token: u32,
        /// Text of the answer that became certain; often empty.
        content: String,
        /// Text of the reasoning that became certain; often empty.
        reasoning: String,
        /// Calls of tools that became complete; mostly none.
        tool_calls: Vec<ToolCall>,
        /// Log-probabilities, if they were asked for.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[tsify(optional)]
        logprobs: Option<TokenLogprobs>,
    },
    /// The request is done.
    Finished {
        /// The request.
        id: u32,
        /// Why it ended.
        #[tsify(type = r#""stop" | "length" | "abort" | "tool_calls""#)]
        reason: &'static str,
        /// Text of the answer that had been held back.
        content: String,
        /// Text of the reasoning that had been held back.
        reasoning: String,
        /// Calls of tools that the end completed.
        tool_calls: Vec<ToolCall>,
        /// What was counted.
        usage: TokenCounts,
        /// What was measured.
        timings: Timings,
    },
    /// The request could not go on.
    Failed {
        /// The request.
        id: u32,
        /// Why.
        error: ErrorReport,
    },
}
