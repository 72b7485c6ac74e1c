//! Chat templates: messages to prompt, and the way back.

mod conversation;
mod error;
mod reasoning;
mod template;

pub use conversation::{Content, Conversation, FunctionCall, Message, Part, ToolCall};
pub use error::Error;
pub use reasoning::{Piece, ReasoningParser};
pub use template::{SpecialTokens, Template};
