//! Whole answers of each family, cut wherever they may be.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::{Piece, ResponseFormat, ResponseParser};

/// Text that a family's template writes, by which it is known.
const TAGGED: &str = "<tool_call>";
const MISTRAL: &str = "[TOOL_CALLS]";
const MAGISTRAL: &str = "[THINK][/THINK][TOOL_CALLS][ARGS]";
const DEEPSEEK: &str = "<｜tool▁calls▁begin｜>";
const PHI: &str = "<|tool|>";
const LLAMA: &str = "<|start_header_id|>ipython";
const GEMMA: &str = "<start_of_turn>";
const FAMILIES: [&str; 7] = [TAGGED, MISTRAL, MAGISTRAL, DEEPSEEK, PHI, LLAMA, GEMMA];

fn tools() -> Vec<Json> {
    let properties = json!({"city": {"type": "string"}, "days": {"type": "integer"}});
    let parameters = json!({"type": "object", "properties": properties});
    vec![
        json!({"type": "function", "function": {"name": "weather", "parameters": parameters}}),
        json!({"name": "now"}),
    ]
}

fn reasoning(text: &str) -> Piece {
    Piece::Reasoning(text.into())
}

fn content(text: &str) -> Piece {
    Piece::Content(text.into())
}

fn call(index: usize, name: &str, arguments: &str) -> Piece {
    Piece::ToolCall {
        index,
        id: None,
        name: name.into(),
        arguments: arguments.into(),
    }
}

/// The pieces of an answer that comes in `parts`, neighbours of one kind joined.
fn parse<'t>(template: &str, prompt: &str, parts: impl Iterator<Item = &'t str>) -> Vec<Piece> {
    let format = ResponseFormat::from_template(template);
    let mut parser = ResponseParser::new(format, prompt, &tools());
    let mut pieces: Vec<Piece> = parts.flat_map(|part| parser.push(part)).collect();
    pieces.extend(parser.finish());
    let mut joined: Vec<Piece> = Vec::new();
    for piece in pieces {
        match (joined.last_mut(), piece) {
            (Some(Piece::Content(last)), Piece::Content(text))
            | (Some(Piece::Reasoning(last)), Piece::Reasoning(text)) => last.push_str(&text),
            (_, piece) => joined.push(piece),
        }
    }
    joined
}

/// `text` in parts of `size` characters.
fn cut(text: &str, size: usize) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let end = rest
            .char_indices()
            .nth(size)
            .map_or(rest.len(), |(at, _)| at);
        let (part, after) = rest.split_at(end);
        rest = after;
        (!part.is_empty()).then_some(part)
    })
}

fn check(template: &str, prompt: &str, text: &str, expected: &[Piece]) {
    for size in 1..=text.chars().count().max(1) {
        let found = parse(template, prompt, cut(text, size));
        assert_eq!(found, expected, "{text:?} by {size}");
    }
}

