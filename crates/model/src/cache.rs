//! The paged key–value cache: which pages hold which tokens of which sequence.
//!
//! A page holds a fixed number of consecutive tokens for all layers of a kind: those that see the whole sequence, or
//! those that see a window of its last tokens. Each sequence has a table of pages for each kind; a page that several
//! sequences share has a reference count, and is copied when one of them writes into it. Pages are allocated as they are
//! needed, up to the capacity, and used again after their last reference is gone. A page that has left the window
//! is given back while the sequence goes on; the sequence can then no longer be cut back to where it was needed.

use kernels::kv::{KvLayout, KvType};

use crate::pages::{Pages, Table};
use crate::{Config, Error};

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

/// Where a layer's keys and values are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// Which of the kinds of layers it is of.
    pub(crate) kind: usize,
    /// Which layer of its kind.
    pub(crate) layer: usize,
}

/// All pages and the sequences that refer to them.
#[derive(Debug)]
pub(crate) struct Cache {
    /// The most pages there may be of each kind.
    capacity: usize,
    page_tokens: usize,
    kinds: Vec<Pages>,
    /// One for each layer of the model.
    places: Vec<Place>,
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
    /// One for each kind; outside of a forward pass with exactly as many pages as `len` needs.
    tables: Vec<Table>,
}

/// The layouts of a model's pages, one for each kind of layers there is, with the kind's window.
///
/// # Errors
/// [`Error::Kernels`] if the heads or the page size are not supported.
pub(crate) fn layouts(
    config: &Config,
    kv: KvType,
    page_tokens: usize,
) -> Result<Vec<(KvLayout, Option<usize>)>, Error> {
    kinds(config)
        .into_iter()
        .map(|window| {
            let layers = (0..config.layers)
                .filter(|&layer| config.window(layer) == window)
                .count();
            let layout = KvLayout::new(
                config.kv_type(kv),
                layers,
                config.kv_heads,
                config.key_length,
                config.value_length,
                page_tokens,
            )?;
            Ok((layout, window))
        })
        .collect()
}

/// The windows of a model's layers, each once, in the order in which layers first have them.
fn kinds(config: &Config) -> Vec<Option<usize>> {
    let mut kinds = Vec::new();
    for layer in 0..config.layers {
        let window = config.window(layer);
        if !kinds.contains(&window) {
            kinds.push(window);
        }
    }
    kinds
}

/// Where the keys and values of each layer are.
fn places(config: &Config) -> Vec<Place> {
    let kinds = kinds(config);
    let mut counts = vec![0; kinds.len()];
    (0..config.layers)
        .filter_map(|layer| {
            let window = config.window(layer);
            let kind = kinds.iter().position(|&kind| kind == window)?;
            counts[kind] += 1;
            Some(Place {
                kind,
                layer: counts[kind] - 1,
            })
        })
        .collect()
}

impl Cache {
    /// An empty cache for `capacity` tokens, rounded up to whole pages.
    ///
    /// # Errors
    /// As [`layouts`].
    pub(crate) fn new(
        config: &Config,
        kv: KvType,
        page_tokens: usize,
        capacity: usize,
    ) -> Result<Self, Error> {
        let layouts = layouts(config, kv, page_tokens)?;
        let capacity = capacity.div_ceil(page_tokens);
        Ok(Self {
            capacity,
            page_tokens,
            kinds: layouts
                .into_iter()
                .map(|(layout, window)| Pages::new(layout, window, capacity))
                .collect(),
            places: places(config),
            sequences: Vec::new(),
            vacant: Vec::new(),
        })
    }

    /// Tokens of a page, of whatever kind.
    pub(crate) fn page_tokens(&self) -> usize {
        self.page_tokens
    }

    /// The pages of all kinds.
    pub(crate) fn kinds(&self) -> &[Pages] {
        &self.kinds
    }

    /// Where a layer's keys and values are.
    pub(crate) fn place(&self, layer: usize) -> Place {
        self.places[layer]
    }

    /// Bytes of all pages allocated so far, free ones included.
    pub(crate) fn bytes(&self) -> usize {
        self.kinds.iter().map(Pages::bytes).sum()
    }

    /// Pages that can still be taken of each kind.
    pub(crate) fn free_pages(&self) -> usize {
        let free = self.kinds.iter().map(Pages::free_pages);
        free.min().unwrap_or(self.capacity)
    }

