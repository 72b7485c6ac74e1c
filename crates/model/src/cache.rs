//! The paged key–value cache: which pages hold which tokens of which sequence.
//!
//! A page holds a fixed number of consecutive tokens for all layers. Each sequence has a table of pages; a page that
//! several sequences share has a reference count, and is copied when one of them writes into it. Pages are
//! allocated as they are needed, up to the capacity, and used again after their last reference is gone.

use kernels::kv::{KvLayout, Page};

use crate::Error;

/// Names a sequence of one [`Context`](crate::Context). Ids are not used again: one that was released is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SeqId {
    index: u32,
    generation: u32,
}

impl SeqId {
    /// Its number, for messages.
    pub(crate) fn index(self) -> u32 {
        self.index
    }
}

/// All pages and the sequences that refer to them.
#[derive(Debug)]
pub(crate) struct Cache {
    layout: KvLayout,
    /// The most pages there may be.
    capacity: usize,
    pages: Vec<Page>,
    /// How many tables name each page; 0 for those in `free`.
    references: Vec<u32>,
    free: Vec<u32>,
    sequences: Vec<Sequence>,
    /// Places in `sequences` that are not live.
    vacant: Vec<u32>,
}

#[derive(Debug, Default)]
struct Sequence {
    generation: u32,
    live: bool,
    /// Tokens computed so far.
    len: usize,
    /// Pages in order; outside of a forward pass exactly as many as `len` needs.
    table: Vec<u32>,
}

impl Cache {
    /// An empty cache for `capacity` tokens, rounded up to whole pages.
    pub(crate) fn new(layout: KvLayout, capacity: usize) -> Self {
        Self {
            capacity: capacity.div_ceil(layout.page_tokens()),
            layout,
            pages: Vec::new(),
            references: Vec::new(),
            free: Vec::new(),
            sequences: Vec::new(),
            vacant: Vec::new(),
        }
    }

    pub(crate) fn layout(&self) -> &KvLayout {
        &self.layout
    }

    /// Bytes of all pages allocated so far, free ones included.
    pub(crate) fn bytes(&self) -> usize {
        self.pages.len() * self.layout.page_bytes()
    }

    /// Pages that can still be taken.
    pub(crate) fn free_pages(&self) -> usize {
        self.free.len() + (self.capacity - self.pages.len())
    }

    /// A new sequence without tokens.
    pub(crate) fn create(&mut self) -> SeqId {
        let index = self.vacant.pop().unwrap_or_else(|| {
            self.sequences.push(Sequence::default());
            (self.sequences.len() - 1) as u32
        });
        let sequence = &mut self.sequences[index as usize];
        sequence.live = true;
        SeqId {
            index,
            generation: sequence.generation,
        }
    }

    /// Forgets a sequence and gives back the pages that were its alone. Unknown ids are ignored.
    pub(crate) fn release(&mut self, id: SeqId) {
        if self.sequence(id).is_err() {
            return;
        }
        self.shrink(id.index, 0);
        let sequence = &mut self.sequences[id.index as usize];
        sequence.live = false;
        sequence.generation = sequence.generation.wrapping_add(1);
        self.vacant.push(id.index);
    }

    /// A new sequence that begins with the first `len` tokens of `id`, sharing its pages.
    pub(crate) fn fork(&mut self, id: SeqId, len: usize) -> Result<SeqId, Error> {
        let parent = self.sequence_with(id, len)?;
        let table = parent.table[..len.div_ceil(self.layout.page_tokens())].to_vec();
        for &page in &table {
            self.references[page as usize] += 1;
        }
        let child = self.create();
        let sequence = &mut self.sequences[child.index as usize];
        sequence.len = len;
        sequence.table = table;
        Ok(child)
    }

    /// Forgets all tokens of a sequence but the first `len`.
    pub(crate) fn truncate(&mut self, id: SeqId, len: usize) -> Result<(), Error> {
        self.sequence_with(id, len)?;
        self.shrink(id.index, len);
        Ok(())
    }

    /// Tokens of a sequence.
    pub(crate) fn len(&self, id: SeqId) -> Result<usize, Error> {
        Ok(self.sequence(id)?.len)
    }

    /// The pages of a sequence, those reserved included.
    pub(crate) fn table(&self, id: SeqId) -> Result<&[u32], Error> {
        Ok(&self.sequence(id)?.table)
    }

