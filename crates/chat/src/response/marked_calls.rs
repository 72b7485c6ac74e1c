//! Calls written with marks around name and arguments.

use serde_json::{Map, Value as Json};

use super::calls::Tool;
use super::json_calls::{self, Call};

/// `<function=name><parameter=key>value</parameter>…</function>`, as Qwen3-Coder has it. A value is text if the definition
/// among `tools` says so, and JSON if it can be; lines right inside the marks are not part of it.
pub(super) fn function(text: &str, tools: &[Tool]) -> Option<Call> {
    let (name, mut rest) = text.strip_prefix("<function=")?.split_once('>')?;
    let tool = tools.iter().find(|tool| tool.name == name);
    let mut arguments = Map::new();
    loop {
        rest = rest.trim_start();
        let Some(parameter) = rest.strip_prefix("<parameter=") else {
            break;
        };
        let (key, value) = parameter.split_once('>')?;
        let (value, after) = value.split_once("</parameter>")?;
        let value = value.strip_prefix('\n').unwrap_or(value);
        let value = value.strip_suffix('\n').unwrap_or(value);
        let is_text = tool.is_some_and(|tool| tool.texts.iter().any(|text| text == key));
        let read = match is_text {
            true => None,
            false => serde_json::from_str(value).ok(),
        };
        arguments.insert(key.to_owned(), read.unwrap_or_else(|| value.into()));
        rest = after;
    }
    if rest.trim() != "</function>" {
        return None;
    }
    json_calls::finished(None, name, &Json::Object(arguments))
}

/// `name[ARGS]{…}`, with `[CALL_ID]id` after the name in some, and `[TOOL_CALLS]` between calls.
pub(super) fn mistral(text: &str) -> Option<Vec<Call>> {
    let call = |text: &str| {
        let (head, arguments) = text.split_once("[ARGS]")?;
        let (name, id) = match head.split_once("[CALL_ID]") {
            Some((name, id)) => (name, Some(id.trim().to_owned())),
            None => (head, None),
        };
        json_calls::with_arguments(id, name, arguments)
    };
    text.split("[TOOL_CALLS]").map(call).collect()
}

/// DeepSeek R1's: the kind of tool, its name, and the arguments in a block of code.
pub(super) fn deepseek(text: &str) -> Option<Vec<Call>> {
    let mut calls = Vec::new();
    let mut rest = text;
    while let Some(call) = rest.strip_prefix("<｜tool▁call▁begin｜>") {
        let (call, after) = call.split_once("<｜tool▁call▁end｜>")?;
        let (_kind, call) = call.split_once("<｜tool▁sep｜>")?;
        let (name, arguments) = call.split_once("```json")?;
        let arguments = arguments.trim_end().strip_suffix("```")?;
        calls.push(json_calls::with_arguments(None, name, arguments)?);
        rest = after.trim_start();
    }
    rest.is_empty().then_some(calls)
}