#[test]
fn tagged_calls() {
    check(
        TAGGED,
        "",
        "<think>\nHm.\n</think>\n\nLet me see.\n\n<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Zürich\", \"days\": 2}}\n</tool_call>\n<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>\n",
        &[
            reasoning("Hm."),
            content("Let me see."),
            call(0, "weather", r#"{"city": "Zürich", "days": 2}"#),
            call(1, "now", "{}"),
        ],
    );
    // Without an end, as some models stop; and with text after.
    check(
        TAGGED,
        "",
        "<tool_call>{\"name\": \"now\"}",
        &[call(0, "now", "{}")],
    );
    check(
        TAGGED,
        "",
        "<tool_call>{\"name\": \"now\"}</tool_call>\n Done.",
        &[call(0, "now", "{}"), content("Done.")],
    );
}

#[test]
fn calls_tagged_to_their_arguments() {
    check(
        TAGGED,
        "",
        "<tool_call>\n<function=weather>\n<parameter=city>\n1234\n</parameter>\n<parameter=days>\n2\n</parameter>\n<parameter=note>\na\n b\n</parameter>\n</function>\n</tool_call>",
        &[call(
            0,
            "weather",
            r#"{"city": "1234", "days": 2, "note": "a\n b"}"#,
        )],
    );
}

#[test]
fn mistrals_calls() {
    check(
        MISTRAL,
        "",
        "[TOOL_CALLS][{\"name\": \"weather\", \"arguments\": {\"city\": \"Bern\"}, \"id\": \"abcdefghi\"}, {\"name\": \"now\", \"arguments\": {}}]",
        &[
            Piece::ToolCall {
                index: 0,
                id: Some("abcdefghi".into()),
                name: "weather".into(),
                arguments: r#"{"city": "Bern"}"#.into(),
            },
            call(1, "now", "{}"),
        ],
    );
    check(
        MAGISTRAL,
        "",
        "[THINK]Hm.[/THINK]Wait.[TOOL_CALLS]weather[CALL_ID]a1[ARGS]{\"city\": \"Bern\"}[TOOL_CALLS]now[ARGS]{}",
        &[
            reasoning("Hm."),
            content("Wait."),
            Piece::ToolCall {
                index: 0,
                id: Some("a1".into()),
                name: "weather".into(),
                arguments: r#"{"city": "Bern"}"#.into(),
            },
            call(1, "now", "{}"),
        ],
    );
}

#[test]
fn deepseeks_calls_after_a_thought_that_the_prompt_opened() {
    check(
        DEEPSEEK,
        "<｜Assistant｜><think>\n",
        "Hm.\n</think>\n\n<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>weather\n```json\n{\"city\": \"Bern\"}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>now\n```json\n{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
        &[
            reasoning("Hm."),
            call(0, "weather", r#"{"city": "Bern"}"#),
            call(1, "now", "{}"),
        ],
    );
}

#[test]
fn phis_calls() {
    check(
        PHI,
        "",
        "<|tool_call|>[{\"type\": \"function\", \"function\": {\"name\": \"weather\", \"arguments\": \"{\\\"days\\\": 1}\"}}]<|/tool_call|>",
        &[call(0, "weather", r#"{"days": 1}"#)],
    );
}

#[test]
fn llamas_calls() {
    check(
        LLAMA,
        "",
        "{\"name\": \"weather\", \"parameters\": {\"city\": \"Bern\"}}; {\"type\": \"function\", \"name\": \"now\", \"parameters\": {}}",
        &[
            call(0, "weather", r#"{"city": "Bern"}"#),
            call(1, "now", "{}"),
        ],
    );
    check(
        LLAMA,
        "",
        "Sure. <|python_tag|>{\"name\": \"now\", \"parameters\": {}}",
        &[content("Sure."), call(0, "now", "{}")],
    );
    // JSON that is no call of a tool at hand, and JSON within text.
    for text in [
        r#"{"name": "Ada", "parameters": {}}"#,
        r#"{"names": ["Ada"]} "#,
        r#" {"name": "now""#,
        r#"Like {"name": "now"}."#,
    ] {
        check(LLAMA, "", text, &[content(text)]);
    }
}

#[test]
fn gemmas_blocks() {
    check(
        GEMMA,
        "",
        "I look.\n```tool_code\n{\"name\": \"now\", \"parameters\": {}}\n```",
        &[content("I look."), call(0, "now", "{}")],
    );
    check(
        GEMMA,
        "",
        "```tool_code\nprint(weather(city='Zu\\'rich', days = 2, near=[1.5, None, {\"a\": True}], at=()))\nnow()\n```\n",
        &[
            call(
                0,
                "weather",
                r#"{"city": "Zu'rich", "days": 2, "near": [1.5, null, {"a": true}], "at": []}"#,
            ),
            call(1, "now", "{}"),
        ],
    );
    for code in [
        "now",
        "now(",
        "now(1)",
        "now(a=)",
        "now(a=b)",
        "now(a='b)",
        "now(a=[1)",
        "now(a={1: 2})",
        "print(now()",
        "later()",
        "now() +",
    ] {
        let text = format!("```tool_code\n{code}\n```");
        check(GEMMA, "", &text, &[content(&text)]);
    }
    let deep = format!("```tool_code\nnow(a={})\n```", "[".repeat(9999));
    assert_eq!(parse(GEMMA, "", std::iter::once(&*deep)), [content(&deep)]);
    let code = "```json\n{\"a\": 1}\n```\nand ```tool_code\nprint(1)\n```.";
    check(GEMMA, "", code, &[content(code)]);
}

#[test]
fn what_cannot_be_read_is_content() {
    for text in [
        "<tool_call>\n{\"name\": \"now\", \"arguments\": {\n</tool_call>\n",
        "<tool_call>{\"name\": 1}</tool_call> ",
        "<tool_call>{\"name\": \"now\", \"arguments\": [1]}</tool_call>",
        "a <tool_call>\n<function=now>\n<parameter=x>\n</function>\n</tool_call>",
        " <tool_call>",
        "<tool_call></tool_call><tool_",
        "a < b",
    ] {
        check(TAGGED, "", text, &[content(text)]);
    }
    for text in [
        "[TOOL_CALLS]now",
        "[TOOL_CALLS][",
        "[TOOL_CALLS][]",
        "[1] [TOOL",
    ] {
        check(MISTRAL, "", text, &[content(text)]);
    }
}

#[test]
fn without_tools_a_call_is_content() {
    let format = ResponseFormat::from_template(TAGGED);
    let mut parser = ResponseParser::new(format, "", &[]);
    let text = "<tool_call>{\"name\": \"now\"}</tool_call>";
    assert_eq!(parser.push(text), [content(text)]);
    assert_eq!(parser.finish(), []);
}

#[test]
fn text_that_cannot_be_a_mark_is_not_held_back() {
    let format = ResponseFormat::from_template(TAGGED);
    let mut parser = ResponseParser::new(format, "", &tools());
    assert_eq!(parser.push("a <tool"), [content("a")]);
    assert_eq!(parser.push("box"), [content(" <toolbox")]);
    assert_eq!(parser.push(" "), []);
    assert_eq!(parser.push("b"), [content(" b")]);
}

#[test]
fn a_template_tells_the_format() {
    let read = |name: &str| {
        let path = format!(
            "{}/../../tests/fixtures/chat/templates/{name}.jinja",
            env!("CARGO_MANIFEST_DIR")
        );
        ResponseFormat::from_template(&std::fs::read_to_string(path).expect("a template"))
    };
    for (template, like) in [
        ("qwen2.5", TAGGED),
        ("qwen3", TAGGED),
        ("qwen3-coder", TAGGED),
        ("mistral-v0.3", MISTRAL),
        ("mistral-nemo", MISTRAL),
        ("deepseek-r1-distill", DEEPSEEK),
        ("phi-4-mini", PHI),
        ("llama-3.1", LLAMA),
        ("llama-3.2", LLAMA),
        ("gemma-2", GEMMA),
        ("gemma-3", GEMMA),
        ("llama-2", ""),
        ("phi-3.5", ""),
        ("bitnet", ""),
        ("smollm2", ""),
        ("smollm3", TAGGED),
    ] {
        assert_eq!(
            read(template),
            ResponseFormat::from_template(like),
            "{template}"
        );
    }
    assert!(!read("qwen3").shows_control_tokens());
    assert!(read("phi-4-mini").shows_control_tokens());
}

/// Marks, whole and broken, between pieces of calls and anything else.
fn answers() -> impl Strategy<Value = String> {
    let marks = prop::sample::select(vec![
        "<tool_call>",
        "</tool_call>",
        "<tool_",
        "[TOOL_CALLS]",
        "[ARGS]",
        "<｜tool▁calls▁begin｜>",
        "<｜tool▁calls▁end｜>",
        "<｜tool▁call▁begin｜>function<｜tool▁sep｜>now\n```json\n{}\n```<｜tool▁call▁end｜>",
        "<|tool_call|>",
        "<|/tool_call|>",
        "<|python_tag|>",
        "```tool_code",
        "```",
        "{\"name\": \"now\", \"parameters\": {}}",
        "{\"name\": \"now\"",
        "<function=now>",
        "</function>",
        "[",
        "]",
        "\n",
        " ",
        "é",
    ])
    .prop_map(str::to_owned);
    let pieces = prop_oneof![3 => marks, 1 => "[a-z<{ \n]{0,6}"];
    prop::collection::vec(pieces, 0..10).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    /// However an answer is cut, its pieces are the same, and where none is a call, they are the answer.
    #[test]
    fn nothing_is_lost(text in answers(), family in 0..FAMILIES.len(), size in 1_usize..9) {
        let whole = parse(FAMILIES[family], "", std::iter::once(&*text));
        prop_assert_eq!(&parse(FAMILIES[family], "", cut(&text, size)), &whole);
        let called = whole.iter().any(|piece| matches!(piece, Piece::ToolCall { .. }));
        if !called && !text.is_empty() {
            prop_assert_eq!(whole, [Piece::Content(text)]);
        }
    }
}
