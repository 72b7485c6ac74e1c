//! One request's answer on its way out: reasoning parted from content, probabilities by text.

use chat::{Piece, ReasoningParser};

/// What a model that thinks before it answers writes first, where its template has not done so.
const THINKING_BEGINS: &str = "<think>";

/// Text that became certain with one event; either part may be empty.
#[derive(Default)]
pub(crate) struct Parted {
    pub(crate) content: String,
    pub(crate) reasoning: String,
}

impl Parted {
    fn from_pieces(pieces: Vec<Piece>) -> Self {
        let mut parted = Self::default();
        for piece in pieces {
            match piece {
                Piece::Content(text) => parted.content.push_str(&text),
                Piece::Reasoning(text) => parted.reasoning.push_str(&text),
            }
        }
        parted
    }
}

/// How one request's text is shown.
pub(crate) enum Answer {
    /// As the model writes it.
    Plain,
    /// A chat's: what is between the tags of thinking is reasoning.
    Chat(ReasoningParser),
}

impl Answer {
    /// The answer to a conversation that was rendered as `prompt`.
    pub(crate) fn to_chat(prompt: &str) -> Self {
        Self::Chat(ReasoningParser::new(
            prompt.trim_end().ends_with(THINKING_BEGINS),
        ))
    }

    pub(crate) fn push(&mut self, text: String) -> Parted {
        match self {
            Self::Plain => Parted {
                content: text,
                ..Parted::default()
            },
            Self::Chat(parser) => Parted::from_pieces(parser.push(&text)),
        }
    }

    /// The last text, and whatever was held back.
    pub(crate) fn finish(mut self, text: String) -> Parted {
        let mut last = self.push(text);
        if let Self::Chat(mut parser) = self {
            let held = Parted::from_pieces(parser.finish());
            last.content.push_str(&held.content);
            last.reasoning.push_str(&held.reasoning);
        }
        last
    }
}
