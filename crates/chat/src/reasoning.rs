//! Splitting what a model thinks from what it says.

/// A run of text that is all reasoning or all content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Text between `<think>` and `</think>`.
    Reasoning(String),
    /// The answer.
    Content(String),
}

/// Splits a stream of text at `<think>…</think>`.
#[derive(Debug, Clone, Default)]
pub struct ReasoningParser {}

impl ReasoningParser {
    /// A parser at the start of an answer; `inside` where the prompt already ended with an open `<think>`.
    pub fn new(inside: bool) -> Self {
        let _ = inside;
        Self {}
    }

    /// The pieces that `text` completes; a possible start of a tag is held back.
    pub fn push(&mut self, text: &str) -> Vec<Piece> {
        let _ = text;
        Vec::new()
    }

    /// What was held back.
    pub fn finish(&mut self) -> Vec<Piece> {
        Vec::new()
    }
}
