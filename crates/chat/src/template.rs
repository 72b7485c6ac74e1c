//! Rendering a model's chat template.

use crate::{Conversation, Error};

/// The texts of the tokens that templates write around a conversation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SpecialTokens {
    /// The beginning-of-sequence token's text, or nothing.
    pub bos: String,
    /// The end-of-sequence token's text, or nothing.
    pub eos: String,
}

/// A compiled chat template.
#[derive(Debug)]
pub struct Template {
    special: SpecialTokens,
}

impl Template {
    /// Compiles `source`, the value of `tokenizer.chat_template`.
    pub fn new(source: &str, special: SpecialTokens) -> Result<Self, Error> {
        let _ = source;
        Ok(Self { special })
    }

    /// The ChatML template, for a file that has none.
    pub fn chatml() -> Self {
        Self {
            special: SpecialTokens::default(),
        }
    }

    /// The prompt of `conversation`.
    pub fn render(&self, conversation: &Conversation) -> Result<String, Error> {
        let _ = (conversation, &self.special);
        Ok(String::new())
    }
}
