//! Prompts against Jinja2's. `tests/fixtures/chat/README.md` says how they were made.

use std::fs;
use std::path::{Path, PathBuf};

use chat::{Conversation, Error, SpecialTokens, Template};
use serde_json::{Map, Value};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/chat")
}

fn list(options: &Map<String, Value>, name: &str) -> Vec<Value> {
    options
        .get(name)
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default()
}

fn conversation(case: &Value, now: i64) -> Conversation {
    let options = case[1].as_object().expect("an object");
    Conversation {
        messages: serde_json::from_value(case[0].clone()).expect("messages"),
        tools: list(options, "tools"),
        documents: list(options, "documents"),
        add_generation_prompt: options.contains_key("add_generation_prompt"),
        enable_thinking: options.get("enable_thinking").and_then(Value::as_bool),
        now: Some(now),
        extra: options
            .get("extra")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default(),
    }
}

/// Where a prompt parts from the expected one, or what else is unlike.
fn difference(found: &Result<String, Error>, expected: &Value) -> String {
    const SHOWN: usize = 60;
    let (Ok(found), Some(expected)) = (found, expected["prompt"].as_str()) else {
        let expected: String = expected.to_string().chars().take(SHOWN).collect();
        return format!("expected {expected}, found {found:?}");
    };
    let same = found
        .chars()
        .zip(expected.chars())
        .take_while(|(a, b)| a == b)
        .count();
    let rest = |text: &str| {
        text.chars()
            .skip(same.saturating_sub(SHOWN))
            .take(2 * SHOWN)
            .collect::<String>()
    };
    format!("expected {:?}, found {:?}", rest(expected), rest(found))
}

#[test]
fn prompts_are_those_of_jinja2() {
    let golden = fs::read_to_string(fixtures().join("golden.json")).expect("golden.json");
    let golden: Value = serde_json::from_str(&golden).expect("JSON");
    let now = golden["now"].as_i64().expect("a time");
    let special = |name: &str| golden["special"][name].as_str().expect("a text").to_owned();
    let mut compared = 0;
    let mut differences = Vec::new();
    for (name, expected) in golden["templates"].as_object().expect("an object") {
        let source =
            fs::read_to_string(fixtures().join("templates").join(name)).expect("a template");
        let special = SpecialTokens {
            bos: special("bos_token"),
            eos: special("eos_token"),
        };
        let template = match Template::new(&source, special) {
            Ok(template) => template,
            Err(error) => {
                differences.push(format!("{name}: {error}"));
                continue;
            }
        };
        for (case, expected) in expected.as_object().expect("an object") {
            compared += 1;
            let found = template.render(&conversation(&golden["cases"][case], now));
            let same = match &found {
                Ok(prompt) => expected["prompt"] == *prompt,
                Err(Error::Template { line, message }) => {
                    *line > 0 && (expected["raised"] == *message || expected.get("error").is_some())
                }
                Err(_) => false,
            };
            if !same {
                differences.push(format!("{name}, {case}: {}", difference(&found, expected)));
            }
        }
    }
    assert!(
        differences.is_empty(),
        "{} of {compared} differ:\n{}",
        differences.len(),
        differences.join("\n")
    );
    assert!(compared >= 200, "only {compared} were compared");
}
