//! Chat templates: messages to prompt, and the way back from text to reasoning and answer.
//!
//! A GGUF file carries its model's own template in `tokenizer.chat_template`; [`Template`] renders it as Hugging Face's
//! `transformers` would. [`ReasoningParser`] splits what the model then writes.

mod context;
mod conversation;
mod environment;
mod error;
mod json;
mod reasoning;
mod strftime;
mod template;

pub use conversation::{Content, Conversation, FunctionCall, Message, Part, ToolCall};
pub use error::Error;
pub use reasoning::{Piece, ReasoningParser};
pub use template::{SpecialTokens, Template};
