//! Which chunks of a part are where.

use crate::ChunkHash;
use crate::files::{Location, PartSpec};
use crate::record::{JournalEntry, PartRecord, Validator};

/// What the store has in a chunk's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    /// Nothing.
    Missing,
    /// Bytes that had this hash when they were written.
    Held(ChunkHash),
    /// Bytes that are wrong or gone. What replaces them must have the hash `expected`, or show by coming the
    /// same twice (`seen`) that the file has changed.
    Damaged {
        expected: ChunkHash,
        seen: Option<ChunkHash>,
    },
}

/// A part during a download.
#[derive(Debug, Clone)]
pub(super) struct Part {
    /// Where its bytes are, on every mirror of the model.
    locations: Vec<Location>,
    /// Which of them is asked.
    mirror: usize,
    /// Which file it belongs to.
    pub(super) file: usize,
    /// Bytes, once known.
    pub(super) size: Option<u64>,
    /// As last told by the server.
    pub(super) validator: Validator,
    /// Whether its server answers with ranges, once it has answered.
    pub(super) ranges: Option<bool>,
    /// Bytes as listed before any request.
    listed_size: Option<u64>,
    slots: Vec<Slot>,
    /// How many of the slots are held.
    held: u64,
    chunk_size: u32,
}

impl Part {
    pub(super) fn new(spec: &PartSpec, file: usize, chunk_size: u32) -> Self {
        Self {
            locations: spec.locations().collect(),
            mirror: 0,
            file,
            size: spec.size,
            validator: Validator::default(),
            ranges: None,
            listed_size: spec.size,
            slots: Vec::new(),
            held: 0,
            chunk_size,
        }
    }

    /// Where its bytes are asked for.
    pub(super) fn location(&self) -> &Location {
        &self.locations[self.mirror]
    }

    /// Asks at another mirror from now on, which has a version of its own.
    pub(super) fn turn_to(&mut self, mirror: usize) {
        self.mirror = mirror;
        self.validator = Validator::default();
        self.ranges = None;
    }

    /// Takes over what the store knows. A version says nothing about the same file at another place.
    pub(super) fn adopt(&mut self, record: &PartRecord) {
        self.size = record.size.or(self.size);
        if matches!(self.location(), Location::Url(url) if url.as_str() == record.url) {
            self.validator = record.validator.clone();
        }
    }

    /// Takes over a journal entry if it fits the part, of which, while its size is unknown, only the first `most` chunks can be
    /// there: they are stored one after the other, but for those that were on their way to the store when it all ended.
    pub(super) fn adopt_entry(&mut self, entry: &JournalEntry, most: usize) {
        let index = entry.chunk.index;
        let fits = match self.size {
            Some(size) => self.start(index) < size,
            None => (index as usize) < most,
        };
        if fits && self.length(entry.chunk.index) == entry.length {
            self.set_slot(entry.chunk.index, Slot::Held(entry.digest));
        }
    }

    /// Forgets everything that came from a server or a store.
    pub(super) fn reset(&mut self) {
        self.size = self.listed_size;
        self.validator = Validator::default();
        self.ranges = None;
        self.slots.clear();
        self.held = 0;
    }

    /// Chunks, once the size is known.
    pub(super) fn chunks(&self) -> Option<u64> {
        self.size
            .map(|size| size.div_ceil(u64::from(self.chunk_size)))
    }

    /// First byte of a chunk.
    pub(super) fn start(&self, index: u32) -> u64 {
        u64::from(index) * u64::from(self.chunk_size)
    }

    /// Bytes of a chunk; of a full one while the size is unknown.
    pub(super) fn length(&self, index: u32) -> u32 {
        let full = u64::from(self.chunk_size);
        let rest = self
            .size
            .map_or(full, |size| size.saturating_sub(self.start(index)));
        // At most `chunk_size`, a u32.
        rest.min(full) as u32
    }

    pub(super) fn slot(&self, index: u32) -> Slot {
        self.slots
            .get(index as usize)
            .copied()
            .unwrap_or(Slot::Missing)
    }

    pub(super) fn set_slot(&mut self, index: u32, slot: Slot) {
        let index = index as usize;
        if index >= self.slots.len() {
            self.slots.resize(index + 1, Slot::Missing);
        }
        let is_held = |slot: &Slot| matches!(slot, Slot::Held(_));
        let before = std::mem::replace(&mut self.slots[index], slot);
        self.held += u64::from(is_held(&slot));
        self.held -= u64::from(is_held(&before));
    }

    /// Whether the store holds all of it.
    pub(super) fn is_whole(&self) -> bool {
        self.chunks() == Some(self.held)
    }

    /// Whether anything of it is in the store.
    pub(super) fn is_begun(&self) -> bool {
        self.slots.iter().any(|slot| *slot != Slot::Missing)
    }

    /// Bytes of it that the store holds.
    pub(super) fn held_bytes(&self) -> u64 {
        let held = (0_u32..)
            .zip(&self.slots)
            .filter(|(_, slot)| matches!(slot, Slot::Held(_)));
        held.map(|(index, _)| u64::from(self.length(index))).sum()
    }

    /// First byte at or after chunk `index` that the store holds; `None` if there is none.
    pub(super) fn next_held(&self, index: u32) -> Option<u64> {
        let rest = (0_u32..).zip(&self.slots).skip(index as usize);
        let mut held = rest.filter(|(_, slot)| matches!(slot, Slot::Held(_)));
        held.next().map(|(index, _)| self.start(index))
    }
}
