//! What the page asks for, and how it becomes what the engine takes.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Map, Value};
use tsify::Tsify;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::{Error, clock};

/// OpenAI's message, which `chat` reads.
#[wasm_bindgen(typescript_custom_section)]
const MESSAGE: &str = r#"
/** A message of a conversation, in OpenAI's shape. */
export interface ChatMessage {
    role: "system" | "developer" | "user" | "assistant" | "tool" | (string & {});
    /** Text, or OpenAI's list of text parts; null in an assistant message that only calls tools. */
    content?: string | { type: "text"; text: string }[] | null;
    /** Who speaks, or which tool answers. */
    name?: string;
    /** What the model thought before it answered. */
    reasoning_content?: string | null;
    tool_calls?: { id?: string; type?: "function"; function: { name: string; arguments: string | object } }[];
    /** In a `tool` message: the call it answers. */
    tool_call_id?: string;
}
"#;

/// A conversation, and how its template is to be rendered.
#[derive(Deserialize, Tsify)]
#[serde(rename_all = "camelCase")]
pub struct ChatInput {
    /// The messages so far, oldest first.
    #[tsify(type = "ChatMessage[]")]
    messages: Vec<chat::Message>,
    /// Tool definitions in OpenAI's shape.
    #[serde(default)]
    #[tsify(type = "object[]", optional)]
    tools: Vec<Value>,
    /// End the prompt where the assistant's answer starts; true when left out.
    #[serde(default = "yes")]
    #[tsify(optional)]
    add_generation_prompt: bool,
    /// Ask a model that can reason before it answers to do so, or not to.
    #[tsify(optional)]
    enable_thinking: Option<bool>,
    /// Further variables for the template.
    #[serde(default)]
    #[tsify(type = "Record<string, unknown>", optional)]
    template_kwargs: Map<String, Value>,
}

fn yes() -> bool {
    true
}

impl From<ChatInput> for chat::Conversation {
    fn from(input: ChatInput) -> Self {
        Self {
            messages: input.messages,
            tools: input.tools,
            documents: Vec::new(),
            add_generation_prompt: input.add_generation_prompt,
            enable_thinking: input.enable_thinking,
            now: Some(clock::unix_seconds()),
            extra: input.template_kwargs,
        }
    }
}

/// The text to go on from.
#[derive(Deserialize, Tsify)]
#[serde(rename_all = "snake_case")]
pub enum Prompt {
    /// Text, tokenized with the model's habits, special tokens recognized.
    Text(String),
    /// Token ids, taken as they are.
    Tokens(Vec<u32>),
    /// A conversation, rendered with the model's chat template.
    Chat(ChatInput),
}

impl From<Prompt> for engine::Prompt {
    fn from(prompt: Prompt) -> Self {
        match prompt {
            Prompt::Text(text) => Self::Text(text),
            Prompt::Tokens(tokens) => Self::Tokens(tokens),
            Prompt::Chat(input) => Self::Chat(input.into()),
        }
    }
}

/// One generation. Sampling options have llama.cpp's names, ranges and defaults.
#[derive(Deserialize, Tsify)]
pub struct GenerateRequest {
    /// The text to go on from.
    pub(crate) prompt: Prompt,
    /// Most tokens to generate; until the context is full when left out.
    #[tsify(optional)]
    max_tokens: Option<u32>,
    /// Texts that end the answer and are not part of it.
    #[serde(default)]
    #[tsify(optional)]
    stop: Vec<String>,
    /// Report each token's log-probability, and those of this many alternatives.
    #[tsify(optional)]
    logprobs: Option<usize>,
    /// Go on past the model's end-of-generation tokens.
    #[serde(default)]
    #[tsify(optional)]
    ignore_eos: bool,
    /// Emit the text of control tokens, which are otherwise silent.
    #[serde(default)]
    #[tsify(optional)]
    special: bool,
    /// Seeds the draw; a random one when left out.
    #[tsify(optional)]
    seed: Option<u64>,
    /// 0 always takes the most likely token.
    #[tsify(optional)]
    temperature: Option<f32>,
    /// Keep the most likely tokens only; 0 keeps all.
    #[tsify(optional)]
    top_k: Option<i32>,
    /// Keep the fewest tokens that together have this probability.
    #[tsify(optional)]
    top_p: Option<f32>,
    /// Keep tokens at least this times as likely as the most likely one.
    #[tsify(optional)]
    min_p: Option<f32>,
    /// Keep the tokens whose surprise is nearest to the expected one, up to this probability.
    #[tsify(optional)]
    typical_p: Option<f32>,
    /// Makes recent tokens less likely when above 1.
    #[tsify(optional)]
    repeat_penalty: Option<f32>,
    /// How many latest tokens the penalties look at; -1 is all.
    #[tsify(optional)]
    repeat_last_n: Option<i32>,
    /// Subtracted from a recent token's logit once per occurrence.
    #[tsify(optional)]
    frequency_penalty: Option<f32>,
    /// Subtracted once from the logit of every recent token.
    #[tsify(optional)]
    presence_penalty: Option<f32>,
    /// Added to the logits of single tokens, by token id; `-Infinity` forbids one.
    #[serde(default)]
    #[tsify(type = "Record<string, number>", optional)]
    logit_bias: HashMap<String, f32>,
}

