//! The model store's calls, as the page makes them.

use tsify::{Ts, Tsify};
use wasm_bindgen::prelude::wasm_bindgen;

use crate::Error;
use crate::io::{self, StoredModel, Usage};

/// Every model in the store, whole or partial, the one used last first.
///
/// # Errors
/// When the store cannot be read.
#[wasm_bindgen(js_name = listModels)]
pub async fn list_models() -> Result<Vec<Ts<StoredModel>>, Error> {
    io::list()
        .await?
        .into_iter()
        .map(|model| Ok(model.into_ts()?))
        .collect()
}

/// Removes one model. False if there is none of that name.
///
/// # Errors
/// When the store cannot be written.
#[wasm_bindgen(js_name = removeModel)]
pub async fn remove_model(id: String) -> Result<bool, Error> {
    io::remove(&id).await
}

/// Removes every model.
///
/// # Errors
/// When the store cannot be written.
#[wasm_bindgen(js_name = clearModels)]
pub async fn clear_models() -> Result<(), Error> {
    io::clear().await
}

/// What is stored, and what may be.
///
/// # Errors
/// When the store cannot be read.
#[wasm_bindgen(js_name = storageUsage)]
pub async fn storage_usage() -> Result<Ts<Usage>, Error> {
    Ok(io::usage().await?.into_ts()?)
}
