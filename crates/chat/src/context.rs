//! A conversation as the variables that templates see, named as in `transformers`.

use indexmap::IndexMap;
use minijinja::Error;
use minijinja::value::Value;
use serde_json::Value as Json;

use crate::conversation::{Content, Conversation, FunctionCall, Message, Part, ToolCall};
use crate::template::SpecialTokens;
use crate::{json, strftime};

/// The role of the message that says how to answer.
const SYSTEM: &str = "system";

/// A map that keeps the order of `fields`, as Python's do; of two with one name, the later counts.
fn map<N: Into<Value>>(fields: impl IntoIterator<Item = (N, Value)>) -> Value {
    fields
        .into_iter()
        .map(|(name, field)| (name.into(), field))
        .collect::<IndexMap<Value, Value>>()
        .into()
}

/// What a system message says that is there for its tools only; the model was trained with it.
const TOOLS_ONLY: &str = "You are a helpful assistant with some tools.";

/// Template variables of `conversation`; a message without content gets `no_content`, and the first system message gets
/// the tools if `tools_in_message`.
///
/// # Errors
/// If the tools are too deep for JSON.
pub(crate) fn variables(
    conversation: &Conversation,
    special: &SpecialTokens,
    no_content: &Value,
    tools_in_message: bool,
) -> Result<Value, Error> {
    let or_none = |list: &[Json]| match list {
        [] => Value::from(()),
        _ => list.iter().map(value).collect(),
    };
    let mut messages: Vec<Vec<(&str, Value)>> = conversation
        .messages
        .iter()
        .map(|message| fields(message, no_content))
        .collect();
    if tools_in_message && !conversation.tools.is_empty() {
        let functions = conversation.tools.iter().map(|tool| match tool {
            Json::Object(fields) => fields.get("function").unwrap_or(tool),
            _ => tool,
        });
        let tools = ("tools", json::line(&functions.map(value).collect())?.into());
        let system = conversation
            .messages
            .iter()
            .position(|message| message.role == SYSTEM);
        match system {
            Some(system) => messages[system].push(tools),
            None => {
                let content = ("content", TOOLS_ONLY.into());
                messages.insert(0, vec![("role", SYSTEM.into()), content, tools]);
            }
        }
    }
    let always = [
        ("messages", messages.into_iter().map(map).collect()),
        ("tools", or_none(&conversation.tools)),
        ("documents", or_none(&conversation.documents)),
        (
            "add_generation_prompt",
            conversation.add_generation_prompt.into(),
        ),
        ("bos_token", special.bos.as_str().into()),
        ("eos_token", special.eos.as_str().into()),
    ];
    let thinking = conversation
        .enable_thinking
        .map(|thinking| ("enable_thinking", thinking.into()));
    let clock = conversation
        .now
        .map(|now| ("strftime_now", strftime::function(now)));
    let extra = conversation
        .extra
        .iter()
        .map(|(name, json)| (name.as_str(), value(json)));
    Ok(map(always
        .into_iter()
        .chain(thinking)
        .chain(clock)
        .chain(extra)))
}

fn fields<'m>(message: &'m Message, no_content: &Value) -> Vec<(&'m str, Value)> {
    let always = [
        ("role", message.role.as_str().into()),
        ("content", content(message.content.as_ref(), no_content)),
    ];
    let texts = [
        ("reasoning_content", &message.reasoning_content),
        ("tool_call_id", &message.tool_call_id),
        ("name", &message.name),
    ];
    let texts = texts
        .into_iter()
        .filter_map(|(name, text)| Some((name, text.as_deref()?.into())));
    let calls = (!message.tool_calls.is_empty()).then(|| {
        (
            "tool_calls",
            message.tool_calls.iter().map(tool_call).collect(),
        )
    });
    always.into_iter().chain(texts).chain(calls).collect()
}

/// Text parts are joined: hardly a template for text models takes a list.
fn content(content: Option<&Content>, no_content: &Value) -> Value {
    match content {
        None => no_content.clone(),
        Some(Content::Text(text)) => text.as_str().into(),
        Some(Content::Parts(parts)) => {
            let texts: Vec<&str> = parts
                .iter()
                .map(|Part::Text { text }| text.as_str())
                .collect();
            texts.join("\n").into()
        }
    }
}

fn tool_call(call: &ToolCall) -> Value {
    let FunctionCall { name, arguments } = &call.function;
    let function = map([
        ("name", name.as_str().into()),
        ("arguments", tool_arguments(arguments)),
    ]);
    let id = call.id.as_deref().map(|id| ("id", id.into()));
    map(id
        .into_iter()
        .chain([("type", "function".into()), ("function", function)]))
}

/// OpenAI's API has arguments as JSON in a string; templates expect what that string says.
fn tool_arguments(arguments: &Json) -> Value {
    match arguments {
        Json::String(text) => match serde_json::from_str(text) {
            Ok(parsed @ Json::Object(_)) => value(&parsed),
            _ => text.as_str().into(),
        },
        _ => value(arguments),
    }
}

/// `json` as the template engine's value, keys in order.
pub(crate) fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::from(()),
        Json::Bool(flag) => (*flag).into(),
        Json::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(number), ..) => number.into(),
            (_, Some(number), _) => number.into(),
            (.., number) => number.into(),
        },
        Json::String(text) => text.as_str().into(),
        Json::Array(items) => items.iter().map(value).collect(),
        Json::Object(fields) => map(fields
            .iter()
            .map(|(name, field)| (name.as_str(), value(field)))),
    }
}
