//! Requests to events: scheduling, stop rules, cancellation, metrics.
//!
//! The engine is pulled: [`Engine::submit`] puts a [`Request`] in line ([`Engine::embed`] a text to embed), every [`Engine::step`] computes one batch
//! for all requests that are being worked on and returns what happened. Between steps the caller may submit, cancel
//! or do something else; nothing calls back into it. Time comes from the [`Clock`] it is given.

mod admission;
mod answer;
mod early;
mod embedding;
mod engine;
mod error;
mod event;
mod job;
mod metrics;
mod options;
mod prefix_cache;
mod prompt;
mod request;
mod scheduler;
mod step;
mod stop;
mod timings;

pub use early::EarlyPrompts;
pub use embedding::EmbeddingRequest;
pub use engine::Engine;
pub use error::Error;
pub use event::{Event, FinishReason, Usage};
pub use metrics::Metrics;
pub use options::EngineOptions;
pub use request::{Prompt, Request, RequestId};
pub use timings::{Clock, Timings};
