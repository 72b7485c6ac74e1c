//! Splitting what a model thinks from what it says.

use super::Piece;

/// Where the text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before anything but white space: only here does the opening mark open reasoning.
    Start,
    Reasoning,
    /// After the closing mark: white space is dropped up to the answer's first character.
    BeforeContent,
    Content,
}

/// Splits a model's text, as it comes, at the marks of a thought around its start.
///
/// The marks themselves, and white space between them and the text, belong to neither part. What may be the beginning of
/// a mark is held back until it is known not to be one.
#[derive(Debug, Clone)]
pub(super) struct ReasoningParser {
    open: &'static str,
    close: &'static str,
    place: Place,
    held: String,
    /// Whether reasoning has been shown: white space before its first character is dropped.
    reasoned: bool,
}

impl ReasoningParser {
    /// A parser at the start of an answer; `inside` where the prompt already ends with the opening mark.
    pub(super) fn new([open, close]: [&'static str; 2], inside: bool) -> Self {
        let place = if inside {
            Place::Reasoning
        } else {
            Place::Start
        };
        Self {
            open,
            close,
            place,
            held: String::new(),
            reasoned: false,
        }
    }

    /// The pieces that `text` completes, often none or one.
    pub(super) fn push(&mut self, text: &str) -> Vec<Piece> {
        self.held.push_str(text);
        let mut pieces = Vec::new();
        while self.step(&mut pieces) {}
        pieces
    }

    /// What was held back and turned out to be text. The parser is then at the start of an answer.
    pub(super) fn finish(&mut self) -> Vec<Piece> {
        let held = std::mem::take(&mut self.held);
        let piece = match self.place {
            Place::Start | Place::Content => Some(Piece::Content(held)),
            Place::Reasoning => Some(Piece::Reasoning(held.trim_end().to_owned())),
            Place::BeforeContent => None,
        };
        *self = Self::new([self.open, self.close], false);
        piece.into_iter().filter(has_text).collect()
    }

    /// Takes what is decided off `held`; whether there is more to look at.
    fn step(&mut self, pieces: &mut Vec<Piece>) -> bool {
        match self.place {
            Place::Start => {
                let text = self.held.trim_start();
                if text.starts_with(self.open) {
                    self.held
                        .drain(..self.held.len() - text.len() + self.open.len());
                    self.place = Place::Reasoning;
                    return true;
                }
                if !self.open.starts_with(text) {
                    self.place = Place::Content;
                    return true;
                }
                false
            }
            Place::Reasoning => {
                if !self.reasoned {
                    let space = self.held.len() - self.held.trim_start().len();
                    self.held.drain(..space);
                }
                let (text, rest) = match self.held.find(self.close) {
                    Some(close) => (
                        self.held[..close].trim_end(),
                        Some(close + self.close.len()),
                    ),
                    None => (&self.held[..decided(&self.held, self.close)], None),
                };
                let text = text.to_owned();
                self.held.drain(..rest.unwrap_or(text.len()));
                if !text.is_empty() {
                    self.reasoned = true;
                    pieces.push(Piece::Reasoning(text));
                }
                if rest.is_some() {
                    self.place = Place::BeforeContent;
                }
                rest.is_some()
            }
            Place::BeforeContent => {
                let space = self.held.len() - self.held.trim_start().len();
                self.held.drain(..space);
                if !self.held.is_empty() {
                    self.place = Place::Content;
                }
                !self.held.is_empty()
            }
            Place::Content => {
                if !self.held.is_empty() {
                    pieces.push(Piece::Content(std::mem::take(&mut self.held)));
                }
                false
            }
        }
    }
}

fn has_text(piece: &Piece) -> bool {
    !matches!(piece, Piece::Reasoning(text) | Piece::Content(text) if text.is_empty())
}

/// Bytes at the start of reasoning `text` that cannot be part of its end: the mark `close` and white space before it.
fn decided(text: &str, close: &str) -> usize {
    let mark = (1..close.len())
        .rev()
        .find(|&length| text.ends_with(&close[..length]))
        .unwrap_or(0);
    text[..text.len() - mark].trim_end().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKS: [&str; 2] = ["<think>", "</think>"];

    /// Reasoning and content of `text` cut into pieces of `size` characters.
    fn split(text: &str, inside: bool, size: usize) -> (String, String) {
        let mut parser = ReasoningParser::new(MARKS, inside);
        let chars: Vec<char> = text.chars().collect();
        let mut pieces: Vec<Piece> = chars
            .chunks(size)
            .flat_map(|chunk| parser.push(&chunk.iter().collect::<String>()))
            .collect();
        pieces.extend(parser.finish());
        let (mut reasoning, mut content) = (String::new(), String::new());
        for piece in pieces {
            match piece {
                Piece::Reasoning(text) => {
                    assert!(content.is_empty() && !text.is_empty());
                    reasoning.push_str(&text);
                }
                Piece::Content(text) => {
                    assert!(!text.is_empty());
                    content.push_str(&text);
                }
                Piece::ToolCall { .. } => unreachable!("tools are not looked for here"),
            }
        }
        (reasoning, content)
    }

    #[test]
    fn any_cut_gives_the_same_parts() {
        let cases = [
            (
                "<think>\nLet me see.\n\nYes.\n</think>\n\nIt is so.\n",
                false,
                "Let me see.\n\nYes.",
                "It is so.\n",
            ),
            (
                "Let me see.\n</think>\n\nIt is so.",
                true,
                "Let me see.",
                "It is so.",
            ),
            ("\n<think>\n\n</think>\n\nAt once.", false, "", "At once."),
            ("No thoughts.", false, "", "No thoughts."),
            ("  Spaces stay.  ", false, "", "  Spaces stay.  "),
            (
                "a <think> b </think> c",
                false,
                "",
                "a <think> b </think> c",
            ),
            ("<think>1 < 2 </thin </think>x", false, "1 < 2 </thin", "x"),
            ("<think>never closed </thi", false, "never closed </thi", ""),
            ("<think>never closed \n ", false, "never closed", ""),
            ("<thin", false, "", "<thin"),
            ("<thinking>", false, "", "<thinking>"),
            ("", false, "", ""),
            ("<think>é</think>é", false, "é", "é"),
        ];
        for (text, inside, reasoning, content) in cases {
            for size in 1..=text.len().max(1) {
                assert_eq!(
                    split(text, inside, size),
                    (reasoning.to_owned(), content.to_owned()),
                    "{text:?} by {size}"
                );
            }
        }
    }

    #[test]
    fn text_that_cannot_be_a_tag_is_not_held_back() {
        let mut parser = ReasoningParser::new(MARKS, false);
        assert_eq!(parser.push("<"), []);
        assert_eq!(parser.push("b>"), [Piece::Content("<b>".into())]);
        assert_eq!(parser.push("<"), [Piece::Content("<".into())]);

        let mut parser = ReasoningParser::new(MARKS, true);
        assert_eq!(parser.push("one "), [Piece::Reasoning("one".into())]);
        assert_eq!(parser.push("two"), [Piece::Reasoning(" two".into())]);
    }
}
