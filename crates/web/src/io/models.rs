//! The stored models: what there is, and whether it is still right.

use loader::eviction;
use loader::record::{ChunkId, JournalEntry, Record};
use web_sys::AbortSignal;

use super::buffers::Buffers;
use super::locks::{Lock, Mode};
use super::quota::Estimate;
use super::store::{Failure, Shelf, Store, store_failed};
use super::types::{Progress, Stage, StoredModel, Usage, Verification};
use super::{abort, quota};
use crate::Error;

/// Every model in the store, whole or partial, the one used last first.
///
/// # Errors
/// When the store cannot be read.
pub async fn list() -> Result<Vec<StoredModel>, Error> {
    let store = Store::open().await.map_err(store_failed)?;
    let mut models = Vec::new();
    for record in store.records().await.map_err(store_failed)? {
        let journal = store.journal(&record.id).await.map_err(store_failed)?;
        models.push(describe(record, &journal));
    }
    models.sort_by(|a, b| b.last_used.total_cmp(&a.last_used));
    Ok(models)
}

/// The model of that name, or that was loaded from that source.
pub(super) async fn find(store: &Store, id: &str) -> Result<Option<Record>, Error> {
    let records = store.records().await.map_err(store_failed)?;
    Ok(records.into_iter().find(|record| record.answers_to(id)))
}

pub(super) fn not_stored(id: &str) -> Error {
    Error::invalid(format!(
        "no model {id:?} is stored; list() names those that are"
    ))
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
    let store = Store::open().await.map_err(store_failed)?;
    let Some(record) = find(&store, id).await? else {
        return Ok(false);
    };
    let _lock = Lock::acquire(&record.id, Mode::Exclusive, None).await?;
    let removed = store.shelf(&record).remove();
    removed.await.map_err(store_failed)?;
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
    let (used, quota) = quota::estimate().await.unwrap_or((0, 0));
    Ok(Usage {
        models,
        used,
        quota,
        persisted: quota::is_persisted().await,
    })
}

/// Reads a stored model, by its name or by the source it was loaded from, and checks every chunk. Damaged ones are dropped, so
/// that the next load fetches them again, unless they are `kept`: for a load that follows at once and has to find what they were.
///
/// # Errors
/// When the store cannot be read, or there is no such model; when it was never whole, and is to be kept.
pub async fn verify(
    id: &str,
    kept: bool,
    signal: Option<&AbortSignal>,
    progress: &dyn Fn(Progress),
) -> Result<Verification, Error> {
    let store = Store::open().await.map_err(store_failed)?;
    let record = find(&store, id).await?.ok_or_else(|| not_stored(id))?;
    if kept && !record.complete {
        return Err(Error::invalid(
            "this model is not stored whole: pull it, which fetches the rest",
        ));
    }
    let _lock = Lock::acquire(&record.id, Mode::Shared, signal).await?;
    let shelf = store.shelf(&record);
    let journal = store.journal(&record.id).await.map_err(store_failed)?;
    let (hasher, buffers) = (record.hasher(), Buffers::default());
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
        let mut bytes = buffers.take(entry.length);
        let found_it = shelf.read(entry.chunk, &mut bytes).await;
        if found_it.map_err(store_failed)? && hasher.hash(&bytes) == entry.digest {
            found.good += 1;
        } else {
            found.damaged += 1;
            if !kept {
                let removed = shelf.remove_chunk(entry.chunk);
                removed.await.map_err(store_failed)?;
            }
        }
        at.loaded += u64::from(entry.length);
        progress(at.clone());
    }
    found.ok = found.damaged == 0 && found.missing == 0 && record.complete;
    Ok(found)
}

/// Sees to it that `bytes` more can be stored, by removing the models that have not been used for longest if that is allowed and
/// helps. What is in use stays, and so does the model of `shelf`. `estimate` is what the browser says of its storage.
pub(super) async fn make_room(
    store: &Store,
    shelf: &Shelf,
    bytes: u64,
    estimate: Estimate,
    evict: bool,
) -> Result<(), Failure> {
    let Err(shortage) = quota::room_for(bytes, estimate) else {
        return Ok(());
    };
    if !evict {
        return Err(shortage.to_string());
    }
    let mut unused = Vec::new();
    for record in store.records().await? {
        if record.id != shelf.id()
            && let Some(lock) = Lock::if_unused(&record.id).await
        {
            let size = stored_bytes(&store.journal(&record.id).await?);
            unused.push((record, size, lock));
        }
    }
    let candidates = unused
        .iter()
        .map(|(record, size, _)| (record.last_used, *size));
    let Some(chosen) = eviction::choose(candidates, shortage.lacking()) else {
        return Err(shortage.to_string());
    };
    for chosen in chosen {
        store.shelf(&unused[chosen].0).remove().await?;
    }
    Ok(())
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
