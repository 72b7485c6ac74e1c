//! The model store: one interface over what a browser may have.
//!
//! Records, the journal and, where there is nothing faster, the chunks are in tables ([`Tables`]): IndexedDB, or, where it may not
//! be used, nothing at all ([`memory`]). Where the browser has files with synchronous handles (the origin private file
//! system), the chunks of new models are in files ([`opfs`]): measured, they are read back thirty times as fast
//! and more (see `docs/performance.md`).
//!
//! Nothing here takes locks: who may read and write a model is [`super::locks`]' business.

mod indexed_db;
mod memory;
mod opfs;
mod turns;

use std::rc::Rc;

use futures_util::future::{LocalBoxFuture, join};
use futures_util::{FutureExt, TryFutureExt};
use js_sys::Uint8Array;
use loader::record::{ChunkId, JournalEntry, Place, Record, Stored};
use web_sys::DomException;

use crate::io::buffers::Buffer;
use crate::io::globals::within;
use crate::{Error, ErrorCode};
use indexed_db::IndexedDb;
use memory::Memory;
pub(super) use opfs::Unnoted;
use opfs::{Files, Folder};

/// Longest that opening the store may take, in milliseconds. It takes some, and seconds where a phone tidies up a large store first.
const OPEN_MS: f64 = 20_000.0;

/// What the browser calls a full store.
const QUOTA_EXCEEDED: &str = "QuotaExceededError";

/// Why the store did not do what was asked, for people.
pub(super) type Failure = String;

/// What is read.
pub(super) type Read<'a, T> = LocalBoxFuture<'a, Result<T, Failure>>;

/// Whether a change took effect. Every change is begun at once, and changes take effect in the order of the calls; the
/// future only waits.
pub(super) type Written = LocalBoxFuture<'static, Result<(), Failure>>;

/// The tables of [`loader::record`].
pub(super) trait Tables {
    /// Every model's record, in this version's layout.
    fn records(&self) -> Read<'_, Vec<Record>>;
    /// What is noted of a model's chunks.
    fn journal<'a>(&'a self, id: &'a str) -> Read<'a, Vec<JournalEntry>>;
    /// A chunk's bytes, in the browser's memory; `None` if it is not there.
    fn chunk<'a>(&'a self, id: &'a str, chunk: ChunkId) -> Read<'a, Option<Uint8Array>>;
    /// Stores a model's record.
    fn put_record(&self, record: &Record) -> Written;
    /// Stores a chunk's bytes and its journal entry: both or neither.
    fn put_chunk(&self, id: &str, entry: &JournalEntry, bytes: &[u8]) -> Written;
    /// Stores the journal entries of chunks whose bytes are elsewhere.
    fn put_entries(&self, id: &str, entries: &[JournalEntry]) -> Written;
    /// Drops a chunk's journal entry and its bytes.
    fn remove_chunk(&self, id: &str, chunk: ChunkId) -> Written;
    /// Removes a model's record, journal and chunks.
    fn remove(&self, id: &str) -> Written;
}

/// The store as it is open now.
pub(super) struct Store {
    tables: Rc<dyn Tables>,
    files: Option<Files>,
}

impl Store {
    /// Opens the best store that the browser has, or none where it grants none.
    ///
    /// # Errors
    /// Where it has one and does not come to open it: another tab may have it open in an older layout, and not let go.
    pub(super) async fn open() -> Result<Self, Failure> {
        let opened = async {
            match join(IndexedDb::open(), Files::open()).await {
                (Ok(tables), files) => Self {
                    tables: Rc::new(tables),
                    files,
                },
                (Err(reason), _) => Self::none(reason),
            }
        };
        within(OPEN_MS, opened).await.ok_or_else(|| {
            let seconds = OPEN_MS / 1000.0;
            format!(
                "the browser has not opened it for {seconds} seconds: close the other tabs of this site, then try again"
            )
        })
    }

    /// A store that keeps nothing, for that reason.
    pub(super) fn none(reason: Failure) -> Self {
        Self {
            tables: Rc::new(Memory { reason }),
            files: None,
        }
    }

    /// Where the chunks of a new model go.
    pub(super) fn place(&self) -> Place {
        match self.files {
            Some(_) => Place::Files,
            None => Place::Tables,
        }
    }

    /// Every model's record.
    pub(super) async fn records(&self) -> Result<Vec<Record>, Failure> {
        self.tables.records().await
    }

    /// What is noted of a model's chunks.
    pub(super) async fn journal(&self, id: &str) -> Result<Vec<JournalEntry>, Failure> {
        self.tables.journal(id).await
    }

    /// One model's record and journal.
    pub(super) async fn stored(&self, id: &str) -> Result<Option<Stored>, Failure> {
        let (records, journal) = join(self.records(), self.journal(id)).await;
        let (records, journal) = (records?, journal?);
        let record = records.into_iter().find(|record| record.id == id);
        Ok(record.map(|record| Stored { record, journal }))
    }

