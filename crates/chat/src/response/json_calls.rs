//! Calls written as JSON.

use serde_json::{Map, Value as Json};

use crate::{context, json};

/// A call as the model wrote it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) id: Option<String>,
    pub(super) name: String,
    /// A JSON object.
    pub(super) arguments: String,
}

/// The definition within a tool in OpenAI's shape, or the tool itself if it is given bare.
pub(super) fn definition(tool: &Json) -> &Json {
    tool.get("function").unwrap_or(tool)
}

/// The calls in a list of objects, or in one object.
pub(super) fn list(text: &str) -> Option<Vec<Call>> {
    match serde_json::from_str(text).ok()? {
        Json::Array(items) => items.iter().map(call).collect(),
        item => Some(vec![call(&item)?]),
    }
}

/// The calls in objects one after another, with white space or semicolons between.
pub(super) fn objects(text: &str) -> Option<Vec<Call>> {
    let mut calls = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (object, after) = rest.split_at(object_end(rest)?);
        calls.push(call(&serde_json::from_str(object).ok()?)?);
        rest = after.trim_start_matches([';', ' ', '\n', '\t', '\r']);
    }
    Some(calls)
}

/// Where the braces have closed again that open at the start of `text`.
fn object_end(text: &str) -> Option<usize> {
    text.starts_with('{').then_some(())?;
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_text,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'{' => depth += 1,
            b'}' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if depth == 0 {
            return Some(at + 1);
        }
    }
    None
}

/// A call with `arguments` that are JSON's text of an object.
pub(super) fn with_arguments(id: Option<String>, name: &str, arguments: &str) -> Option<Call> {
    let arguments: Json = serde_json::from_str(arguments).ok()?;
    arguments.is_object().then_some(())?;
    finished(id, name, &arguments)
}

/// A call whose `arguments` are an object.
pub(super) fn finished(id: Option<String>, name: &str, arguments: &Json) -> Option<Call> {
    let name = name.trim();
    let arguments = json::line(&context::value(arguments)).ok()?;
    (!name.is_empty()).then(|| Call {
        id,
        name: name.to_owned(),
        arguments,
    })
}

/// `{"name": …, "arguments": {…}}`, by whatever names models give the latter; in some within a further object.
fn call(item: &Json) -> Option<Call> {
    let inner = definition(item);
    let id = ["id", "call_id"]
        .iter()
        .find_map(|key| item.get(key)?.as_str())
        .map(str::to_owned);
    let name = inner.get("name")?.as_str()?;
    let arguments = ["arguments", "parameters"]
        .iter()
        .find_map(|key| inner.get(key));
    match arguments {
        None => finished(id, name, &Json::Object(Map::new())),
        Some(Json::String(text)) => with_arguments(id, name, text),
        Some(arguments @ Json::Object(_)) => finished(id, name, arguments),
        Some(_) => None,
    }
}
