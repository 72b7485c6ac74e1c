//! Where a model comes from and which bytes are still missing: sans-IO.
//!
//! A [`Source`] says what was asked for. [`ModelSpec`] and [`hub`] turn it into files, and a [`Download`]
//! then says, step by step, what to fetch, read and write ([`download::Action`]), and is told what came of it
//! ([`download::Event`]). It owns no socket, no database, no clock and no random source, so that a browser, a
//! test and a fault injector can drive it alike. What it hands on, tensor by tensor, is checked: a byte that
//! contradicts a hash, a length or the file's own header is never passed on as right.
//!
//! See [`record`] for what a stored model looks like.

mod chunk_hash;
mod digest;
pub mod download;
mod error;
pub mod eviction;
mod feed;
pub mod files;
pub mod hub;
mod raw_parts;
pub mod record;
mod response;
mod retry;
mod source;
mod url;

pub use chunk_hash::{ChunkHash, ChunkHasher, HashKey};
pub use digest::Digest;
pub use download::Download;
pub use error::{Error, ErrorKind};
pub use files::ModelSpec;
pub use response::{Response, Setback, judge_document};
pub use retry::{MAX_ATTEMPTS, Retry};
pub use source::{HubFile, HubReference, LocalFile, Source};
pub use url::Url;
