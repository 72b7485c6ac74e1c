//! The plan of one load: what to fetch, read and write next, and what to hand on.
//!
//! It goes through three phases. First every file's header is completed, from the store or the network, chunk
//! by chunk. Then the caller judges the headers ([`Action::Judge`]); until it accepts, nothing is stored. Then chunks
//! go in file order to the tensors' consumer ([`Action::Deliver`]): held ones are read back, runs of missing ones are
//! fetched by range and stored with a journal entry.
//!
//! A chunk that came over the network is trusted as the server's, and the whole file is checked against its
//! publisher's SHA-256 where there is one. A chunk from the store is delivered only if it still has the digest that was
//! noted with it; a damaged one is fetched again, alone, and must then have that digest.
//!
//! A file that changes on its server is noticed by its validator (`ETag`, `Last-Modified`), its size or its hash, and begun
//! again. What a server does not tell cannot be noticed: a change without any of these, or one that falls between the
//! first requests for two addresses that make up one model without a hash.

mod action;
mod arrival;
mod network;
mod part;
mod storage;

use std::collections::{BTreeMap, VecDeque};

use gguf::{Header, HeaderReader};
use sha2::{Digest as _, Sha256};

use crate::files::ModelSpec;
use crate::record::{CHUNK_SIZE, ChunkId, JournalEntry, Stored};
use crate::retry::Retry;
use crate::{Digest, Error, TensorFeed};

pub use action::{Action, Event, Request, Token};
use network::Fetch;
use part::{Part, Slot};
use storage::Storing;

/// Chunks that may be under way from the store at once.
const READ_AHEAD: usize = 2;

/// Times a load begins again because the file changed, before it gives up.
const MAX_RESTARTS: u32 = 2;

/// How to run a download.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whether to store what arrives.
    pub store: bool,
    /// For the jitter of waits.
    pub seed: u64,
    /// Unix milliseconds.
    pub now_ms: f64,
    /// Bytes of a chunk, for a model of which nothing is stored yet.
    pub chunk_size: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            store: true,
            seed: 0,
            now_ms: 0.0,
            chunk_size: CHUNK_SIZE,
        }
    }
}

/// How far a load is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Whether bytes come over the network at the moment, not from the store.
    pub downloading: bool,
    /// Bytes that have arrived and been checked.
    pub loaded: u64,
    /// Bytes of the whole model, once known.
    pub total: Option<u64>,
    /// Name of the file in hand.
    pub file: String,
}

/// What a load that succeeded did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Bytes of all files.
    pub size: u64,
    /// Whether the store now has all of it.
    pub stored: bool,
    /// Why it has not, where it was meant to.
    pub not_stored: Option<String>,
    /// Bytes that came over the network.
    pub downloaded: u64,
    /// Bytes that came from the store.
    pub read: u64,
    /// Damaged chunks that were replaced.
    pub repaired: u32,
    /// SHA-256 of each file.
    pub sha256: Vec<Digest>,
}

#[derive(Debug)]
enum Phase {
    /// Completing headers.
    Headers,
    /// Waiting for the caller's verdict on them.
    Judging,
    /// Handing on tensors.
    Tensors,
    /// All is delivered; the last writes are under way.
    Settling,
    /// Over.
    Ended(Result<(), Error>),
}

#[derive(Debug)]
struct File {
    name: String,
    /// Its publisher's hash.
    expected: Option<Digest>,
    /// Its own hash, once all of it has passed, or from an earlier, complete load.
    sha256: Option<Digest>,
    hash: Sha256,
    feed: TensorFeed,
    reader: HeaderReader,
    header: Option<Header>,
    /// Chunk with the header's next bytes.
    header_next: ChunkId,
}

