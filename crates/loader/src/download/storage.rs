//! What is written to the store, and what happens when that fails: the load goes on without it.

use super::{Action, Download, Phase, Piece, Slot, Token};
use crate::files::Location;
use crate::record::{ChunkId, FileRecord, JournalEntry, LAYOUT, PartRecord, Record};

/// Whether what arrives is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Storing {
    /// No: by the caller's wish, or for this reason.
    Off(Option<String>),
    /// Yes, once there is known to be room.
    Unreserved,
    /// The driver is seeing whether there is room.
    Reserving(Token),
    /// Yes.
    On,
}

/// A chunk that has arrived and is to be stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unwritten {
    entry: JournalEntry,
    /// Names the bytes.
    pub(super) bytes: Token,
}

/// A change that is under way.
#[derive(Debug, Clone, Copy)]
pub(super) enum Writing {
    /// Of the record.
    Record,
    /// A chunk, with its entry.
    Chunk(JournalEntry),
    /// The entry alone: its chunk is there.
    Entry(JournalEntry),
}

impl Writing {
    fn entry(self) -> Option<JournalEntry> {
        match self {
            Self::Record => None,
            Self::Chunk(entry) | Self::Entry(entry) => Some(entry),
        }
    }
}

impl Storing {
    pub(super) fn is_off(&self) -> bool {
        matches!(self, Self::Off(_))
    }
}

impl Download {
    /// The headers are accepted: from now on chunks may be stored.
    pub(super) fn reserve(&mut self) {
        if self.storing != Storing::Unreserved {
            return;
        }
        let held: u64 = self.parts.iter().map(super::Part::held_bytes).sum();
        match self.total().map_or(0, |total| total.saturating_sub(held)) {
            0 => {
                self.storing = Storing::On;
                self.flush();
            }
            bytes => {
                let token = self.token();
                self.storing = Storing::Reserving(token);
                self.queue.push_back(Action::Reserve { token, bytes });
            }
        }
    }

    pub(super) fn on_reserved(&mut self, token: Token, granted: Result<(), String>) {
        if self.storing != Storing::Reserving(token) {
            return;
        }
        match granted {
            Ok(()) => {
                self.storing = Storing::On;
                self.flush();
            }
            Err(reason) => self.stop_storing(reason),
        }
    }

    /// Notes a chunk that came over the network as `bytes`, to be stored as soon as that is allowed.
    pub(super) fn keep(&mut self, chunk: ChunkId, bytes: Token, piece: Piece) {
        let entry = JournalEntry {
            chunk,
            length: piece.length,
            digest: piece.digest,
        };
        if self.storing.is_off() {
            return self.remember(entry);
        }
        self.unwritten.push(Unwritten { entry, bytes });
        if self.storing == Storing::On {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if self.unwritten.is_empty() {
            return;
        }
        if !self.recorded || self.unsaved {
            self.save();
        }
        for Unwritten { entry, bytes } in std::mem::take(&mut self.unwritten) {
            let token = self.token();
            self.writes.insert(token, Writing::Chunk(entry));
            let write = Action::Write {
                token,
                entry,
                bytes,
            };
            self.queue.push_back(write);
            self.let_go(bytes);
        }
    }

    fn save(&mut self) {
        self.recorded = true;
        self.unsaved = false;
        let token = self.token();
        self.writes.insert(token, Writing::Record);
        self.queue.push_back(Action::Save { token });
    }

    pub(super) fn on_written(&mut self, token: Token) {
        if let Some(writing) = self.writes.get_mut(&token)
            && let Some(entry) = writing.entry()
        {
            *writing = Writing::Entry(entry);
        }
    }

    pub(super) fn on_stored(&mut self, token: Token, result: Result<(), String>) {
        let Some(writing) = self.writes.remove(&token) else {
            return;
        };
        match (result, writing.entry()) {
            (Ok(()), Some(entry)) => {
                self.parts[entry.chunk.part as usize]
                    .set_slot(entry.chunk.index, Slot::Held(entry.digest));
            }
            (Ok(()), None) => {}
            (Err(reason), entry) => {
                entry.into_iter().for_each(|entry| self.remember(entry));
                self.stop_storing(reason);
            }
        }
    }

    /// Notes the digest of a chunk that is not stored: should it have to come again, for its file's hash, it must be the same.
    fn remember(&mut self, entry: JournalEntry) {
        let part = &mut self.parts[entry.chunk.part as usize];
        if self.files[part.file].expected.is_some() {
            let (expected, seen) = (entry.digest, None);
            part.set_slot(entry.chunk.index, Slot::Damaged { expected, seen });
        }
    }

    /// Chunks whose bytes are on their way to the store.
    pub(super) fn writing(&self) -> usize {
        let is_chunk = |writing: &&Writing| matches!(writing, Writing::Chunk(_));
        self.writes.values().filter(is_chunk).count()
    }

    /// Whether a chunk is on its way to the store, from where it can be read back.
    pub(super) fn is_being_stored(&self, chunk: ChunkId) -> bool {
        let waiting = self.unwritten.iter().map(|unwritten| &unwritten.entry);
        let writing = self.writes.values().filter_map(|writing| writing.entry());
        let mut entries = waiting.copied().chain(writing);
        entries.any(|entry| entry.chunk == chunk)
    }

    /// Goes on without storing. What is stored is used to the end, and then removed: it would never be completed.
    fn stop_storing(&mut self, reason: String) {
        if !self.storing.is_off() {
            self.storing = Storing::Off(Some(reason));
            self.release_unwritten();
            self.find_route();
        }
    }

    /// All is delivered: marks the model complete once everything is written.
    pub(super) fn settle(&mut self) {
        if matches!(self.storing, Storing::Reserving(_)) || !self.writes.is_empty() {
            return;
        }
        match self.storing {
            Storing::On if !self.marked_complete => {
                self.marked_complete = true;
                self.save();
            }
            // A model that was whole is not given up because one of its chunks could not be repaired.
            Storing::Off(Some(_)) if !self.was_complete => {
                self.forget();
                self.phase = Phase::Ended(Ok(()));
            }
            _ => self.phase = Phase::Ended(Ok(())),
        }
    }

    pub(super) fn release_unwritten(&mut self) {
        for Unwritten { entry, bytes } in std::mem::take(&mut self.unwritten) {
            self.remember(entry);
            self.let_go(bytes);
        }
    }

    /// The model's record as it stands, to be stored at [`Action::Save`].
    pub fn record(&self) -> Record {
        let part = |part: &super::Part| PartRecord {
            url: match part.location() {
                Location::Url(url) => url.to_string(),
                Location::File { label, .. } => label.clone(),
            },
            size: part.size,
            validator: part.validator.clone(),
        };
        let files = self
            .files
            .iter()
            .enumerate()
            .map(|(number, file)| FileRecord {
                name: file.name.clone(),
                sha256: file.sha256.or(file.expected),
                parts: self
                    .parts
                    .iter()
                    .filter(|part| part.file == number)
                    .map(part)
                    .collect(),
            });
        Record {
            layout: LAYOUT,
            id: self.model.id.clone(),
            aliases: self.aliases.clone(),
            chunk_size: self.chunk_size,
            place: self.place,
            key: self.key,
            files: files.collect(),
            complete: self.marked_complete || self.was_complete,
            created: self.created,
            last_used: self.options.now_ms,
        }
    }
}
