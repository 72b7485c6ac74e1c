//! The plan of one load: what to fetch, read and write next, and what to hand on.
//!
//! It goes through three phases. First every file's header is completed, from the store or the network, chunk
//! by chunk. Then the caller judges the headers ([`Action::Judge`]); until it accepts, nothing is stored. Then chunks
//! go to the tensors' consumer ([`Action::Deliver`]): held ones are read back, runs of missing ones are
//! fetched by range and stored with a journal entry. They go in file order, or, where a prompt waits to be computed
//! ([`Download::hurry`]), in the order in which the model needs them.
//!
//! Several requests and reads are under way at once, all within a window of [`WINDOW`] bytes from the chunk whose turn it
//! is, so that what has arrived and waits is bounded. The plan never has the bytes itself: the driver holds them, and the
//! plan names them by the [`Token`] under which they came.
//!
//! A chunk that came over the network is trusted as the server's, and the whole file is checked against its
//! publisher's SHA-256 where there is one. A chunk from the store is delivered only if it still has the hash that was
//! noted with it ([`crate::ChunkHash`]); a damaged one is fetched again, alone, and must then have that hash.
//!
//! A file that changes on its server is noticed by its validator (`ETag`, `Last-Modified`), its size or its hash, and begun
//! again. What a server does not tell cannot be noticed: a change without any of these, or one that falls between the
//! first requests for two addresses that make up one model without a hash.

mod action;
mod answer;
mod arrival;
mod connections;
mod cursor;
mod file;
mod limits;
mod network;
mod outcome;
mod part;
mod route;
mod storage;

use std::collections::{BTreeMap, VecDeque};

use gguf::Header;

use crate::files::ModelSpec;
use crate::record::{CHUNK_SIZE, ChunkId, Place, Stored};
use crate::retry::Retry;
use crate::{ChunkHasher, Error, HashKey};

pub use action::{Action, Event, Piece, Request, Token};
use connections::Connections;
use file::File;
use limits::Limits;
pub use limits::WINDOW;
use network::Fetch;
pub use outcome::Summary;
use part::{Part, Slot};
use route::Run;
use storage::{Storing, Unwritten, Writing};

/// How to run a download.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whether to store what arrives. If not, the store is only read, never changed.
    pub store: bool,
    /// For the jitter of waits.
    pub seed: u64,
    /// Unix milliseconds.
    pub now_ms: f64,
    /// Bytes of a chunk, for a model of which nothing is stored yet.
    pub chunk_size: u32,
    /// Bytes, from the chunk whose turn it is, that may be under way or wait for their turn.
    pub window: u64,
    /// Where its chunks shall be.
    pub place: Place,
    /// What they shall be hashed with: nothing that a server could know.
    pub key: HashKey,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            store: true,
            seed: 0,
            now_ms: 0.0,
            chunk_size: CHUNK_SIZE,
            window: WINDOW,
            place: Place::default(),
            key: HashKey([0; 2]),
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