/// The plan of one load; see the [module](self) for how it goes.
#[derive(Debug)]
pub struct Download {
    model: ModelSpec,
    options: Options,
    chunk_size: u32,
    created: f64,
    aliases: Vec<String>,
    parts: Vec<Part>,
    files: Vec<File>,
    headers: Vec<Header>,
    phase: Phase,
    queue: VecDeque<Action>,
    last_token: Token,
    /// Next chunk to deliver; `None` when all have been.
    cursor: Option<ChunkId>,
    /// Checked chunks that wait for their turn.
    ready: BTreeMap<ChunkId, Vec<u8>>,
    reads: BTreeMap<Token, ChunkId>,
    writes: BTreeMap<Token, Option<JournalEntry>>,
    unwritten: Vec<JournalEntry>,
    fetch: Option<Fetch>,
    waiting: Option<Token>,
    retry: Retry,
    restarts: u32,
    storing: Storing,
    /// Whether the store has a record of this model.
    recorded: bool,
    /// Whether a part's size or validator has become known that the record in the store lacks.
    unsaved: bool,
    /// Whether the store had all of it at the beginning.
    was_complete: bool,
    /// Whether a record that says so has been sent to the store.
    marked_complete: bool,
    arrived: u64,
    /// Whether the last chunk that arrived came over the network.
    last_from_network: bool,
    downloaded: u64,
    read: u64,
    repaired: u32,
}

impl Download {
    /// Plans a load of `model` (at least one file, each of at least one part), of which the store has `stored`.
    pub fn new(model: ModelSpec, stored: Option<Stored>, options: Options) -> Self {
        let usable = stored
            .as_ref()
            .filter(|stored| stored.record.matches(&model));
        let chunk_size = usable.map_or(options.chunk_size, |stored| stored.record.chunk_size);
        let mut aliases = usable
            .map(|stored| stored.record.aliases.clone())
            .unwrap_or_default();
        aliases.extend(
            model
                .alias
                .clone()
                .filter(|alias| *alias != model.id && !aliases.contains(alias)),
        );
        let mut parts = Vec::new();
        let mut files = Vec::new();
        for (number, file) in model.files.iter().enumerate() {
            files.push(File::new(&file.name, file.sha256, parts.len()));
            parts.extend(
                file.parts
                    .iter()
                    .map(|part| Part::new(part, number, chunk_size)),
            );
        }
        let storing = if options.store {
            Storing::Unreserved
        } else {
            Storing::Off(None)
        };
        let mut download = Self {
            created: usable.map_or(options.now_ms, |stored| stored.record.created),
            retry: Retry::new(options.seed),
            model,
            options,
            chunk_size,
            aliases,
            parts,
            files,
            headers: Vec::new(),
            phase: Phase::Headers,
            queue: VecDeque::new(),
            last_token: 0,
            cursor: None,
            ready: BTreeMap::new(),
            reads: BTreeMap::new(),
            writes: BTreeMap::new(),
            unwritten: Vec::new(),
            fetch: None,
            waiting: None,
            restarts: 0,
            storing,
            recorded: usable.is_some(),
            unsaved: false,
            was_complete: usable.is_some_and(|stored| stored.record.complete),
            marked_complete: false,
            arrived: 0,
            last_from_network: false,
            downloaded: 0,
            read: 0,
            repaired: 0,
        };
        match usable {
            Some(stored) => download.adopt(stored),
            None if stored.is_some() => download.queue.push_back(Action::Forget),
            None => {}
        }
        download
    }

    fn adopt(&mut self, stored: &Stored) {
        let records = stored.record.files.iter().flat_map(|file| &file.parts);
        for (part, record) in self.parts.iter_mut().zip(records) {
            part.adopt(record);
        }
        for entry in &stored.journal {
            if let Some(part) = self.parts.get_mut(entry.chunk.part as usize) {
                part.adopt_entry(entry);
            }
        }
        if self.was_complete {
            for (file, record) in self.files.iter_mut().zip(&stored.record.files) {
                file.sha256 = record.sha256;
            }
        }
    }

    /// What to do next; `None` if an event has to come first, or if the load is over.
    pub fn poll(&mut self) -> Option<Action> {
        if self.queue.is_empty() {
            match self.phase {
                Phase::Headers => self.seek_header(),
                Phase::Tensors => self.seek_tensors(),
                Phase::Settling => self.settle(),
                Phase::Judging | Phase::Ended(_) => {}
            }
        }
        self.queue.pop_front()
    }

