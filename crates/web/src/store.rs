//! The model store's calls, as the page makes them.

use js_sys::{Function, Uint8Array};
use tsify::{Ts, Tsify};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use web_sys::AbortSignal;

use crate::Error;
use crate::io::{self, StoredModel, Usage, Verification};

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

/// Reads a stored model and checks every chunk; damaged ones are dropped, so that the next load fetches them again, unless they
/// are `kept`.
///
/// # Errors
/// When the store cannot be read, or there is no such model; when it was never whole, and is to be kept.
#[wasm_bindgen(js_name = verifyModel)]
pub async fn verify_model(
    id: String,
    kept: bool,
    signal: AbortSignal,
    progress: Function,
) -> Result<Ts<Verification>, Error> {
    let report = |at: io::Progress| {
        // A listener that throws must not end the check.
        if let Ok(at) = at.into_ts() {
            let _ = progress.call1(&JsValue::NULL, &at.js_value());
        }
    };
    Ok(io::verify(&id, kept, Some(&signal), &report)
        .await?
        .into_ts()?)
}

/// A stored file on its way out.
#[wasm_bindgen]
pub struct ModelExport(io::Export);

#[wasm_bindgen]
impl ModelExport {
    /// The next bytes of the file; nothing after the last.
    ///
    /// # Errors
    /// When they are not what was stored, or cannot be read.
    pub async fn next(&self) -> Result<Option<Uint8Array>, Error> {
        self.0.next().await
    }
}

/// Opens a file of a stored model; one that is the model's only file need not be named.
///
/// # Errors
/// When there is no such model or file, when it is not complete, or when the store cannot be read.
#[wasm_bindgen(js_name = exportModel)]
pub async fn export_model(id: String, file: Option<String>) -> Result<ModelExport, Error> {
    Ok(ModelExport(io::export(&id, file.as_deref()).await?))
}
