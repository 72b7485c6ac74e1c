//! One request's answer on its way out: reasoning and calls of tools parted from content.

use chat::{Piece, ResponseFormat, ResponseParser};
use serde_json::Value;

use crate::clock;
use crate::event::{CalledFunction, ToolCall};

/// What became certain with one event; any part may be empty.
#[derive(Default)]
pub(crate) struct Parted {
    pub(crate) content: String,
    pub(crate) reasoning: String,
    pub(crate) tool_calls: Vec<ToolCall>,
}

impl Parted {
    fn add(&mut self, pieces: Vec<Piece>) {
        for piece in pieces {
            match piece {
                Piece::Content(text) => self.content.push_str(&text),
                Piece::Reasoning(text) => self.reasoning.push_str(&text),
                Piece::ToolCall {
                    index,
                    id,
                    name,
                    arguments,
                } => self.tool_calls.push(ToolCall {
                    index,
                    id: id.unwrap_or_else(call_id),
                    kind: "function",
                    function: CalledFunction { name, arguments },
                }),
            }
        }
    }
}

/// A name for a call: nine letters and digits, which is what the strictest templates (Mistral's) take.
fn call_id() -> String {
    const LENGTH: usize = 9;
    const RADIX: u64 = 36;
    let mut seed = clock::random_seed();
    let mut digit = || {
        let digit = char::from_digit((seed % RADIX) as u32, RADIX as u32);
        seed /= RADIX;
        digit
    };
    (0..LENGTH).filter_map(|_| digit()).collect()
}

/// How one request's text is shown.
pub(crate) enum Answer {
    /// As the model writes it.
    Plain,
    /// A chat's: taken apart by the marks of the model's family.
    Chat(Box<ResponseParser>),
}

impl Answer {
    /// The answer to a conversation with `tools` that was rendered as `prompt`.
    pub(crate) fn to_chat(format: ResponseFormat, prompt: &str, tools: &[Value]) -> Self {
        Self::Chat(Box::new(ResponseParser::new(format, prompt, tools)))
    }

    pub(crate) fn push(&mut self, text: String) -> Parted {
        let mut parted = Parted::default();
        match self {
            Self::Plain => parted.content = text,
            Self::Chat(parser) => parted.add(parser.push(&text)),
        }
        parted
    }

    /// The last text, and whatever was held back.
    pub(crate) fn finish(mut self, text: String) -> Parted {
        let mut last = self.push(text);
        if let Self::Chat(mut parser) = self {
            last.add(parser.finish());
        }
        last
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn to_chat(prompt: &str) -> Answer {
        Answer::to_chat(ResponseFormat::default(), prompt, &[])
    }

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
            assert_eq!(parted(to_chat("<|assistant|>"), texts), expected);
        }
    }

    #[wasm_bindgen_test]
    fn a_prompt_may_have_begun_the_reasoning() {
        let answer = to_chat("<|assistant|><think>\n");
        assert_eq!(
            parted(answer, &["Hm.</think>", "Blue."]),
            ("Blue.".to_owned(), "Hm.".to_owned())
        );
    }

    #[wasm_bindgen_test]
    fn what_was_held_back_comes_at_the_end() {
        assert_eq!(
            parted(to_chat(""), &["a <thi"]),
            ("a <thi".to_owned(), String::new())
        );
    }

    #[wasm_bindgen_test]
    fn calls_of_tools_part_from_content_and_get_a_name() {
        let format = ResponseFormat::from_template("<tool_call>");
        let tools = [serde_json::json!({"type": "function", "function": {"name": "now"}})];
        let mut answer = Answer::to_chat(format, "", &tools);
        let call = "Wait.\n<tool_call>{\"name\": \"now\", \"arguments\": {\"in\": 1}}</tool_call>";
        let parted = answer.push(call.to_owned());
        assert_eq!(parted.content, "Wait.");
        let [call] = &parted.tool_calls[..] else {
            panic!("{} calls", parted.tool_calls.len())
        };
        assert_eq!((call.index, call.kind), (0, "function"));
        assert_eq!(call.function.name, "now");
        assert_eq!(call.function.arguments, r#"{"in": 1}"#);
        assert_eq!(call.id.len(), 9);
        assert!(call.id.chars().all(|c| c.is_ascii_alphanumeric()));
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
