//! Loading a model's bytes in a worker: fetch, the model store and Web Locks behind the plan of [`loader`].

mod abort;
mod body;
mod buffers;
mod costs;
mod driver;
mod export;
mod fetch;
mod follow;
mod globals;
mod load;
mod locks;
mod meter;
mod models;
mod quota;
mod resolve;
mod store;
mod types;

pub use costs::Costs;
pub use export::{Export, export};
pub(crate) use globals::device_memory;
pub use load::load;
pub use models::{clear, list, remove, usage, verify};
pub(crate) use quota::fits;
pub use types::{
    LoadOptions, Loaded, Local, Progress, Stage, StoredModel, TensorSink, Usage, Verification,
};
