//! What a template is rendered with.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Everything a chat template may look at.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Conversation {
    /// The messages so far, oldest first.
    pub messages: Vec<Message>,
    /// Tool definitions in OpenAI's shape: `{"type": "function", "function": {"name", "description", "parameters"}}`.
    pub tools: Vec<Value>,
    /// Documents for retrieval-augmented answers, usually `{"title", "text"}`.
    pub documents: Vec<Value>,
    /// End the prompt where the assistant's answer starts.
    pub add_generation_prompt: bool,
    /// Ask a model that can reason before it answers to do so or not; `None` leaves it to the template.
    pub enable_thinking: Option<bool>,
    /// The time that `strftime_now` shows, in seconds since 1970-01-01T00:00:00 UTC.
    pub now: Option<i64>,
    /// Further variables for the template (`chat_template_kwargs` elsewhere); they win over the ones above.
    pub extra: Map<String, Value>,
}

/// One message, in OpenAI's shape.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `user`, `assistant`, `tool`, or whatever else the template knows.
    pub role: String,
    /// The text; `None` in an assistant message that only calls tools.
    #[serde(default)]
    pub content: Option<Content>,
    /// What the model thought before it answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// The tools that an assistant message calls.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// In a `tool` message: which call it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// Who speaks, or which tool answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Message {
    /// A plain text message.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        Self {
            role: role.into(),
            content: Some(Content::Text(content.into())),
            ..Self::default()
        }
    }
}

/// A message's content: a string, or OpenAI's list of parts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Content {
    /// Plain text.
    Text(String),
    /// Parts in order.
    Parts(Vec<Part>),
}

/// A part of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Part {
    /// Text.
    Text {
        /// The text itself.
        text: String,
    },
}

/// A call that the model asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// Links the call to the `tool` message that answers it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What is called.
    pub function: FunctionCall,
}

/// A function's name and its arguments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FunctionCall {
    /// The function's name.
    pub name: String,
    /// The arguments: an object, or its JSON text as OpenAI's API has it.
    #[serde(default)]
    pub arguments: Value,
}
