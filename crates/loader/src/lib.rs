//! Where a model comes from and which bytes are still missing: sans-IO.
//!
//! A [`Source`] says what was asked for. [`hub`] turns a hub reference into files, and a
//! [`Download`] then says, step by step, what to fetch, read and write ([`Action`]), and is told
//! what came of it ([`Event`]). It owns no socket, no database, no clock and no random source, so
//! that a browser, a test and a fault injector can drive it alike. What it hands on, tensor by
//! tensor, is checked: a byte that contradicts a hash, a length or the file's own header is never
//! passed on as right.
//!
//! See [`record`] for what a stored model looks like.

mod error;
mod source;
mod url;

pub use error::{Error, ErrorKind};
pub use source::{HubFile, HubReference, LocalFile, Source};
pub use url::Url;
