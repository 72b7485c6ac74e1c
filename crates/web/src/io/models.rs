//! The calls that the rest of this crate makes.

use js_sys::{Date, Reflect, Uint8Array};
use loader::download::{Options, Summary};
use loader::record::{CHUNK_SIZE, ChunkId, JournalEntry, Record, Stored};
use loader::{Digest, Download, Source, files};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortSignal, StorageEstimate};

use super::abort;
use super::database::Database;
use super::driver::{Means, run};
use super::fetch::Fetcher;
use super::globals;
use super::locks::{Lock, Mode};
use super::resolve::{endpoint, resolve};
use super::types::{
    LoadOptions, Loaded, Progress, Stage, StoredModel, TensorSink, Usage, Verification,
};
use crate::clock::random_seed;
use crate::{Error, ErrorCode};

/// Brings a model from the store or the network, checks it, and hands on its tensors.
///
/// A model that is stored whole needs no network, not even to ask which files it has. One that is not is
/// downloaded by one load at a time over all tabs; the others wait and then read it from the store.
///
/// # Errors
/// [`Error::Aborted`], the sink's own error, or a failure of the source, the network or the bytes.
pub async fn load(
    source: &Source,
    options: &LoadOptions,
    signal: Option<&AbortSignal>,
    progress: &dyn Fn(Progress),
    sink: &mut dyn TensorSink,
) -> Result<Loaded, Error> {
    abort::check(signal)?;
    progress(Progress {
        stage: Stage::Resolve,
        loaded: 0,
        total: 0,
        file: String::new(),
    });
    let fetcher = Fetcher::new(options, &endpoint(options)?);
    let local = matches!(source, Source::Local(_));
    let (database, known, why_none) = match open_store(source).await {
        Ok((database, known)) if !local => (Some(database), known, None),
        Ok(_) => (None, None, None),
        Err(reason) => (None, None, Some(reason)),
    };
    let model = match known.and_then(|record| record.spec()) {
        Some(model) => model,
        None => with_abort(resolve(source, options, &fetcher), signal).await?,
    };
    if let Some(allowed) = &options.allowed_origins {
        model.check_origins(allowed)?;
    }
    let id = model.id.clone();
    let store = database.is_some() && !options.memory_only;
    let (_lock, stored) = match &database {
        Some(database) => {
            let (lock, stored) = claim(database, &id, store, signal).await?;
            (Some(lock), stored)
        }
        None => (None, None),
    };
    let plan = Options {
        store,
        seed: random_seed(),
        now_ms: Date::now(),
        chunk_size: CHUNK_SIZE,
    };
    let plan = Download::new(model, stored, plan);
    let means = Means {
        id: &id,
        fetcher: &fetcher,
        database: database.as_ref(),
        progress,
        signal,
    };
    let summary = run(plan, &means, sink).await?;
    let wanted = !options.memory_only && !local;
    Ok(loaded(id, summary, why_none.filter(|_| wanted)))
}

fn loaded(id: String, summary: Summary, why_none: Option<String>) -> Loaded {
    Loaded {
        id,
        size: summary.size,
        stored: summary.stored,
        not_stored: summary.not_stored.or(why_none),
        downloaded: summary.downloaded,
        read: summary.read,
        repaired: summary.repaired,
        sha256: summary.sha256.iter().map(Digest::to_string).collect(),
    }
}

/// The store, and the record that `source` was loaded under before if all of it is stored.
async fn open_store(source: &Source) -> Result<(Database, Option<Record>), String> {
    let database = Database::open().await?;
    let Some(alias) = files::alias(source) else {
        return Ok((database, None));
    };
    let records = database.records().await?;
    let known = records
        .into_iter()
        .find(|record| record.complete && record.answers_to(&alias));
    Ok((database, known))
}

