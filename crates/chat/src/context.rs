//! A conversation as the variables that templates see, named as in `transformers`.

use minijinja::value::Value;
use serde_json::Value as Json;

use crate::conversation::{Content, Conversation, FunctionCall, Message, Part, ToolCall};
use crate::template::SpecialTokens;

/// Template variables of `conversation`.
pub(crate) fn values(conversation: &Conversation, special: &SpecialTokens) -> Vec<(String, Value)> {
    let or_none = |list: &[Json]| match list {
        [] => Value::from(()),
        _ => list.iter().map(value).collect(),
    };
    let mut values = vec![
        (
            "messages",
            conversation.messages.iter().map(message).collect(),
        ),
        ("tools", or_none(&conversation.tools)),
        ("documents", or_none(&conversation.documents)),
        (
            "add_generation_prompt",
            conversation.add_generation_prompt.into(),
        ),
        ("bos_token", special.bos.as_str().into()),
        ("eos_token", special.eos.as_str().into()),
    ];
    values.extend(
        conversation
            .enable_thinking
            .map(|thinking| ("enable_thinking", thinking.into())),
    );
    let extra = conversation
        .extra
        .iter()
        .map(|(name, json)| (name.clone(), value(json)));
    values
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .chain(extra)
        .collect()
}

fn message(message: &Message) -> Value {
    let mut fields = vec![
        ("role", message.role.as_str().into()),
        ("content", content(message.content.as_ref())),
    ];
    let texts = [
        ("reasoning_content", &message.reasoning_content),
        ("tool_call_id", &message.tool_call_id),
        ("name", &message.name),
    ];
    fields.extend(
        texts
            .into_iter()
            .filter_map(|(name, text)| Some((name, text.as_deref()?.into()))),
    );
    if !message.tool_calls.is_empty() {
        fields.push((
            "tool_calls",
            message.tool_calls.iter().map(tool_call).collect(),
        ));
    }
    fields.into_iter().collect()
}

/// Text parts are joined: hardly a template for text models takes a list.
fn content(content: Option<&Content>) -> Value {
    match content {
        None => Value::from(()),
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
    let function: Value = [
        ("name", name.as_str().into()),
        ("arguments", tool_arguments(arguments)),
    ]
    .into_iter()
    .collect();
    let id = call.id.as_deref().map(|id| ("id", id.into()));
    id.into_iter()
        .chain([("type", "function".into()), ("function", function)])
        .collect()
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
fn value(json: &Json) -> Value {
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
        Json::Object(fields) => fields
            .iter()
            .map(|(name, field)| (name.as_str(), value(field)))
            .collect(),
    }
}
