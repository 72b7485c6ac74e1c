//! What goes into a load and what comes out of it.

use loader::Source;
use serde::{Deserialize, Serialize};
use tsify::Tsify;

use crate::Error;

/// Where a load's tensors go.
pub trait TensorSink {
    /// Every shard's header, before any tensor: the moment to refuse a model.
    ///
    /// Comes a second time when the file turns out to have changed on the server: what was built
    /// until then is to be dropped, and every tensor comes again.
    ///
    /// # Errors
    /// Any; it ends the load, and nothing of the model stays in the store.
    fn headers(&mut self, headers: &[gguf::Header]) -> Result<(), Error>;

    /// The next bytes of one tensor. Tensors come in file order, or where the sink [hurries](Self::hurries) in the order in
    /// which a model needs them.
    ///
    /// # Errors
    /// Any; it ends the load. What is stored stays.
    fn tensor(&mut self, name: &str, bytes: &[u8]) -> Result<(), Error>;

    /// Whether something waits for the model's first tensors.
    fn hurries(&self) -> bool {
        false
    }

    /// Computes for a moment what can be computed by now; what nobody waits for only where bytes have to be waited for too, and
    /// it is `idle`. Says whether there is more of what somebody waits for.
    ///
    /// # Errors
    /// Any; it ends the load. What is stored stays.
    fn work(&mut self, _idle: bool) -> Result<bool, Error> {
        Ok(false)
    }
}

/// How a model is fetched and kept.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// Headers for every request to the hub or the addresses that the source names; mirrors elsewhere do not get them.
    pub headers: Vec<(String, String)>,
    /// Sent to the hub's origin and to nobody else.
    pub hub_token: Option<String>,
    /// Base address of the hub; `None` is `https://huggingface.co`.
    pub hub_endpoint: Option<String>,
    /// Origins that weights may come from; `None` allows all.
    pub allowed_origins: Option<Vec<String>>,
    /// Where else the model is, tried in turn where what comes before fails.
    pub mirrors: Vec<Source>,
    /// Whether to keep the model in the store; `None` keeps what is downloaded, and leaves files at hand where they are.
    pub store: Option<bool>,
    /// Remove models that have not been used for longest where the store has no room.
    pub evict: bool,
    /// What the entries of [`loader::Source::Local`] are, in the same order.
    pub local: Vec<Local>,
}

/// A file or stream at hand.
#[derive(Debug, Clone)]
pub enum Local {
    /// From a file picker, a drop, or made by the page.
    Blob(web_sys::Blob),
    /// Can be read once, from its beginning.
    Stream(web_sys::ReadableStream),
}

/// What a load is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Tsify)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Asking the hub which files there are.
    Resolve,
    /// Receiving bytes from the network.
    Download,
    /// Reading stored bytes back.
    Read,
    /// Turning the last weights into their compute layout.
    Prepare,
}

/// How far a load is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Tsify)]
pub struct Progress {
    /// What it is doing.
    pub stage: Stage,
    /// Bytes of the model that have been handed on so far.
    pub loaded: u64,
    /// Bytes of the whole model; 0 while unknown.
    pub total: u64,
    /// Name of the file in hand.
    pub file: String,
}

/// What a load did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Tsify)]
#[serde(rename_all = "camelCase")]
pub struct Loaded {
    /// The model's name in the store.
    pub id: String,
    /// Bytes of all its files.
    pub size: u64,
    /// Whether the next load can read it back without the network.
    pub stored: bool,
    /// Why it is not stored, where it should have been.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[tsify(optional)]
    pub not_stored: Option<String>,
    /// Bytes that came over the network, or from a file at hand.
    pub downloaded: u64,
    /// Bytes that were read back from the store.
    pub read: u64,
    /// Chunks that were damaged in the store and have been fetched again.
    pub repaired: u32,
    /// Hexadecimal SHA-256 of each file, where its publisher says what it is to be: it has been checked.
    pub sha256: Vec<Option<String>>,
}

/// A model in the store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Tsify)]
#[serde(rename_all = "camelCase")]
pub struct StoredModel {
    /// Its name, for loading, verifying and removing it.
    pub id: String,
    /// Bytes of all its files; 0 while unknown.
    pub size: u64,
    /// Bytes that are stored.
    pub stored: u64,
    /// Whether it is all there.
    pub complete: bool,
    /// File names in order.
    pub files: Vec<String>,
    /// Unix milliseconds.
    pub created: f64,
    /// Unix milliseconds.
    pub last_used: f64,
}

/// Storage of this origin in bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Tsify)]
pub struct Usage {
    /// Taken by stored models.
    pub models: u64,
    /// Taken by everything this origin stores, as the browser estimates it.
    pub used: u64,
    /// What the browser grants at most.
    pub quota: u64,
    /// Whether the browser has promised not to evict it.
    pub persisted: bool,
}

/// What a check of a stored model found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Tsify)]
pub struct Verification {
    /// Whether every chunk is there and right.
    pub ok: bool,
    /// Chunks that were read and are right.
    pub good: u32,
    /// Chunks whose bytes contradicted their hash.
    pub damaged: u32,
    /// Chunks that were not there.
    pub missing: u32,
}