/// Waits for the model's turn: shared where it can only be read, alone where it may have to be downloaded.
async fn claim(
    database: &Database,
    id: &str,
    store: bool,
    signal: Option<&AbortSignal>,
) -> Result<(Lock, Option<Stored>), Error> {
    let shared = Lock::acquire(id, Mode::Shared, signal).await?;
    let stored = database.stored(id).await.map_err(store_failed)?;
    let complete = stored.as_ref().is_some_and(|stored| stored.record.complete);
    if complete || !store {
        return Ok((shared, stored));
    }
    drop(shared);
    let alone = Lock::acquire(id, Mode::Exclusive, signal).await?;
    let stored = database.stored(id).await.map_err(store_failed)?;
    Ok((alone, stored))
}

async fn with_abort<T>(
    work: impl Future<Output = Result<T, Error>>,
    signal: Option<&AbortSignal>,
) -> Result<T, Error> {
    use futures_util::future::{Either, select};
    let work = std::pin::pin!(work);
    let fired = std::pin::pin!(abort::fired(signal.cloned()));
    match select(work, fired).await {
        Either::Left((result, _)) => result,
        Either::Right(_) => Err(Error::Aborted),
    }
}

/// Whether `bytes` more fit into what the browser grants; `Err` says why not.
pub(super) async fn room_for(bytes: u64) -> Result<(), String> {
    // Where the browser does not tell, writing shows.
    let Some((used, quota)) = estimate().await else {
        return Ok(());
    };
    let free = quota.saturating_sub(used);
    if bytes <= free {
        return Ok(());
    }
    Err(format!(
        "{bytes} bytes are to be stored, and of the {quota} bytes that the browser grants {free} are free"
    ))
}

/// Bytes used and granted.
async fn estimate() -> Option<(u64, u64)> {
    let promise = globals::storage_manager()?.estimate().ok()?;
    let estimate: StorageEstimate = JsFuture::from(promise).await.ok()?.unchecked_into();
    let number = |name: &str| {
        Reflect::get(&estimate, &JsValue::from_str(name))
            .ok()?
            .as_f64()
    };
    // Whole numbers far below 2^53.
    Some((number("usage")? as u64, number("quota")? as u64))
}

/// Every model in the store, whole or partial, the one used last first.
///
/// # Errors
/// When the store cannot be read.
pub async fn list() -> Result<Vec<StoredModel>, Error> {
    let Ok(database) = Database::open().await else {
        return Ok(Vec::new());
    };
    let mut models = Vec::new();
    for record in database.records().await.map_err(store_failed)? {
        let journal = database.journal(&record.id).await.map_err(store_failed)?;
        models.push(describe(record, &journal));
    }
    models.sort_by(|a, b| b.last_used.total_cmp(&a.last_used));
    Ok(models)
}

fn describe(record: Record, journal: &[JournalEntry]) -> StoredModel {
    StoredModel {
        size: record.size().unwrap_or(0),
        stored: stored_bytes(journal),
        complete: record.complete,
        files: record.files.into_iter().map(|file| file.name).collect(),
        id: record.id,
        created: record.created,
        last_used: record.last_used,
    }
}

fn stored_bytes(journal: &[JournalEntry]) -> u64 {
    journal.iter().map(|entry| u64::from(entry.length)).sum()
}

/// Removes one model, by its name or by the source it was loaded from, waiting until nobody reads it. False if there is
/// none.
///
/// # Errors
/// When the store cannot be written.
pub async fn remove(id: &str) -> Result<bool, Error> {
    let Ok(database) = Database::open().await else {
        return Ok(false);
    };
    let records = database.records().await.map_err(store_failed)?;
    let Some(record) = records.into_iter().find(|record| record.answers_to(id)) else {
        return Ok(false);
    };
    let _lock = Lock::acquire(&record.id, Mode::Exclusive, None).await?;
    database.remove(&record.id).await.map_err(store_failed)?;
    Ok(true)
}

