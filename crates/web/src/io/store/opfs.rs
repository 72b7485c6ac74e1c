//! Chunks in files of the origin private file system, through synchronous handles (<https://fs.spec.whatwg.org/>): a folder per
//! model, a file per part, each chunk at its number times the chunk size.
//!
//! A handle that may write excludes all others, and in browsers that know no modes of opening so does one that only
//! reads. Who cannot have a handle reads through the file interface that pages have too, which is slower.
//!
//! Nothing waits for the disk. What has been written survives the browser's end, for the system has it; should the power fail before
//! the system has brought it to the disk, the chunks that are missing have not the hashes of their journal entries, and
//! are fetched again.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use js_sys::{Object, Promise, Reflect, Uint8Array};
use loader::Digest;
use loader::record::{ChunkId, JournalEntry};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, DomException, FileSystemReadWriteOptions, FileSystemSyncAccessHandle};

use super::turns::Turns;
use super::{Failure, Written};
use crate::io::globals::{Sleep, describe, storage_manager};

/// The folder of all models.
const ROOT: &str = "minnow";

/// What the browser says where another handle is open.
const TAKEN: &str = "NoModificationAllowedError";

/// What it says where there is no such file or folder.
const NOT_FOUND: &str = "NotFoundError";

/// How often and after how many milliseconds a handle is asked for again: that of a tab that has just been closed may live
/// a little longer than the tab.
const ATTEMPTS: u32 = 40;
const PAUSE_MS: f64 = 50.0;

#[wasm_bindgen]
extern "C" {
    type Manager;

    #[wasm_bindgen(method, catch, js_name = getDirectory)]
    fn directory(this: &Manager) -> Result<Promise, JsValue>;

    /// `FileSystemDirectoryHandle`.
    #[derive(Clone)]
    type Directory;

    #[wasm_bindgen(method, catch, js_name = getDirectoryHandle)]
    fn directory(this: &Directory, name: &str, options: &Object) -> Result<Promise, JsValue>;

    #[wasm_bindgen(method, catch, js_name = getFileHandle)]
    fn file(this: &Directory, name: &str, options: &Object) -> Result<Promise, JsValue>;

    #[wasm_bindgen(method, catch, js_name = removeEntry)]
    fn remove(this: &Directory, name: &str, options: &Object) -> Result<Promise, JsValue>;

    /// `FileSystemFileHandle`.
    type FileHandle;

    #[wasm_bindgen(method, catch, js_name = createSyncAccessHandle)]
    fn open(this: &FileHandle, options: &Object) -> Result<Promise, JsValue>;

    #[wasm_bindgen(method, catch, js_name = getFile)]
    fn snapshot(this: &FileHandle) -> Result<Promise, JsValue>;
}

/// The folder of all models.
pub(super) struct Files {
    root: Directory,
}

/// One model's folder.
pub(super) struct Folder {
    root: Directory,
    name: String,
    chunk_size: u32,
    open: RefCell<BTreeMap<u32, Open>>,
    /// How many chunks have been written.
    written: Cell<u64>,
    /// How many of these are gone again.
    removed: Cell<u64>,
    /// How many of them have their entries in the journal.
    noted: Cell<u64>,
    /// Entries of those that are not on their way there.
    unnoted: RefCell<Vec<JournalEntry>>,
    /// Changes, and whatever opens a file, happen one after the other.
    pub(super) turns: Turns,
    /// So do changes of the journal.
    notes: Turns,
}

/// A chunk that has been written and is not in the journal yet: its number among those written.
pub(crate) struct Unnoted(u64);

/// How a part's file is open.
#[derive(Clone)]
enum Open {
    Writing(FileSystemSyncAccessHandle),
    Reading(FileSystemSyncAccessHandle),
    /// Another tab has the handle.
    Snapshot(Blob),
}

/// What a file is opened for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Read,
    Write,
}

impl Files {
    /// Opens the file system; `None` where the browser has none, or none with synchronous handles, or grants none here.
    pub(super) async fn open() -> Option<Self> {
        has_handles().then_some(())?;
        let manager: Manager = storage_manager()?.unchecked_into();
        let top: Directory = settle(manager.directory()).await.ok()?.unchecked_into();
        let root = settle(top.directory(ROOT, &options("create", true)))
            .await
            .ok()?;
        Some(Self {
            root: root.unchecked_into(),
        })
    }

    /// The folder of one model. Ids may be any text and of any length; names of files may not.
    pub(super) fn folder(&self, id: &str, chunk_size: u32) -> Folder {
        Folder {
            root: self.root.clone(),
            name: Digest::of(id.as_bytes()).to_string(),
            chunk_size,
            open: RefCell::default(),
            written: Cell::new(0),
            removed: Cell::new(0),
            noted: Cell::new(0),
            unnoted: RefCell::default(),
            turns: Turns::new(),
            notes: Turns::new(),
        }
    }
}

fn has_handles() -> bool {
    let class = js_sys::global();
    Reflect::has(&class, &JsValue::from_str("FileSystemSyncAccessHandle")).unwrap_or(false)
}

impl Folder {
    /// Reads a chunk's bytes; whether the file has them all.
    pub(super) async fn read(&self, chunk: ChunkId, into: &mut [u8]) -> Result<bool, Failure> {
        let known = self.open.borrow().get(&chunk.part).cloned();
        let open = match known {
            Some(open) => open,
            None => {
                let _turn = self.turns.take().await;
                self.file(chunk.part, Purpose::Read).await?
            }
        };
        let at = self.start(chunk);
        // A chunk's length is a u32.
        let length = into.len() as f64;
        match open {
            Open::Writing(handle) | Open::Reading(handle) => {
                let read = handle.read_with_u8_array_and_options(into, &place(at));
                Ok(read.map_err(|error| explain(&error))? == length)
            }
            Open::Snapshot(file) => {
                let slice = file.slice_with_f64_and_f64(at, at + length);
                let slice = slice.map_err(|error| explain(&error))?;
                let buffer = settle(Ok(slice.array_buffer())).await;
                let bytes = Uint8Array::new(&buffer.map_err(|error| explain(&error))?);
                Ok(super::copy(&bytes, into))
            }
        }
    }

