//! Taking a model's answer apart: what it thinks, what it says, and which tools it calls.

mod calls;
mod format;
mod json_calls;
mod marked_calls;
mod python_calls;
mod reasoning;
#[cfg(test)]
mod tests;

use serde_json::Value as Json;

use calls::CallScanner;
pub use format::ResponseFormat;
use reasoning::ReasoningParser;

/// A part of an answer. Texts are never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// What the model thinks before it answers.
    Reasoning(String),
    /// The answer.
    Content(String),
    /// A call of a tool, complete.
    ToolCall {
        /// Its place among the answer's calls, from 0.
        index: usize,
        /// The model's own name for the call, from those that give one.
        id: Option<String>,
        /// The tool.
        name: String,
        /// The arguments: a JSON object as text.
        arguments: String,
    },
}

/// Takes a model's answer apart as it comes.
///
/// What may be the beginning of a mark or of a call is held back until it is known not to be one; a call comes whole. Text
/// that looks like a call but cannot be read comes as content: nothing is lost but the marks, and white space beside them.
#[derive(Debug, Clone)]
pub struct ResponseParser {
    reasoning: ReasoningParser,
    calls: Option<CallScanner>,
}

impl ResponseParser {
    /// A parser at the start of the answer to `prompt`, which may have opened the model's thought already. Without `tools`
    /// (in OpenAI's shape) calls are content like any other.
    pub fn new(format: ResponseFormat, prompt: &str, tools: &[Json]) -> Self {
        let [open, _] = format.thought;
        let calls = format.calls.filter(|_| !tools.is_empty());
        Self {
            reasoning: ReasoningParser::new(format.thought, prompt.trim_end().ends_with(open)),
            calls: calls.map(|calls| CallScanner::new(calls, tools)),
        }
    }

    /// The pieces that `text` completes, often none or one.
    pub fn push(&mut self, text: &str) -> Vec<Piece> {
        let pieces = self.reasoning.push(text);
        self.scan(pieces)
    }

    /// What was held back, as whatever it turned out to be. The parser is then at the end of the answer.
    pub fn finish(&mut self) -> Vec<Piece> {
        let pieces = self.reasoning.finish();
        let mut pieces = self.scan(pieces);
        if let Some(calls) = &mut self.calls {
            calls.finish(&mut pieces);
        }
        pieces
    }

    /// Finds the calls in the content among `pieces`.
    fn scan(&mut self, pieces: Vec<Piece>) -> Vec<Piece> {
        let Some(calls) = &mut self.calls else {
            return pieces;
        };
        let mut found = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Content(text) => calls.push(&text, &mut found),
                other => found.push(other),
            }
        }
        found
    }
}
