//! Loading a model's bytes in a worker: fetch, IndexedDB and Web Locks behind the plan of [`loader`].

mod models;
mod types;

pub use models::{clear, list, load, remove, usage, verify};
pub use types::{
    LoadOptions, Loaded, Local, Progress, Stage, StoredModel, TensorSink, Usage, Verification,
};
