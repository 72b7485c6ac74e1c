//! Calls written as JSON.

use serde_json::{Deserializer, Map, Value as Json};

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
        let mut values = Deserializer::from_str(rest).into_iter::<Json>();
        calls.push(call(&values.next()?.ok()?)?);
        rest = rest[values.byte_offset()..].trim_start_matches([';', ' ', '\n', '\t', '\r']);
    }
    Some(calls)
}

/// A call with `arguments` that are JSON's text of an object.
pub(super) fn with_arguments(id: Option<String>, name: &str, arguments: &str) -> Option<Call> {
    let arguments: Map<String, Json> = serde_json::from_str(arguments).ok()?;
    finished(id, name, &Json::Object(arguments))
}

/// A call whose `arguments` are an object.
pub(super) fn finished(id: Option<String>, name: &str, arguments: &Json) -> Option<Call> {
    let name = name.trim();
    (!name.is_empty()).then(|| Call {
        id,
        name: name.to_owned(),
        arguments: arguments.to_string(),
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