    /// Writes a chunk's bytes, which [`Self::note`] is to note.
    pub(super) async fn write(
        &self,
        entry: &JournalEntry,
        bytes: &[u8],
    ) -> Result<Unnoted, Failure> {
        let Open::Writing(handle) = self.file(entry.chunk.part, Purpose::Write).await? else {
            return Err("the file is not open for writing".to_owned());
        };
        let at = place(self.start(entry.chunk));
        let written = handle.write_with_u8_array_and_options(bytes, &at);
        if written.map_err(|error| explain(&error))? < bytes.len() as f64 {
            return Err(super::full());
        }
        self.unnoted.borrow_mut().push(*entry);
        self.written.set(self.written.get() + 1);
        Ok(Unnoted(self.written.get()))
    }

    /// Has `put` write a chunk's journal entry, with those of all that were written while the entries before were on their
    /// way: a transaction costs as much for one entry as for many.
    pub(super) async fn note(
        &self,
        Unnoted(number): Unnoted,
        put: impl FnOnce(&[JournalEntry]) -> Written,
    ) -> Result<(), Failure> {
        let _turn = self.notes.take().await;
        if number <= self.removed.get() {
            return Err("the model has been removed meanwhile".to_owned());
        }
        if number <= self.noted.get() {
            return Ok(());
        }
        let last = self.written.get();
        let entries = self.unnoted.take();
        if entries.is_empty() {
            return Err("the transaction with its journal entry failed".to_owned());
        }
        put(&entries).await?;
        self.noted.set(last);
        Ok(())
    }

    /// Removes the folder with its files.
    pub(super) async fn remove(&self) -> Result<(), Failure> {
        self.close();
        self.removed.set(self.written.get());
        self.unnoted.take();
        let recursive = options("recursive", true);
        match patiently(|| self.root.remove(&self.name, &recursive)).await {
            Err(error) if name(&error) != NOT_FOUND => Err(explain(&error)),
            _ => Ok(()),
        }
    }

    /// First byte of a chunk within its part's file; files are far smaller than 2^53 bytes.
    fn start(&self, chunk: ChunkId) -> f64 {
        f64::from(chunk.index) * f64::from(self.chunk_size)
    }

    /// A part's file, opened if it is not yet, or not for this purpose.
    async fn file(&self, part: u32, purpose: Purpose) -> Result<Open, Failure> {
        let known = self.open.borrow_mut().remove(&part);
        let open = match known {
            Some(open @ Open::Writing(_)) => open,
            Some(open) if purpose == Purpose::Read => open,
            other => {
                other.iter().for_each(Open::close);
                let opened = self.opened(part, purpose).await;
                opened.map_err(|error| explain(&error))?
            }
        };
        self.open.borrow_mut().insert(part, open.clone());
        Ok(open)
    }

    async fn opened(&self, part: u32, purpose: Purpose) -> Result<Open, JsValue> {
        let writing = purpose == Purpose::Write;
        let create = options("create", writing);
        let folder = settle(self.root.directory(&self.name, &create)).await?;
        let folder: Directory = folder.unchecked_into();
        let file: FileHandle = settle(folder.file(&part.to_string(), &create))
            .await?
            .unchecked_into();
        if writing {
            let handle = patiently(|| file.open(&Object::new())).await?;
            return Ok(Open::Writing(handle.unchecked_into()));
        }
        match settle(file.open(&options("mode", "read-only"))).await {
            Ok(handle) => Ok(Open::Reading(handle.unchecked_into())),
            Err(error) if name(&error) == TAKEN => {
                let snapshot = settle(file.snapshot()).await?;
                Ok(Open::Snapshot(snapshot.unchecked_into()))
            }
            Err(error) => Err(error),
        }
    }

    fn close(&self) {
        let open = std::mem::take(&mut *self.open.borrow_mut());
        open.values().for_each(Open::close);
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        self.close();
    }
}

impl Open {
    fn close(&self) {
        if let Self::Writing(handle) | Self::Reading(handle) = self {
            handle.close();
        }
    }
}

/// Does something that another tab's handle may still be in the way of.
async fn patiently(attempt: impl Fn() -> Result<Promise, JsValue>) -> Result<JsValue, JsValue> {
    for _ in 1..ATTEMPTS {
        match settle(attempt()).await {
            Err(error) if name(&error) == TAKEN => Sleep::ms(PAUSE_MS).wait().await,
            result => return result,
        }
    }
    settle(attempt()).await
}

async fn settle(promise: Result<Promise, JsValue>) -> Result<JsValue, JsValue> {
    JsFuture::from(promise?).await
}

fn name(error: &JsValue) -> String {
    error.dyn_ref().map_or_else(String::new, DomException::name)
}

fn explain(error: &JsValue) -> Failure {
    match error.dyn_ref::<DomException>() {
        Some(error) => super::explain(error),
        None => describe(error),
    }
}

fn options(key: &str, value: impl Into<JsValue>) -> Object {
    let options = Object::new();
    // A plain object takes any property.
    let _ = Reflect::set(&options, &JsValue::from_str(key), &value.into());
    options
}

fn place(at: f64) -> FileSystemReadWriteOptions {
    let options = FileSystemReadWriteOptions::new();
    options.set_at(at);
    options
}
