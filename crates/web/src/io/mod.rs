//! Loading a model's bytes in a worker: fetch, IndexedDB and Web Locks behind the plan of [`loader`].

mod abort;
mod body;
mod database;
mod driver;
mod fetch;
mod globals;
mod locks;
mod models;
mod resolve;
mod types;

pub use models::{clear, list, load, remove, usage, verify};
pub use types::{
    LoadOptions, Loaded, Local, Progress, Stage, StoredModel, TensorSink, Usage, Verification,
};
