//! Language models: configuration, weights and a paged key–value cache to logits.
//!
//! ```text
//! gguf::Header ──inspect──▶ Plan                 refuse, or say what it will cost, before a weight is read
//!              ──Builder──▶ Model                weights packed one tensor at a time as their bytes arrive
//! Model + ContextOptions ─▶ Context ──forward──▶ Logits
//!                                   ──Embedding─▶ a text's embedding, or the scores of a reranker
//! ```
//!
//! [`Context::forward`] takes a batch of sequences, each with a chunk of tokens. What a sequence gets depends on its
//! own tokens only: not on the chunks they came in, on what else was in the batch, on the page size of the cache,
//! or on the number of threads; the floats are the same to the last bit.
//!
//! One file per architecture family is in `families`, over the parts they share in `step`.

mod builder;
mod cache;
mod config;
mod context;
mod embedding;
mod error;
mod families;
mod keys;
mod loaded;
mod pages;
mod plan;
mod prefill;
mod rehearsal;
mod rotation;
mod scratch;
mod step;
mod tensors;
mod weights;

pub use builder::{Builder, Landed};
pub use cache::SeqId;
pub use config::{Architecture, Config, Experts, SlidingWindow};
pub use context::{Context, ContextOptions, Input, Logits, Want};
pub use embedding::{Embedding, Pooling, normalize};
pub use error::Error;
pub use plan::{Placement, Plan, inspect, placements};
pub use prefill::{Prefill, Prefilled};
pub use rehearsal::Rehearsal;
pub use weights::Model;
