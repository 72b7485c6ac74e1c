//! Chat templates: messages to prompt, and the way back from text to reasoning, answer and calls of tools.
//!
//! A GGUF file carries its model's own template in `tokenizer.chat_template`; [`Template`] renders it as Hugging Face's
//! `transformers` would. [`ResponseParser`] takes apart what the model then writes: reasoning, content and calls of tools.

mod context;
mod conversation;
mod environment;
mod error;
mod json;
mod response;
mod strftime;
mod template;

pub use conversation::{Content, Conversation, FunctionCall, Message, Part, ToolCall};
pub use error::Error;
pub use response::{Piece, ResponseFormat, ResponseParser};
pub use template::{SpecialTokens, Template};
