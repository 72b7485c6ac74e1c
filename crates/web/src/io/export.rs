//! A stored file, read back to be taken elsewhere.

use std::cell::Cell;

use js_sys::Uint8Array;
use loader::ChunkHasher;
use loader::record::{FileRecord, JournalEntry, Record};

use super::buffers::Buffers;
use super::locks::{Lock, Mode};
use super::models::{find, not_stored};
use super::store::{Shelf, Store, store_failed};
use crate::{Error, ErrorCode};

/// A file on its way out, chunk by chunk. The model is not removed while this lives.
pub struct Export {
    shelf: Shelf,
    /// Its chunks in order.
    chunks: Vec<JournalEntry>,
    next: Cell<usize>,
    name: String,
    hasher: ChunkHasher,
    buffers: Buffers,
    // Dropped after the files have been closed.
    _lock: Lock,
}

/// Opens a file of a model, by the model's name or source. A model of one file needs no file name.
///
/// # Errors
/// When there is no such model or file, when it is not complete, or when the store cannot be read.
pub async fn export(id: &str, file: Option<&str>) -> Result<Export, Error> {
    let store = Store::open().await.map_err(store_failed)?;
    let record = find(&store, id).await?.ok_or_else(|| not_stored(id))?;
    let lock = Lock::acquire(&record.id, Mode::Shared, None).await?;
    let (parts, file) = choose(&record, file)?;
    let journal = store.journal(&record.id).await.map_err(store_failed)?;
    let mut chunks: Vec<_> = journal
        .into_iter()
        .filter(|entry| parts.contains(&entry.chunk.part))
        .collect();
    chunks.sort_by_key(|entry| entry.chunk);
    let size = file.parts.iter().map(|part| part.size).sum::<Option<u64>>();
    let held = chunks.iter().map(|entry| u64::from(entry.length)).sum();
    if size != Some(held) {
        return Err(damaged(&file.name, "is not complete in the store"));
    }
    Ok(Export {
        shelf: store.shelf(&record),
        chunks,
        next: Cell::new(0),
        name: file.name.clone(),
        hasher: record.hasher(),
        buffers: Buffers::default(),
        _lock: lock,
    })
}

impl Export {
    /// The next bytes; `None` after the last.
    ///
    /// # Errors
    /// When they are not what was stored, or cannot be read.
    pub async fn next(&self) -> Result<Option<Uint8Array>, Error> {
        let Some(entry) = self.chunks.get(self.next.get()) else {
            return Ok(None);
        };
        let mut bytes = self.buffers.take(entry.length);
        let found = self.shelf.read(entry.chunk, &mut bytes).await;
        if !found.map_err(store_failed)? || self.hasher.hash(&bytes) != entry.digest {
            return Err(damaged(&self.name, "is damaged in the store"));
        }
        self.next.set(self.next.get() + 1);
        Ok(Some(Uint8Array::from(&*bytes)))
    }
}

/// The numbers of a file's parts, and the file.
fn choose<'a>(
    record: &'a Record,
    name: Option<&str>,
) -> Result<(std::ops::Range<u32>, &'a FileRecord), Error> {
    let mut first = 0;
    for file in &record.files {
        // A model has at most `loader::files::MAX_PARTS`.
        let parts = first..first + file.parts.len() as u32;
        if name == Some(&file.name) || (name.is_none() && record.files.len() == 1) {
            return Ok((parts, file));
        }
        first = parts.end;
    }
    let names: Vec<_> = record.files.iter().map(|file| &*file.name).collect();
    Err(Error::invalid(format!(
        "name the file to export, one of {}",
        names.join(", ")
    )))
}

fn damaged(file: &str, what: &str) -> Error {
    Error::new(
        ErrorCode::IntegrityMismatch,
        format!("{file} {what}: load the model once more, which fetches what is missing"),
    )
}
