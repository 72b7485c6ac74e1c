//! The JavaScript binding: the only crate that knows the browser.
//!
//! Rust structs declare every type that crosses the boundary, once; `wasm-bindgen` and `tsify`
//! write the TypeScript. What a web developer sees is `pkg-templates/minnow-llm`, which drives
//! this crate inside a worker.

mod alloc;
mod answer;
mod can_run;
mod clock;
mod error;
mod event;
mod figures;
pub mod io;
mod loading;
mod model_info;
mod model_sink;
mod panic;
mod rehearsal;
mod request;
mod requirements;
mod session;
mod settings;
mod store;
mod threads;

pub use alloc::failed_allocation;
pub use can_run::{Prediction, Storage, can_run};
pub use error::{Error, ErrorCode, ErrorReport};
pub use event::{StepEvent, TokenLogprobs, TokenProbability};
pub use figures::{Metrics, Timings, TokenCounts};
pub use loading::{LoadTimes, inspect, load, pull};
pub use model_info::ModelInfo;
pub use request::{ChatInput, GenerateRequest, Prompt};
pub use requirements::Needs;
pub use session::{Memory, Session, SessionInfo};
pub use settings::{EngineSettings, FetchSettings, KvCache};
pub use store::{
    ModelExport, clear_models, export_model, list_models, remove_model, storage_usage, verify_model,
};
pub use threads::{compiled_module, compute, compute_failed, lose_thread, use_threads};
