//! The calls that the rest of this crate makes.

use loader::Source;
use web_sys::AbortSignal;

use super::types::{LoadOptions, Loaded, Progress, StoredModel, TensorSink, Usage, Verification};
use crate::Error;

/// Brings a model from the store or the network, checks it, and hands on its tensors.
///
/// # Errors
/// [`Error::Aborted`], the sink's own error, or a failure of the source, the network or the bytes.
pub async fn load(
    _source: &Source,
    _options: &LoadOptions,
    _signal: Option<&AbortSignal>,
    _progress: &dyn Fn(Progress),
    _sink: &mut dyn TensorSink,
) -> Result<Loaded, Error> {
    Err(Error::invalid("not connected yet"))
}

/// Every model in the store, whole or partial, the one used last first.
///
/// # Errors
/// When the store cannot be read.
pub async fn list() -> Result<Vec<StoredModel>, Error> {
    Ok(Vec::new())
}

/// Removes one model, waiting until nobody reads it. False if there is none of that name.
///
/// # Errors
/// When the store cannot be written.
pub async fn remove(_id: &str) -> Result<bool, Error> {
    Ok(false)
}

/// Removes every model.
///
/// # Errors
/// When the store cannot be written.
pub async fn clear() -> Result<(), Error> {
    Ok(())
}

/// What is stored, and what may be.
///
/// # Errors
/// When the store cannot be read.
pub async fn usage() -> Result<Usage, Error> {
    Err(Error::invalid("not connected yet"))
}

/// Reads a stored model and checks every chunk; damaged ones are dropped, so that the next load
/// fetches them again.
///
/// # Errors
/// When the store cannot be read, or there is no such model.
pub async fn verify(
    _id: &str,
    _signal: Option<&AbortSignal>,
    _progress: &dyn Fn(Progress),
) -> Result<Verification, Error> {
    Err(Error::invalid("not connected yet"))
}