/// The plan of one load; see the [module](self) for how it goes.
#[derive(Debug)]
pub struct Download {
    model: ModelSpec,
    options: Options,
    chunk_size: u32,
    limits: Limits,
    place: Place,
    key: Option<HashKey>,
    created: f64,
    aliases: Vec<String>,
    parts: Vec<Part>,
    files: Vec<File>,
    headers: Vec<Header>,
    phase: Phase,
    queue: VecDeque<Action>,
    last_token: Token,
    /// What is still to be delivered, in order.
    route: Vec<Run>,
    /// Whether something waits for the model's first tensors.
    hurried: bool,
    /// Header chunk that is being delivered.
    examined: Option<ChunkId>,
    /// Checked chunks that wait for their turn, and the names of their bytes.
    ready: BTreeMap<ChunkId, Token>,
    reads: BTreeMap<Token, ChunkId>,
    writes: BTreeMap<Token, Writing>,
    unwritten: Vec<Unwritten>,
    fetches: Vec<Fetch>,
    connections: Connections,
    waiting: Option<Token>,
    retry: Retry,
    restarts: u32,
    /// Which of the model's places is asked.
    mirror: usize,
    /// Places that have not been tried yet.
    mirrors_left: usize,
    storing: Storing,
    /// Whether the store has a record of this model.
    recorded: bool,
    /// Whether a part's size or validator has become known that the record in the store lacks.
    unsaved: bool,
    /// Whether the store had some of it at the beginning.
    resumed: bool,
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
        let place = usable.map_or(options.place, |stored| stored.record.place);
        let key = usable.map_or(Some(options.key), |stored| stored.record.key);
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
            mirror: 0,
            mirrors_left: model.mirrors() - 1,
            created: usable.map_or(options.now_ms, |stored| stored.record.created),
            retry: Retry::new(options.seed),
            model,
            limits: Limits::new(&options, chunk_size),
            options,
            chunk_size,
            place,
            key,
            aliases,
            parts,
            files,
            headers: Vec::new(),
            phase: Phase::Headers,
            queue: VecDeque::new(),
            last_token: 0,
            route: Vec::new(),
            hurried: false,
            examined: None,
            ready: BTreeMap::new(),
            reads: BTreeMap::new(),
            writes: BTreeMap::new(),
            unwritten: Vec::new(),
            fetches: Vec::new(),
            connections: Connections::new(),
            waiting: None,
            restarts: 0,
            storing,
            recorded: usable.is_some(),
            unsaved: false,
            resumed: usable.is_some_and(|stored| !stored.journal.is_empty()),
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
            None => {
                download.recorded = stored.is_some();
                download.forget();
            }
        }
        download
    }

    fn adopt(&mut self, stored: &Stored) {
        let records = || stored.record.files.iter().flat_map(|file| &file.parts);
        let specs = self.model.files.iter().flat_map(|file| &file.parts);
        // It goes on where it was begun.
        let mut mirrors = records()
            .zip(specs)
            .map(|(record, spec)| record.mirror_of(spec));
        self.mirror = mirrors.next().flatten().unwrap_or(0);
        for (part, record) in self.parts.iter_mut().zip(records()) {
            part.turn_to(self.mirror);
            part.adopt(record);
        }
        for entry in &stored.journal {
            if let Some(part) = self.parts.get_mut(entry.chunk.part as usize) {
                part.adopt_entry(entry, stored.journal.len() + self.limits.window);
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

    /// Takes in what came of an action, at this time in milliseconds by any clock that only goes forward.
    pub fn handle(&mut self, event: Event, now_ms: f64) {
        if matches!(self.phase, Phase::Ended(_)) {
            return;
        }
        match event {
            Event::Response { token, response } => self.on_response(token, &response),
            Event::Received { token, piece } => {
                self.connections.received(piece.length, now_ms);
                self.on_received(token, piece);
            }
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
            Event::Read { token, piece } => self.on_read(token, piece),
            Event::Reserved { token, granted } => self.on_reserved(token, granted),
            Event::Written { token } => self.on_written(token),
            Event::Stored { token, result } => self.on_stored(token, result),
        }
    }

    /// What its chunks are hashed with.
    pub fn hasher(&self) -> ChunkHasher {
        ChunkHasher::new(self.key)
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
            self.find_route();
        }
    }

    /// Takes the bytes that [`Action::Deliver`] names. While headers are being completed they are read for that; afterwards
    /// they go to their tensors: `tensor` is called with a name and that tensor's next bytes.
    ///
    /// # Errors
    /// The first that `tensor` returns. The load is then to be dropped; what is stored is good and stays.
    pub fn deliver<E>(
        &mut self,
        bytes: &[u8],
        tensor: impl FnMut(&str, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        match self.phase {
            Phase::Headers => self.read_header(bytes),
            Phase::Tensors => return self.deliver_turn(bytes, tensor),
            _ => {}
        }
        Ok(())
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        let file = match self.route.first() {
            Some(run) => run.file,
            None => self
                .files
                .iter()
                .position(|file| file.header.is_none())
                .unwrap_or(self.files.len() - 1),
        };
        Progress {
            downloading: !self.fetches.is_empty()
                || self.waiting.is_some()
                || self.last_from_network,
            loaded: self.arrived,
            total: self.total(),
            file: self.files[file].name.clone(),
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

    /// Has the driver let go of bytes, unless they are still to be delivered or written.
    fn let_go(&mut self, bytes: Token) {
        let wanted = self.ready.values().any(|held| *held == bytes)
            || self.unwritten.iter().any(|held| held.bytes == bytes);
        if !wanted {
            self.queue.push_back(Action::Release { bytes });
        }
    }

    fn token(&mut self) -> Token {
        self.last_token += 1;
        self.last_token
    }
}
