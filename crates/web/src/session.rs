//! A loaded model and the requests it works on.

use std::collections::HashMap;

use chat::Template;
use engine::{Engine, Event, FinishReason, RequestId};
use serde::Serialize;
use tokenizer::{DecodeOptions, EncodeOptions};
use tsify::{Ts, Tsify};
use wasm_bindgen::prelude::wasm_bindgen;

use crate::answer::Answer;
use crate::event::{StepEvent, TokenLogprobs, TokenProbability};
use crate::io::Loaded;
use crate::loading::LoadTimes;
use crate::rehearsal::WarmUp;
use crate::request::{ChatInput, GenerateRequest, Prompt};
use crate::threads::Stepper;
use crate::{Error, ErrorReport, Metrics, ModelInfo};

/// Why an answer ended that calls tools, by OpenAI's name.
const CALLED: &str = "tool_calls";

/// Bytes that a loaded model takes.
#[derive(Debug, Clone, Copy, Serialize, Tsify)]
pub struct Memory {
    /// Packed weights.
    pub weights: usize,
    /// Key-value cache, as far as it is in use.
    pub kv: usize,
    /// Intermediate results.
    pub scratch: usize,
    /// All of the module's memory: the above and the tokenizer; it grows but never shrinks.
    pub wasm: usize,
}

/// A loaded model, and how it came to be.
#[derive(Serialize, Tsify)]
#[serde(rename_all = "camelCase")]
pub struct SessionInfo {
    /// What its files say.
    pub model: ModelInfo,
    /// Tokens one request may have, prompt and answer together.
    pub context_length: usize,
    /// Number format of the key-value cache.
    pub kv_cache: String,
    /// Where its bytes came from.
    pub loaded: Loaded,
    /// Where the load's time went.
    pub load: LoadTimes,
    /// Bytes taken now.
    pub memory: Memory,
    /// Threads that compute now.
    pub threads: usize,
}

/// A loaded model. The caller submits requests and calls [`step`](Self::step) until it is idle.
#[wasm_bindgen]
pub struct Session {
    engine: Engine,
    stepper: Stepper,
    /// Until it is done or the first request is there, which warms up as well.
    warm_up: Option<WarmUp>,
    model: ModelInfo,
    loaded: Loaded,
    times: LoadTimes,
    /// Answers on their way, and whether they have called a tool.
    answers: HashMap<RequestId, (Answer, bool)>,
}

impl Session {
    pub(crate) fn new(
        engine: Engine,
        stepper: Stepper,
        warm_up: Option<WarmUp>,
        model: ModelInfo,
        loaded: Loaded,
        times: LoadTimes,
    ) -> Self {
        Self {
            engine,
            stepper,
            warm_up,
            model,
            loaded,
            times,
            answers: HashMap::new(),
        }
    }
}

#[wasm_bindgen]
impl Session {
    /// What was loaded, and the memory it takes now.
    ///
    /// # Errors
    /// None that can be caused from outside.
    pub fn info(&self) -> Result<Ts<SessionInfo>, Error> {
        let metrics = self.engine.metrics();
        let options = self.engine.options();
        let info = SessionInfo {
            model: self.model.clone(),
            context_length: options.context_length,
            kv_cache: options.kv.name().to_owned(),
            loaded: self.loaded.clone(),
            load: self.times,
            memory: Memory {
                weights: self.engine.model().weight_bytes(),
                kv: metrics.kv_bytes,
                scratch: metrics.scratch_bytes,
                wasm: wasm_bytes(),
            },
            threads: self.stepper.threads(),
        };
        Ok(info.into_ts()?)
    }

    /// Counters since the model was loaded, and its present load.
    ///
    /// # Errors
    /// None that can be caused from outside.
    pub fn metrics(&self) -> Result<Ts<Metrics>, Error> {
        Ok(Metrics::from(self.engine.metrics()).into_ts()?)
    }

    /// Puts a request in line and names it.
    ///
    /// # Errors
    /// Where the request can never be answered.
    pub fn submit(&mut self, request: Ts<GenerateRequest>) -> Result<u32, Error> {
        let mut request = request.to_rust()?.into_engine()?;
        let answer = match &request.prompt {
            engine::Prompt::Chat(conversation) => {
                let prompt = self.engine.render(conversation)?;
                let template = self.engine.template();
                let format = template.map(Template::response_format).unwrap_or_default();
                let tools = &conversation.tools;
                request.special |= !tools.is_empty() && format.shows_control_tokens();
                Answer::to_chat(format, &prompt, tools)
            }
            _ => Answer::Plain,
        };
        let id = self.engine.submit(request)?;
        self.warm_up = None;
        self.answers.insert(id, (answer, false));
        Ok(number(id))
    }

    /// Ends a request; its last event says so. False if it has ended already.
    pub fn cancel(&mut self, id: u32) -> bool {
        self.engine.cancel(u64::from(id).into())
    }

