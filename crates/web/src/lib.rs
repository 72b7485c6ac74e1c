//! The JavaScript binding: the only crate that knows the browser.
//!
//! Rust structs declare every type that crosses the boundary, once; `wasm-bindgen` and `tsify`
//! write the TypeScript. What a web developer sees is `pkg-templates/minnow-llm`, which drives
//! this crate inside a worker.

mod alloc;
mod answer;
mod clock;
mod error;
mod event;
mod figures;
pub mod io;
mod loading;
mod model_info;
mod panic;
mod request;
mod session;
mod settings;
mod store;
mod threads;

pub use alloc::failed_allocation;
pub use error::{Error, ErrorCode, ErrorReport};
pub use event::{StepEvent, TokenLogprobs, TokenProbability};
pub use figures::{Metrics, Timings, TokenCounts};
pub use loading::{LoadTimes, inspect, load, pull};
pub use model_info::ModelInfo;
pub use request::{ChatInput, GenerateRequest, Prompt};
pub use session::{Memory, Session, SessionInfo};
pub use settings::{EngineSettings, FetchSettings, KvCache};
pub use store::{clear_models, list_models, remove_model, storage_usage, verify_model};
pub use threads::{compiled_module, compute, compute_failed, use_threads};
