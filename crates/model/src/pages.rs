//! The pages of the layers that see alike: which are in use, and by how many sequences.
//!
//! Layers that see a whole sequence and layers that see a window of it have pages of their own, because the second kind's
//! become free while the sequence goes on.

use kernels::kv::{KvLayout, Page};

use crate::Error;

/// Stands in a table for a page that has left the window and was given back.
const GONE: u32 = u32::MAX;

/// Pages that are kept beyond the window, so that the last tokens of a sequence can be taken back: the next turn
/// of a conversation is often written a little differently from the answer that was computed.
const SLACK: usize = 1;

/// Pages of one kind of layers.
#[derive(Debug)]
pub(crate) struct Pages {
    layout: KvLayout,
    /// Tokens that a token sees, itself included; `None` for all.
    window: Option<usize>,
    /// The most pages there may be.
    capacity: usize,
    pages: Vec<Page>,
    /// How many tables name each page; 0 for those in `free`.
    references: Vec<u32>,
    free: Vec<u32>,
}

/// One sequence's pages of one kind, in the order of its tokens.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pages: Vec<u32>,
    /// How many of the first were given back.
    gone: usize,
}

impl Table {
    /// The pages' numbers; those that were given back must not be looked at.
    pub(crate) fn pages(&self) -> &[u32] {
        &self.pages
    }
}

impl Pages {
    pub(crate) fn new(layout: KvLayout, window: Option<usize>, capacity: usize) -> Self {
        Self {
            layout,
            window,
            capacity,
            pages: Vec::new(),
            references: Vec::new(),
            free: Vec::new(),
        }
    }

    pub(crate) fn layout(&self) -> &KvLayout {
        &self.layout
    }

    pub(crate) fn window(&self) -> Option<usize> {
        self.window
    }

    pub(crate) fn as_slice(&self) -> &[Page] {
        &self.pages
    }

    pub(crate) fn page_mut(&mut self, page: u32) -> (&KvLayout, &mut Page) {
        (&self.layout, &mut self.pages[page as usize])
    }

    /// Bytes of all pages allocated so far, free ones included.
    pub(crate) fn bytes(&self) -> usize {
        self.pages.len() * self.layout.page_bytes()
    }

    /// Pages that can still be taken.
    pub(crate) fn free_pages(&self) -> usize {
        self.free.len() + (self.capacity - self.pages.len())
    }

    /// How many first pages a sequence of `len` tokens has given back.
    fn gone_at(&self, len: usize) -> usize {
        let hidden = self
            .window
            .map_or(0, |window| (len + 1).saturating_sub(window));
        (hidden / self.layout.page_tokens()).saturating_sub(SLACK)
    }

    /// The shortest beginning that a table with `gone` pages given back still has whole for its next token.
    fn least_with(&self, gone: usize) -> usize {
        match self.window {
            Some(window) if gone > 0 => gone * self.layout.page_tokens() + window - 1,
            _ => 0,
        }
    }

    /// The shortest beginning, 0 aside, that `table` can be cut back to.
    pub(crate) fn least(&self, table: &Table) -> usize {
        self.least_with(table.gone)
    }

    /// As [`Self::least`], for any sequence that has grown to `len` tokens.
    pub(crate) fn least_at(&self, len: usize) -> usize {
        self.least_with(self.gone_at(len))
    }

    /// Another table for the first `len` tokens of `table`, of the same pages.
    pub(crate) fn share(&mut self, table: &Table, len: usize) -> Table {
        if len == 0 {
            return Table::default();
        }
        let pages = table.pages[..len.div_ceil(self.layout.page_tokens())].to_vec();
        for &page in &pages[table.gone..] {
            self.references[page as usize] += 1;
        }
        Table {
            pages,
            gone: table.gone,
        }
    }

    /// Whether the token after `len` goes into a page that another sequence reads.
    fn writes_shared(&self, table: &Table, len: usize) -> bool {
        !len.is_multiple_of(self.layout.page_tokens())
            && table
                .pages
                .last()
                .is_some_and(|&page| self.references[page as usize] > 1)
    }

    /// Pages that `count` tokens more than `len` take.
    pub(crate) fn needed(&self, table: &Table, len: usize, count: usize) -> usize {
        let pages = (len + count).div_ceil(self.layout.page_tokens());
        pages - table.pages.len() + usize::from(self.writes_shared(table, len))
    }

    /// Takes the pages that `count` tokens more than `len` need. `Err(None)` means that there are no more.
    pub(crate) fn grow(
        &mut self,
        table: &mut Table,
        len: usize,
        count: usize,
    ) -> Result<(), Option<Error>> {
        if self.writes_shared(table, len)
            && let Some(last) = table.pages.last_mut()
        {
            let shared = *last;
            let own = self.acquire()?;
            let [own_page, shared_page] = self
                .pages
                .get_disjoint_mut([own as usize, shared as usize])
                .expect("a page just acquired is not in use");
            own_page.copy_from(shared_page);
            self.drop_reference(shared);
            *last = own;
        }
        let pages = (len + count).div_ceil(self.layout.page_tokens());
        while table.pages.len() < pages {
            table.pages.push(self.acquire()?);
        }
        Ok(())
    }

    /// Gives back what lies beyond the first `len` tokens.
    pub(crate) fn shrink(&mut self, table: &mut Table, len: usize) {
        let pages = len.div_ceil(self.layout.page_tokens());
        while table.pages.len() > pages.max(table.gone) {
            if let Some(page) = table.pages.pop() {
                self.drop_reference(page);
            }
        }
        if len == 0 {
            *table = Table::default();
        }
    }

    /// Gives back the pages that no token after the first `len` sees.
    pub(crate) fn slide(&mut self, table: &mut Table, len: usize) {
        while table.gone < self.gone_at(len) {
            self.drop_reference(std::mem::replace(&mut table.pages[table.gone], GONE));
            table.gone += 1;
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