    /// The store as far as it is about the model of `record`.
    pub(super) fn shelf(&self, record: &Record) -> Shelf {
        let files = self.files.as_ref();
        Shelf {
            tables: self.tables.clone(),
            folder: files
                .filter(|_| record.place == Place::Files)
                .map(|files| Rc::new(files.folder(&record.id, record.chunk_size))),
            id: record.id.clone(),
        }
    }
}

/// One model in the store. Files that it has opened are closed when it is dropped.
pub(super) struct Shelf {
    tables: Rc<dyn Tables>,
    /// Where the chunks are, if not in the tables.
    folder: Option<Rc<Folder>>,
    id: String,
}

impl Shelf {
    /// The model's name.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Reads a chunk's bytes; whether they are there.
    pub(super) async fn read(&self, chunk: ChunkId, into: &mut [u8]) -> Result<bool, Failure> {
        match &self.folder {
            Some(folder) => folder.read(chunk, into).await,
            None => {
                let bytes = self.tables.chunk(&self.id, chunk).await?;
                Ok(bytes.is_some_and(|bytes| copy(&bytes, into)))
            }
        }
    }

    /// Stores the model's record.
    pub(super) fn put_record(&self, record: &Record) -> Written {
        let record = record.clone();
        self.change(|_| ready_now(), move |tables, _| tables.put_record(&record))
    }

    /// Stores a chunk, and its journal entry where they are stored together: then both or neither. Else the entry is to be
    /// [noted](Self::note); until then the bytes are nobody's.
    pub(super) fn put_chunk(
        &self,
        entry: &JournalEntry,
        bytes: Rc<Buffer>,
    ) -> LocalBoxFuture<'static, Result<Option<Unnoted>, Failure>> {
        let Some(folder) = self.folder.clone() else {
            let stored = self.tables.put_chunk(&self.id, entry, &bytes);
            return stored.map_ok(|()| None).boxed_local();
        };
        let (turn, entry) = (folder.turns.take(), *entry);
        let change = async move {
            let _turn = turn.await;
            folder.write(&entry, &bytes).await.map(Some)
        };
        change.boxed_local()
    }

    /// Stores the journal entry of a chunk whose bytes are there.
    pub(super) fn note(&self, chunk: Unnoted) -> Written {
        let Some(folder) = self.folder.clone() else {
            return ready_now();
        };
        let (tables, id) = (self.tables.clone(), self.id.clone());
        let note = async move {
            let put = |entries: &[JournalEntry]| tables.put_entries(&id, entries);
            folder.note(chunk, put).await
        };
        note.boxed_local()
    }

    /// Drops a chunk: its entry is enough where its bytes are in a file.
    pub(super) fn remove_chunk(&self, chunk: ChunkId) -> Written {
        self.change(
            |_| ready_now(),
            move |tables, id| tables.remove_chunk(id, chunk),
        )
    }

    /// Removes the model with everything that belongs to it. Files go first: what is left when that is interrupted is a
    /// record, by which the rest is found.
    pub(super) fn remove(&self) -> Written {
        self.change(
            |folder| async move { folder.remove().await }.boxed_local(),
            |tables, id| tables.remove(id),
        )
    }

    /// Changes the files, if there are any, and then the tables; the next change begins when this one has begun
    /// its last step.
    fn change(
        &self,
        files: impl FnOnce(Rc<Folder>) -> Written + 'static,
        tables: impl FnOnce(&dyn Tables, &str) -> Written + 'static,
    ) -> Written {
        let Some(folder) = self.folder.clone() else {
            return tables(&*self.tables, &self.id);
        };
        let (all, id) = (self.tables.clone(), self.id.clone());
        let turn = folder.turns.take();
        let change = async move {
            let turn = turn.await;
            files(folder).await?;
            let end = tables(&*all, &id);
            drop(turn);
            end.await
        };
        change.boxed_local()
    }
}

/// Copies what has the length it should have.
fn copy(bytes: &Uint8Array, into: &mut [u8]) -> bool {
    let right = bytes.length() as usize == into.len();
    if right {
        bytes.copy_to(into);
    }
    right
}

fn ready_now() -> Written {
    futures_util::future::ready(Ok(())).boxed_local()
}

/// The error that a failure of the store is where a call cannot do without it.
pub(super) fn store_failed(reason: Failure) -> Error {
    let full = reason.contains(QUOTA_EXCEEDED);
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

fn explain(error: &DomException) -> Failure {
    match error.name().as_str() {
        QUOTA_EXCEEDED => full(),
        name => format!("{name}: {}", error.message()),
    }
}

/// Names a full store so that [`store_failed`] knows it again.
fn full() -> Failure {
    format!("the browser's storage is full: {QUOTA_EXCEEDED}")
}