    /// Computes one batch and tells what happened, or a piece of the warm-up.
    ///
    /// # Errors
    /// None that can be caused from outside.
    pub fn step(&mut self) -> Result<Vec<Ts<StepEvent>>, Error> {
        if let Some(warm_up) = &mut self.warm_up
            && !warm_up.advance_in(self.engine.model())
        {
            self.warm_up = None;
        }
        let events = self.stepper.step(&mut self.engine);
        events
            .into_iter()
            .filter_map(|event| self.present(event))
            .map(|event| Ok(event.into_ts()?))
            .collect()
    }

    /// Whether no request is left, and no warm-up.
    #[wasm_bindgen(js_name = isIdle)]
    pub fn is_idle(&self) -> bool {
        self.engine.is_idle() && self.warm_up.is_none()
    }

    /// The token ids of `text`. `bos` puts the beginning-of-sequence token first if the model wants
    /// it; `special` reads the text of control tokens as those tokens.
    pub fn tokenize(&self, text: &str, bos: bool, special: bool) -> Vec<u32> {
        let options = EncodeOptions {
            add_special: bos,
            parse_special: special,
        };
        self.engine.tokenizer().encode(text, options)
    }

    /// The text of `ids`; `special` shows control tokens.
    pub fn detokenize(&self, ids: &[u32], special: bool) -> String {
        self.engine
            .tokenizer()
            .decode(ids, DecodeOptions { special })
    }

    /// The prompt that a conversation becomes.
    ///
    /// # Errors
    /// Where the template fails, or the model has none.
    #[wasm_bindgen(js_name = applyChatTemplate)]
    pub fn apply_chat_template(&self, input: Ts<ChatInput>) -> Result<String, Error> {
        Ok(self.engine.render(&input.to_rust()?.into())?)
    }

    /// How many tokens a prompt is.
    ///
    /// # Errors
    /// As [`apply_chat_template`](Self::apply_chat_template).
    #[wasm_bindgen(js_name = countTokens)]
    pub fn count_tokens(&self, prompt: Ts<Prompt>) -> Result<usize, Error> {
        Ok(self.engine.prompt_tokens(&prompt.to_rust()?.into())?.len())
    }
}

impl Session {
    /// What the page is told of an event.
    fn present(&mut self, event: Event) -> Option<StepEvent> {
        Some(match event {
            // The page has no way to ask for one.
            Event::Embedded { .. } => return None,
            Event::Prefill { id, done, total } => StepEvent::Prefill {
                id: number(id),
                done,
                total,
            },
            Event::Token {
                id,
                token,
                text,
                logprobs,
            } => {
                let parted = match self.answers.get_mut(&id) {
                    Some((answer, called)) => {
                        let parted = answer.push(text);
                        *called |= !parted.tool_calls.is_empty();
                        parted
                    }
                    None => Answer::Plain.push(text),
                };
                let logprobs = logprobs.map(|found| self.readable(&found));
                StepEvent::Token {
                    id: number(id),
                    token,
                    content: parted.content,
                    reasoning: parted.reasoning,
                    tool_calls: parted.tool_calls,
                    logprobs,
                }
            }
            Event::Finished {
                id,
                reason,
                text,
                usage,
                timings,
            } => {
                let answer = self.answers.remove(&id);
                let (answer, called) = answer.unwrap_or((Answer::Plain, false));
                let parted = answer.finish(text);
                let called = called || !parted.tool_calls.is_empty();
                StepEvent::Finished {
                    id: number(id),
                    reason: match reason {
                        FinishReason::Stop if called => CALLED,
                        _ => reason.name(),
                    },
                    content: parted.content,
                    reasoning: parted.reasoning,
                    tool_calls: parted.tool_calls,
                    usage: usage.into(),
                    timings: timings.into(),
                }
            }
            Event::Failed { id, error } => {
                self.answers.remove(&id);
                StepEvent::Failed {
                    id: number(id),
                    error: ErrorReport::from(&error),
                }
            }
        })
    }

    fn readable(&self, found: &sampler::Logprobs) -> TokenLogprobs {
        let tokenizer = self.engine.tokenizer();
        let one = |found: &sampler::Logprob| {
            let bytes = tokenizer
                .token_bytes(found.token, true)
                .unwrap_or_default()
                .into_owned();
            TokenProbability {
                token: String::from_utf8_lossy(&bytes).into_owned(),
                logprob: found.logprob,
                bytes,
            }
        };
        let TokenProbability {
            token,
            logprob,
            bytes,
        } = one(&found.chosen);
        TokenLogprobs {
            token,
            logprob,
            bytes,
            top_logprobs: found.top.iter().map(one).collect(),
        }
    }
}

/// Requests are numbered from 0, and nobody makes four thousand million of them.
fn number(id: RequestId) -> u32 {
    id.get() as u32
}

#[cfg(target_arch = "wasm32")]
pub(crate) fn wasm_bytes() -> usize {
    /// Fixed by the WebAssembly specification.
    const PAGE: usize = 65536;
    core::arch::wasm32::memory_size::<0>() * PAGE
}

/// There is no module, and so no memory of one, in a native build of this crate.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn wasm_bytes() -> usize {
    0
}