impl GenerateRequest {
    /// What the engine takes.
    ///
    /// # Errors
    ///
    /// `invalid_request` where a key of `logit_bias` is not a token id; ranges are the engine's.
    pub(crate) fn into_engine(self) -> Result<engine::Request, Error> {
        let defaults = sampler::Params::default();
        let sampling = sampler::Params {
            temperature: self.temperature.unwrap_or(defaults.temperature),
            top_k: self.top_k.unwrap_or(defaults.top_k),
            top_p: self.top_p.unwrap_or(defaults.top_p),
            min_p: self.min_p.unwrap_or(defaults.min_p),
            typical_p: self.typical_p.unwrap_or(defaults.typical_p),
            repeat_penalty: self.repeat_penalty.unwrap_or(defaults.repeat_penalty),
            repeat_last_n: self.repeat_last_n.unwrap_or(defaults.repeat_last_n),
            frequency_penalty: self.frequency_penalty.unwrap_or(defaults.frequency_penalty),
            presence_penalty: self.presence_penalty.unwrap_or(defaults.presence_penalty),
            logit_bias: self
                .logit_bias
                .into_iter()
                .map(bias)
                .collect::<Result<_, _>>()?,
            seed: self.seed.unwrap_or_else(clock::random_seed),
        };
        Ok(engine::Request {
            prompt: self.prompt.into(),
            sampling,
            max_tokens: self.max_tokens,
            stop: self.stop,
            logprobs: self.logprobs,
            ignore_eos: self.ignore_eos,
            special: self.special,
        })
    }
}

/// JavaScript's object keys are strings; ours are token ids.
fn bias((key, bias): (String, f32)) -> Result<(u32, f32), Error> {
    let id = key.parse().map_err(|_| {
        Error::invalid(format!(
            "logit_bias has the key {key:?}, but keys must be token ids"
        ))
    })?;
    Ok((id, bias))
}

#[cfg(test)]
mod tests {
    use js_sys::JSON;
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn read(json: &str) -> Result<engine::Request, Error> {
        let value = JSON::parse(json).expect("the test's own JSON");
        let request: GenerateRequest = serde_wasm_bindgen::from_value(value)
            .map_err(|error| Error::invalid(error.to_string()))?;
        request.into_engine()
    }

    #[wasm_bindgen_test]
    fn what_is_left_out_is_the_samplers_default() {
        let request = read(r#"{"prompt": {"text": "a"}, "seed": 7}"#).expect("a request");
        assert_eq!(
            request.sampling,
            sampler::Params {
                seed: 7,
                ..sampler::Params::default()
            }
        );
        assert_eq!(
            (request.max_tokens, request.logprobs, request.ignore_eos),
            (None, None, false)
        );
    }

    #[wasm_bindgen_test]
    fn every_option_arrives() {
        let request = read(
            r#"{"prompt": {"tokens": [1, 2]}, "seed": 9007199254740991, "temperature": 0.5, "top_k": 3, "top_p": 0.25,
                "min_p": 0.125, "typical_p": 0.75, "repeat_penalty": 1.5, "repeat_last_n": -1, "frequency_penalty": 2,
                "presence_penalty": -1, "logit_bias": {"5": -2.5}, "max_tokens": 8, "stop": ["x"], "logprobs": 2,
                "ignore_eos": true, "special": true}"#,
        )
        .expect("a request");
        assert!(matches!(&request.prompt, engine::Prompt::Tokens(ids) if *ids == [1, 2]));
        let sampling = sampler::Params {
            temperature: 0.5,
            top_k: 3,
            top_p: 0.25,
            min_p: 0.125,
            typical_p: 0.75,
            repeat_penalty: 1.5,
            repeat_last_n: -1,
            frequency_penalty: 2.0,
            presence_penalty: -1.0,
            logit_bias: vec![(5, -2.5)],
            seed: 9_007_199_254_740_991,
        };
        assert_eq!(request.sampling, sampling);
        assert_eq!((request.max_tokens, request.logprobs), (Some(8), Some(2)));
        assert_eq!(request.stop, ["x"]);
        assert!(request.ignore_eos && request.special);
    }

    #[wasm_bindgen_test]
    fn requests_without_seed_differ() {
        let seed = || {
            read(r#"{"prompt": {"text": "a"}}"#)
                .expect("a request")
                .sampling
                .seed
        };
        assert_ne!(seed(), seed());
    }

    #[wasm_bindgen_test]
    fn a_conversation_keeps_its_parts() {
        let request = read(
            r#"{"prompt": {"chat": {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
                "tools": [{"type": "function", "function": {"name": "f", "strict": true}}], "enableThinking": false}}}"#,
        )
        .expect("a request");
        let engine::Prompt::Chat(conversation) = request.prompt else {
            panic!("not a conversation")
        };
        assert!(conversation.add_generation_prompt);
        assert_eq!(conversation.enable_thinking, Some(false));
        assert_eq!(conversation.tools[0]["function"]["name"], "f");
        assert!(
            matches!(&conversation.messages[0].content, Some(chat::Content::Parts(parts)) if parts.len() == 1)
        );
        assert!(conversation.now.is_some_and(|now| now > 1_700_000_000));
    }

    #[wasm_bindgen_test]
    fn what_is_not_a_request_is_refused() {
        for json in [
            r#"{}"#,
            r#"{"prompt": {"text": "a"}, "temperature": "warm"}"#,
            r#"{"prompt": {"text": "a"}, "seed": -1}"#,
            r#"{"prompt": {"text": "a"}, "logit_bias": {"hello": 1}}"#,
            r#"{"prompt": {"tokens": [-1]}}"#,
        ] {
            let refused = read(json).err().and_then(|error| error.code());
            assert_eq!(refused, Some(crate::ErrorCode::InvalidRequest), "{json}");
        }
    }
}