    /// A new sequence without tokens.
    pub(crate) fn create(&mut self) -> SeqId {
        let index = self.vacant.pop().unwrap_or_else(|| {
            self.sequences.push(Sequence::default());
            (self.sequences.len() - 1) as u32
        });
        let kinds = self.kinds.len();
        let sequence = &mut self.sequences[index as usize];
        sequence.live = true;
        sequence.tables.resize_with(kinds, Table::default);
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
        self.sequence_with(id, len)?;
        let child = self.create();
        let [parent, sequence] = self
            .sequences
            .get_disjoint_mut([id.index as usize, child.index as usize])
            .expect("a sequence just created is another");
        sequence.len = len;
        for ((kind, table), parent) in self
            .kinds
            .iter_mut()
            .zip(&mut sequence.tables)
            .zip(&parent.tables)
        {
            *table = kind.share(parent, len);
        }
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

    /// The shortest beginning of a sequence, besides none at all, that it can be cut back to.
    pub(crate) fn least(&self, id: SeqId) -> Result<usize, Error> {
        let tables = &self.sequence(id)?.tables;
        let least = self
            .kinds
            .iter()
            .zip(tables)
            .map(|(kind, table)| kind.least(table));
        Ok(least.max().unwrap_or(0))
    }

    /// As [`Self::least`], for any sequence that has grown to `len` tokens.
    pub(crate) fn least_at(&self, len: usize) -> usize {
        let least = self.kinds.iter().map(|kind| kind.least_at(len));
        least.max().unwrap_or(0)
    }

    /// A sequence's tables, one for each kind; pages reserved are in them, and they are equally long.
    pub(crate) fn tables(&self, id: SeqId) -> Result<&[Table], Error> {
        Ok(&self.sequence(id)?.tables)
    }

    /// Makes room for `count` more tokens of each sequence, so that they can be stored: all or nothing.
    pub(crate) fn reserve(&mut self, appends: &[(SeqId, usize)]) -> Result<(), Error> {
        for kind in 0..self.kinds.len() {
            let mut needed = 0;
            for &(id, count) in appends {
                let sequence = self.sequence(id)?;
                needed += self.kinds[kind].needed(&sequence.tables[kind], sequence.len, count);
            }
            let free = self.kinds[kind].free_pages();
            for &(id, count) in appends {
                let sequence = &mut self.sequences[id.index as usize];
                let grown = self.kinds[kind].grow(&mut sequence.tables[kind], sequence.len, count);
                if let Err(error) = grown {
                    self.settle(appends);
                    return Err(error.unwrap_or(Error::CacheFull {
                        needed,
                        free,
                        capacity: self.capacity,
                        page: self.page_tokens,
                    }));
                }
            }
        }
        Ok(())
    }

    /// Counts the tokens that were stored, and gives back the pages that left a window.
    pub(crate) fn advance(&mut self, appends: &[(SeqId, usize)]) {
        for &(id, count) in appends {
            let sequence = &mut self.sequences[id.index as usize];
            sequence.len += count;
            for (kind, table) in self.kinds.iter_mut().zip(&mut sequence.tables) {
                kind.slide(table, sequence.len);
            }
        }
    }

    /// Stores keys and values of the layer at `place` for the token in place `slot` of page `page`.
    pub(crate) fn store(
        &mut self,
        place: Place,
        page: u32,
        slot: usize,
        keys: &[f32],
        values: &[f32],
    ) {
        let (layout, page) = self.kinds[place.kind].page_mut(page);
        page.store(layout, place.layer, slot, keys, values);
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
        let least = self.least(id)?;
        if len > 0 && len < least {
            return Err(Error::LeftWindow {
                index: id.index,
                asked: len,
                least,
            });
        }
        Ok(sequence)
    }

    /// Gives back pages reserved for tokens that did not come.
    fn settle(&mut self, appends: &[(SeqId, usize)]) {
        for &(id, _) in appends {
            self.shrink(id.index, self.sequences[id.index as usize].len);
        }
    }

    fn shrink(&mut self, index: u32, len: usize) {
        let sequence = &mut self.sequences[index as usize];
        sequence.len = len;
        for (kind, table) in self.kinds.iter_mut().zip(&mut sequence.tables) {
            kind.shrink(table, len);
        }
    }
}