/// Removes every model, waiting until nobody reads it.
///
/// # Errors
/// When the store cannot be written.
pub async fn clear() -> Result<(), Error> {
    for model in list().await? {
        remove(&model.id).await?;
    }
    Ok(())
}

/// What is stored, and what may be.
///
/// # Errors
/// When the store cannot be read.
pub async fn usage() -> Result<Usage, Error> {
    let models = list().await?.iter().map(|model| model.stored).sum();
    let (used, quota) = estimate().await.unwrap_or((0, 0));
    let persisted = match globals::storage_manager().map(|manager| manager.persisted()) {
        Some(Ok(promise)) => JsFuture::from(promise)
            .await
            .is_ok_and(|value| value.is_truthy()),
        _ => false,
    };
    Ok(Usage {
        models,
        used,
        quota,
        persisted,
    })
}

/// Reads a stored model, by its name or by the source it was loaded from, and checks every chunk; damaged ones are
/// dropped, so that the next load fetches them again.
///
/// # Errors
/// When the store cannot be read, or there is no such model.
pub async fn verify(
    id: &str,
    signal: Option<&AbortSignal>,
    progress: &dyn Fn(Progress),
) -> Result<Verification, Error> {
    let database = Database::open().await.map_err(store_failed)?;
    let records = database.records().await.map_err(store_failed)?;
    let record = records.into_iter().find(|record| record.answers_to(id));
    let record = record.ok_or_else(|| {
        Error::invalid(format!(
            "no model {id:?} is stored; list() names those that are"
        ))
    })?;
    let _lock = Lock::acquire(&record.id, Mode::Shared, signal).await?;
    let journal = database.journal(&record.id).await.map_err(store_failed)?;
    let mut found = Verification {
        ok: false,
        good: 0,
        damaged: 0,
        missing: missing(&record, &journal),
    };
    let mut at = Progress {
        stage: Stage::Read,
        loaded: 0,
        total: stored_bytes(&journal),
        file: record.id.clone(),
    };
    for entry in &journal {
        abort::check(signal)?;
        let bytes = database
            .chunk(&record.id, entry.chunk)
            .await
            .map_err(store_failed)?;
        if is_right(bytes.as_ref(), entry).await {
            found.good += 1;
        } else {
            found.damaged += 1;
            database
                .remove_chunk(&record.id, entry.chunk)
                .await
                .map_err(store_failed)?;
        }
        at.loaded += u64::from(entry.length);
        progress(at.clone());
    }
    found.ok = found.damaged == 0 && found.missing == 0 && record.complete;
    Ok(found)
}

async fn is_right(bytes: Option<&Uint8Array>, entry: &JournalEntry) -> bool {
    let Some(bytes) = bytes.filter(|bytes| bytes.length() == entry.length) else {
        return false;
    };
    let digest = match globals::sha256(bytes).await {
        Some(digest) => digest,
        None => Digest::of(&bytes.to_vec()),
    };
    digest == entry.digest
}

/// Chunks that a model should have and the journal does not.
fn missing(record: &Record, journal: &[JournalEntry]) -> u32 {
    let parts = (0_u32..).zip(record.files.iter().flat_map(|file| &file.parts));
    let expected = parts.flat_map(|(part, stored)| {
        let chunks = stored
            .size
            .unwrap_or(0)
            .div_ceil(u64::from(record.chunk_size.max(1)));
        (0..chunks).map(move |index| ChunkId {
            part,
            index: index as u32,
        })
    });
    let held: std::collections::HashSet<ChunkId> =
        journal.iter().map(|entry| entry.chunk).collect();
    expected.filter(|chunk| !held.contains(chunk)).count() as u32
}

fn store_failed(reason: String) -> Error {
    let full = reason.contains("QuotaExceeded");
    let code = if full {
        ErrorCode::QuotaExceeded
    } else {
        ErrorCode::UnsupportedBrowser
    };
    Error::new(
        code,
        format!(
            "the model store cannot be used ({reason}); load with store: false to do without it"
        ),
    )
}
