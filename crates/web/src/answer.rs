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

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    /// All of the content and all of the reasoning of an answer that arrives in `texts`.
    fn parted(mut answer: Answer, texts: &[&str]) -> (String, String) {
        let mut whole = Parted::default();
        let mut add = |part: Parted| {
            whole.content.push_str(&part.content);
            whole.reasoning.push_str(&part.reasoning);
        };
        for text in texts {
            add(answer.push((*text).to_owned()));
        }
        add(answer.finish(String::new()));
        (
            whole.content.trim().to_owned(),
            whole.reasoning.trim().to_owned(),
        )
    }

    #[wasm_bindgen_test]
    fn reasoning_and_content_part_at_the_tags_wherever_the_text_is_cut() {
        let expected = ("Blue.".to_owned(), "Hm.".to_owned());
        for texts in [
            &["<think>Hm.</think>Blue."][..],
            &["<th", "ink>H", "m.</", "think>", "Blue."],
        ] {
            assert_eq!(parted(Answer::to_chat("<|assistant|>"), texts), expected);
        }
    }

    #[wasm_bindgen_test]
    fn a_prompt_may_have_begun_the_reasoning() {
        let answer = Answer::to_chat("<|assistant|><think>\n");
        assert_eq!(
            parted(answer, &["Hm.</think>", "Blue."]),
            ("Blue.".to_owned(), "Hm.".to_owned())
        );
    }

    #[wasm_bindgen_test]
    fn what_was_held_back_comes_at_the_end() {
        assert_eq!(
            parted(Answer::to_chat(""), &["a <thi"]),
            ("a <thi".to_owned(), String::new())
        );
    }

    #[wasm_bindgen_test]
    fn a_completion_is_left_as_it_is() {
        let text = "<think>Hm.</think>Blue.";
        assert_eq!(
            parted(Answer::Plain, &[text]),
            (text.to_owned(), String::new())
        );
    }
}
