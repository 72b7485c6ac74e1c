//! The model store where the browser lets nothing be stored, as in some private windows: a model is then in memory only, once,
//! as the engine's weights. This store has nothing, keeps nothing, and says why.

use futures_util::FutureExt;
use futures_util::future::ready;
use js_sys::Uint8Array;
use loader::record::{ChunkId, JournalEntry, Record};

use super::{Failure, Read, Tables, Written};

/// A store that is always empty.
pub(super) struct Memory {
    /// Why nothing can be stored.
    pub(super) reason: Failure,
}

impl Memory {
    fn refuse(&self) -> Written {
        ready(Err(self.reason.clone())).boxed_local()
    }
}

fn nothing<T: Default + 'static>() -> Read<'static, T> {
    ready(Ok(T::default())).boxed_local()
}

impl Tables for Memory {
    fn records(&self) -> Read<'_, Vec<Record>> {
        nothing()
    }

    fn journal<'a>(&'a self, _id: &'a str) -> Read<'a, Vec<JournalEntry>> {
        nothing()
    }

    fn chunk<'a>(&'a self, _id: &'a str, _chunk: ChunkId) -> Read<'a, Option<Uint8Array>> {
        nothing()
    }

    fn put_record(&self, _record: &Record) -> Written {
        self.refuse()
    }

    fn put_chunk(&self, _id: &str, _entry: &JournalEntry, _bytes: &[u8]) -> Written {
        self.refuse()
    }

    fn put_entries(&self, _id: &str, _entries: &[JournalEntry]) -> Written {
        self.refuse()
    }

    fn remove_chunk(&self, _id: &str, _chunk: ChunkId) -> Written {
        ready(Ok(())).boxed_local()
    }

    fn remove(&self, _id: &str) -> Written {
        ready(Ok(())).boxed_local()
    }
}