    /// Takes in what came of an action.
    pub fn handle(&mut self, event: Event) {
        if matches!(self.phase, Phase::Ended(_)) {
            return;
        }
        match event {
            Event::Response { token, response } => self.on_response(token, &response),
            Event::Received {
                token,
                bytes,
                digest,
            } => self.on_received(token, bytes, digest),
            Event::Failed {
                token,
                reason,
                permanent,
            } => self.on_failed(token, reason, permanent),
            Event::Woke { token } => {
                if self.waiting == Some(token) {
                    self.waiting = None;
                }
            }
            Event::Read {
                token,
                bytes,
                digest,
            } => self.on_read(token, bytes, digest),
            Event::Reserved { token, granted } => self.on_reserved(token, granted),
            Event::Stored { token, result } => self.on_stored(token, result),
        }
    }

    /// Every file's header, from [`Action::Judge`] on.
    pub fn headers(&self) -> &[Header] {
        &self.headers
    }

    /// The headers are those of a model worth loading.
    pub fn accept(&mut self) {
        if matches!(self.phase, Phase::Judging) {
            self.phase = Phase::Tensors;
            self.reserve();
            self.move_cursor(ChunkId { part: 0, index: 0 });
        }
    }

    /// Hands the chunk whose turn it is to its tensors: `tensor` is called with a name and that tensor's next bytes.
    ///
    /// # Errors
    /// The first that `tensor` returns. The load is then to be dropped; what is stored is good and stays.
    pub fn deliver<E>(
        &mut self,
        tensor: impl FnMut(&str, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(chunk) = self.cursor else {
            return Ok(());
        };
        let Some(bytes) = self.ready.remove(&chunk) else {
            return Ok(());
        };
        let number = self.parts[chunk.part as usize].file;
        let file = &mut self.files[number];
        if file.sha256.is_none() {
            file.hash.update(&bytes);
        }
        file.feed.push(&self.headers[number], &bytes, tensor)?;
        self.move_cursor(ChunkId {
            index: chunk.index + 1,
            ..chunk
        });
        Ok(())
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        let file = match self.cursor {
            Some(chunk) => self.parts[chunk.part as usize].file,
            None => self
                .files
                .iter()
                .position(|file| file.header.is_none())
                .unwrap_or(self.files.len() - 1),
        };
        Progress {
            downloading: self.fetch.is_some() || self.waiting.is_some() || self.last_from_network,
            loaded: self.arrived,
            total: self.total(),
            file: self.files[file].name.clone(),
        }
    }

    /// How it ended; `None` while it has not. Actions that [`Download::poll`] still gives are to be carried out.
    pub fn outcome(&self) -> Option<Result<Summary, Error>> {
        match &self.phase {
            Phase::Ended(Ok(())) => Some(Ok(self.summary())),
            Phase::Ended(Err(error)) => Some(Err(error.clone())),
            _ => None,
        }
    }

    fn summary(&self) -> Summary {
        Summary {
            size: self.total().unwrap_or(self.arrived),
            stored: matches!(self.storing, Storing::On) || (self.was_complete && self.recorded),
            not_stored: match &self.storing {
                Storing::Off(reason) => reason.clone(),
                _ => None,
            },
            downloaded: self.downloaded,
            read: self.read,
            repaired: self.repaired,
            sha256: self.files.iter().filter_map(|file| file.sha256).collect(),
        }
    }

    /// Bytes of all files: their parts' sizes, or before those are known what the headers describe.
    fn total(&self) -> Option<u64> {
        let parts: Option<u64> = self.parts.iter().map(|part| part.size).sum();
        parts.or_else(|| {
            let headers = self.headers.iter().map(Header::file_size);
            (!self.headers.is_empty()).then(|| headers.sum())
        })
    }

    fn token(&mut self) -> Token {
        self.last_token += 1;
        self.last_token
    }

    /// The chunk at or after `chunk` that exists, as far as sizes are known.
    fn existing(&self, mut chunk: ChunkId) -> Option<ChunkId> {
        loop {
            let part = self.parts.get(chunk.part as usize)?;
            if part
                .chunks()
                .is_none_or(|chunks| u64::from(chunk.index) < chunks)
            {
                return Some(chunk);
            }
            chunk = ChunkId {
                part: chunk.part + 1,
                index: 0,
            };
        }
    }

    fn following(&self, chunk: ChunkId) -> Option<ChunkId> {
        self.existing(ChunkId {
            index: chunk.index + 1,
            ..chunk
        })
    }

    /// Goes on to `chunk`, or to where the next part begins, and closes the files that end before it.
    fn move_cursor(&mut self, chunk: ChunkId) {
        let before = self
            .cursor
            .map_or(0, |cursor| self.parts[cursor.part as usize].file);
        self.cursor = self.existing(chunk);
        let now = self.cursor.map_or(self.files.len(), |cursor| {
            self.parts[cursor.part as usize].file
        });
        for file in before..now {
            if let Err(error) = self.finish_file(file) {
                return self.refuse_content(error);
            }
        }
        if self.cursor.is_none() {
            self.phase = Phase::Settling;
        }
    }

    fn finish_file(&mut self, number: usize) -> Result<(), Error> {
        let header = &self.headers[number];
        let file = &mut self.files[number];
        if !file.feed.is_complete(header) {
            let sizes = self
                .parts
                .iter()
                .filter(|part| part.file == number)
                .filter_map(|part| part.size);
            let (file, expected) = (file.name.clone(), header.file_size());
            return Err(Error::Truncated {
                file,
                expected,
                actual: sizes.sum(),
            });
        }
        if file.sha256.is_some() {
            return Ok(());
        }
        let actual = Digest(file.hash.finalize_reset().into());
        match file.expected {
            Some(expected) if expected != actual => Err(Error::Integrity {
                file: file.name.clone(),
                expected: expected.to_string(),
                actual: actual.to_string(),
            }),
            _ => {
                file.sha256 = Some(actual);
                Ok(())
            }
        }
    }

    /// Wrong bytes may be the line's fault: they get a second chance from the beginning.
    fn refuse_content(&mut self, error: Error) {
        if matches!(error, Error::Integrity { .. }) && self.restarts == 0 {
            self.restart();
        } else {
            self.fail(error);
        }
    }

    /// Begins again: the file is not the one that was begun.
    fn restart(&mut self) {
        self.restarts += 1;
        if self.restarts > MAX_RESTARTS {
            let url = self.location_name(0);
            return self.fail(Error::KeptChanging {
                url,
                restarts: MAX_RESTARTS,
            });
        }
        self.queue.clear();
        self.close_fetch();
        self.release_unwritten();
        self.forget();
        self.parts.iter_mut().for_each(Part::reset);
        let mut first_part = 0;
        for (file, spec) in self.files.iter_mut().zip(&self.model.files) {
            *file = File::new(&spec.name, spec.sha256, first_part);
            first_part += spec.parts.len();
        }
        self.headers.clear();
        self.ready.clear();
        self.reads.clear();
        self.writes.clear();
        self.waiting = None;
        self.cursor = None;
        self.was_complete = false;
        self.marked_complete = false;
        self.arrived = 0;
        if !matches!(self.storing, Storing::Off(_)) {
            self.storing = Storing::Unreserved;
        }
        self.phase = Phase::Headers;
    }

    fn fail(&mut self, error: Error) {
        let abandoned = matches!(self.storing, Storing::Off(Some(_)));
        if abandoned || !error.keeps_progress() {
            self.queue.clear();
            self.forget();
        }
        self.close_fetch();
        self.ready.clear();
        self.phase = Phase::Ended(Err(error));
    }

    /// Removes what the store has of the model, if it has anything.
    fn forget(&mut self) {
        if self.recorded {
            self.recorded = false;
            self.queue.push_back(Action::Forget);
        }
    }
}

impl File {
    fn new(name: &str, expected: Option<Digest>, first_part: usize) -> Self {
        Self {
            name: name.to_owned(),
            expected,
            sha256: None,
            hash: Sha256::new(),
            feed: TensorFeed::new(),
            reader: HeaderReader::new(),
            header: None,
            // At most MAX_PARTS.
            header_next: ChunkId {
                part: first_part as u32,
                index: 0,
            },
        }
    }
}

#[cfg(test)]
mod tests;