    /// Makes room for `count` more tokens of each sequence, so that they can be stored: all or nothing.
    pub(crate) fn reserve(&mut self, appends: &[(SeqId, usize)]) -> Result<(), Error> {
        let mut needed = 0;
        for &(id, count) in appends {
            needed += self.pages_to_append(self.sequence(id)?, count);
        }
        let free = self.free_pages();
        for &(id, count) in appends {
            if let Err(error) = self.grow(id.index, count) {
                self.settle(appends);
                return Err(match error {
                    Some(error) => error,
                    None => Error::CacheFull {
                        needed,
                        free,
                        capacity: self.capacity,
                        page: self.layout.page_tokens(),
                    },
                });
            }
        }
        Ok(())
    }

    /// Counts the tokens that were stored.
    pub(crate) fn advance(&mut self, appends: &[(SeqId, usize)]) {
        for &(id, count) in appends {
            self.sequences[id.index as usize].len += count;
        }
    }

    /// Stores keys and values of one layer for the token in place `slot` of page `page`.
    pub(crate) fn store(
        &mut self,
        page: u32,
        slot: usize,
        layer: usize,
        keys: &[f32],
        values: &[f32],
    ) {
        self.pages[page as usize].store(&self.layout, layer, slot, keys, values);
    }

    pub(crate) fn pages(&self) -> &[Page] {
        &self.pages
    }

    fn sequence(&self, id: SeqId) -> Result<&Sequence, Error> {
        self.sequences
            .get(id.index as usize)
            .filter(|sequence| sequence.live && sequence.generation == id.generation)
            .ok_or(Error::UnknownSequence { index: id.index })
    }

    fn sequence_with(&self, id: SeqId, len: usize) -> Result<&Sequence, Error> {
        let sequence = self.sequence(id)?;
        if len > sequence.len {
            return Err(Error::BeyondEnd {
                index: id.index,
                len: sequence.len,
                asked: len,
            });
        }
        Ok(sequence)
    }

    /// Whether the next token of a sequence goes into a page that another sequence reads.
    fn writes_shared(&self, sequence: &Sequence) -> bool {
        !sequence.len.is_multiple_of(self.layout.page_tokens())
            && sequence
                .table
                .last()
                .is_some_and(|&page| self.references[page as usize] > 1)
    }

    fn pages_to_append(&self, sequence: &Sequence, count: usize) -> usize {
        let pages = (sequence.len + count).div_ceil(self.layout.page_tokens());
        pages - sequence.table.len() + usize::from(self.writes_shared(sequence))
    }

    /// Takes the pages that `count` more tokens need. `Err(None)` means that the cache is full.
    fn grow(&mut self, index: u32, count: usize) -> Result<(), Option<Error>> {
        let sequence = &self.sequences[index as usize];
        let pages = (sequence.len + count).div_ceil(self.layout.page_tokens());
        if self.writes_shared(sequence) {
            let shared = sequence.table[sequence.table.len() - 1];
            let own = self.acquire()?;
            let [own_page, shared_page] = self
                .pages
                .get_disjoint_mut([own as usize, shared as usize])
                .expect("a page just acquired is not in use");
            own_page.copy_from(shared_page);
            self.drop_reference(shared);
            if let Some(last) = self.sequences[index as usize].table.last_mut() {
                *last = own;
            }
        }
        while self.sequences[index as usize].table.len() < pages {
            let page = self.acquire()?;
            self.sequences[index as usize].table.push(page);
        }
        Ok(())
    }

    /// Gives back pages reserved for tokens that did not come.
    fn settle(&mut self, appends: &[(SeqId, usize)]) {
        for &(id, _) in appends {
            self.shrink(id.index, self.sequences[id.index as usize].len);
        }
    }

    fn shrink(&mut self, index: u32, len: usize) {
        let pages = len.div_ceil(self.layout.page_tokens());
        let sequence = &mut self.sequences[index as usize];
        sequence.len = len;
        while self.sequences[index as usize].table.len() > pages {
            if let Some(page) = self.sequences[index as usize].table.pop() {
                self.drop_reference(page);
            }
        }
    }

    fn acquire(&mut self) -> Result<u32, Option<Error>> {
        let page = match self.free.pop() {
            Some(page) => page,
            None if self.pages.len() < self.capacity => {
                self.pages
                    .push(Page::new(&self.layout).map_err(|error| Some(error.into()))?);
                self.references.push(0);
                (self.pages.len() - 1) as u32
            }
            None => return Err(None),
        };
        self.references[page as usize] = 1;
        Ok(page)
    }

    fn drop_reference(&mut self, page: u32) {
        let references = &mut self.references[page as usize];
        *references -= 1;
        if *references == 0 {
            self.free.push(page);
        }
    }
}
