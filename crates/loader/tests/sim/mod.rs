//! A world for downloads: a server, a store, and faults, all driven by one seeded schedule.

#![allow(dead_code, reason = "each test crate uses a part")]

pub(crate) mod case;

use std::collections::{BTreeMap, BTreeSet};

use gguf::{TensorType, Writer};
use loader::download::{Action, Event, Options, Piece, Request, Summary, Token};
use loader::files::Location;
use loader::record::{ChunkId, JournalEntry, Record, Stored, Validator};
use loader::{ChunkHasher, Download, Error, HashKey, ModelSpec, Response};

/// Bytes of a chunk in these tests: small, so that files have many.
pub(crate) const CHUNK: u32 = 64;

/// Chunks of the window.
const WINDOW: usize = 64;

/// Most chunks that the driver may have to hold at once: the window, and those on their way to the store.
const MAX_HELD: usize = WINDOW + 8;

/// Most chunks that wait for another turn, where chunks are not delivered in file order.
const MAX_SHARED: usize = 32;

/// Most chunks of a header here.
const HEADER_CHUNKS: usize = 8;

/// Steps after which a load that has not ended counts as hung.
const MAX_STEPS: usize = 100_000;

/// Tensor name → bytes.
pub(crate) type Tensors = BTreeMap<String, Vec<u8>>;

/// A draw from a seeded sequence (Knuth's 64-bit linear congruential generator).
#[derive(Debug, Clone)]
pub(crate) struct Dice(pub u64);

impl Dice {
    /// A number in `0..sides`, or 0.
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides.max(1)
    }

    /// True about `percent` times in a hundred.
    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.roll(100) < percent
    }
}

/// How likely each fault is, in percent of the occasions for it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Faults {
    /// No answer at all.
    pub(crate) refused: u64,
    /// 503, sometimes with Retry-After.
    pub(crate) unavailable: u64,
    /// A web page with status 200.
    pub(crate) portal: u64,
    /// Bytes other than those asked for, honestly labelled.
    pub(crate) wrong_range: u64,
    /// The whole file in place of a range.
    pub(crate) whole: u64,
    /// A body that stops in the middle.
    pub(crate) cut: u64,
    /// A byte of a body is another.
    pub(crate) flipped: u64,
    /// A write that the store refuses.
    pub(crate) full: u64,
    /// A read that brings nothing.
    pub(crate) unreadable: u64,
    /// The server hides `Content-Range`, `ETag` and `Last-Modified`.
    pub(crate) hidden: u64,
    /// The file is replaced by another version before a request.
    pub(crate) replaced: u64,
}

#[derive(Debug)]
struct Body {
    bytes: Vec<u8>,
    /// Which part's it is, and where in it the body begins.
    part: u32,
    from: usize,
    position: usize,
    cut: Option<usize>,
}

/// A server, a store, and what happened so far.
#[derive(Debug)]
pub(crate) struct World {
    /// Address → bytes.
    pub(crate) server: BTreeMap<String, Vec<u8>>,
    /// Counts up when the server's files change.
    pub(crate) version: u32,
    /// What the server's files become when they change.
    pub(crate) next_versions: Vec<BTreeMap<String, Vec<u8>>>,
    pub(crate) record: Option<Record>,
    pub(crate) chunks: BTreeMap<ChunkId, Vec<u8>>,
    pub(crate) journal: BTreeMap<ChunkId, JournalEntry>,
    pub(crate) faults: Faults,
    pub(crate) dice: Dice,
    /// Bytes that bodies gave away, without those that were skipped.
    pub(crate) received: u64,
    /// Requests sent: the part, its first byte and one past its last.
    pub(crate) requests: Vec<(u32, u64, Option<u64>)>,
    /// Tensors in the order in which they were completed or gone on with.
    pub(crate) order: Vec<String>,
    /// How many tensors have come, if ever, when something begins to wait for the model's first ones.
    pub(crate) hurry_at: Option<usize>,
    /// What the chunks of the load under way are hashed with.
    hasher: ChunkHasher,
    /// Whether loads may store.
    pub(crate) store: bool,
    /// Whether there is room, and why not.
    pub(crate) room: Result<(), String>,
    /// Address → number of the part, on every mirror.
    parts: BTreeMap<String, u32>,
    bodies: BTreeMap<Token, Body>,
    /// Journal entries of chunks that are there, which follow them.
    unnoted: BTreeMap<Token, JournalEntry>,
    /// Bytes that the plan has not been told of.
    arriving: BTreeMap<Token, Vec<u8>>,
    held: BTreeMap<Token, Vec<u8>>,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) enum End {
    Done(Summary, Tensors),
    Failed(Error),
    Killed,
}

impl World {
    pub(crate) fn new(server: BTreeMap<String, Vec<u8>>, seed: u64) -> Self {
        Self {
            server,
            version: 1,
            next_versions: Vec::new(),
            record: None,
            chunks: BTreeMap::new(),
            journal: BTreeMap::new(),
            faults: Faults::default(),
            dice: Dice(seed),
            received: 0,
            requests: Vec::new(),
            order: Vec::new(),
            hurry_at: None,
            hasher: ChunkHasher::Sha256,
            store: true,
            room: Ok(()),
            parts: BTreeMap::new(),
            bodies: BTreeMap::new(),
            unnoted: BTreeMap::new(),
            arriving: BTreeMap::new(),
            held: BTreeMap::new(),
        }
    }

    /// Loads `model`; the process is killed after `steps` events, if any number is given.
    pub(crate) fn load(&mut self, model: &ModelSpec, steps: Option<usize>) -> End {
        self.bodies.clear();
        self.unnoted.clear();
        self.arriving.clear();
        self.held.clear();
        let parts = model.files.iter().flat_map(|file| &file.parts);
        for (number, part) in (0..).zip(parts) {
            let mirrors = part.mirrors.iter().cloned().map(Location::Url);
            for location in mirrors.chain([part.location.clone()]) {
                self.parts.insert(address(&location), number);
            }
        }
        let options = Options {
            seed: self.dice.roll(1000),
            chunk_size: CHUNK,
            window: WINDOW as u64 * u64::from(CHUNK),
            place: loader::record::Place::Files,
            store: self.store,
            key: HashKey([self.dice.roll(u64::MAX), 1]),
            ..Options::default()
        };
        let mut download = Download::new(model.clone(), self.stored(), options);
        self.hasher = download.hasher();
        // By an earlier load, which was judged.
        let begun = self.record.is_some();
        let mut pending: Vec<Event> = Vec::new();
        let mut tensors = Tensors::new();
        let mut now_ms = 0.0;
        for step in 0..MAX_STEPS {
            if self.hurry_at.is_some_and(|at| self.order.len() >= at) {
                download.hurry();
            }
            while let Some(action) = download.poll() {
                match action {
                    Action::Judge => {
                        tensors.clear();
                        self.order.clear();
                        assert!(self.record.is_none() || begun, "stored before judged");
                        download.accept();
                    }
                    Action::Deliver { bytes } => {
                        let bytes = self.held[&bytes].clone();
                        let deliver = download.deliver(&bytes, |name, bytes| {
                            if self.order.last().is_none_or(|last| last != name) {
                                self.order.push(name.to_owned());
                            }
                            tensors
                                .entry(name.to_owned())
                                .or_default()
                                .extend_from_slice(bytes);
                            Ok::<_, std::convert::Infallible>(())
                        });
                        deliver.unwrap_or_else(|never| match never {});
                    }
                    Action::Save { token } => {
                        self.record = Some(download.record());
                        pending.push(Event::Stored {
                            token,
                            result: Ok(()),
                        });
                    }
                    other => pending.extend(self.act(other)),
                }
            }
            // Every file's header waits, too, and a wrong byte in it may make it as long as the file.
            let shared = if self.hurry_at.is_some() {
                WINDOW + MAX_SHARED
            } else {
                0
            };
            let bound = MAX_HELD + shared + HEADER_CHUNKS * model.files.len();
            assert!(
                self.held.len() <= bound || self.faults.flipped > 0,
                "{} chunks",
                self.held.len()
            );
            match download.outcome() {
                Some(Ok(summary)) => {
                    assert!(
                        self.held.is_empty(),
                        "bytes that nobody let go of: {:?}",
                        self.held.keys()
                    );
                    return End::Done(summary, tensors);
                }
                Some(Err(error)) => return End::Failed(error),
                None => {}
            }
            if steps.is_some_and(|steps| step >= steps) {
                return End::Killed;
            }
            assert!(
                !pending.is_empty(),
                "nothing under way, and not at the end: {download:#?}"
            );
            let next = self.dice.roll(pending.len() as u64) as usize;
            let event = pending.swap_remove(next);
            if let Event::Received { token, .. } | Event::Read { token, .. } = &event
                && let Some(bytes) = self.arriving.remove(token)
            {
                self.held.insert(*token, bytes);
            }
            if let Event::Written { token } = event {
                pending.push(self.note(token));
            }
            now_ms += self.dice.roll(500) as f64;
            download.handle(event, now_ms);
        }
        panic!("hung");
    }

    /// Stores the journal entry of a chunk that was written.
    fn note(&mut self, token: Token) -> Event {
        let full = self.dice.chance(self.faults.full);
        let entry = self.unnoted.remove(&token).filter(|_| !full);
        self.journal.extend(entry.map(|entry| (entry.chunk, entry)));
        Event::Stored {
            token,
            result: entry.map(drop).ok_or_else(|| "full".to_owned()),
        }
    }

    fn stored(&self) -> Option<Stored> {
        let journal = self.journal.values().copied().collect();
        self.record.clone().map(|record| Stored { record, journal })
    }

    /// Bytes that the journal knows of.
    pub(crate) fn noted(&self) -> u64 {
        let lengths = self.journal.values().map(|entry| u64::from(entry.length));
        lengths.sum()
    }

    /// Whether the store has this chunk as it was stored.
    pub(crate) fn holds(&self, chunk: ChunkId) -> bool {
        let (Some(bytes), Some(entry)) = (self.chunks.get(&chunk), self.journal.get(&chunk)) else {
            return false;
        };
        let hasher = self.record.as_ref().map(Record::hasher);
        hasher.is_some_and(|hasher| hasher.hash(bytes) == entry.digest)
    }

    fn act(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Reserve { token, .. } => Some(Event::Reserved {
                token,
                granted: self.room.clone(),
            }),
            Action::Fetch { token, request } => Some(self.fetch(token, &request)),
            Action::Receive {
                token,
                fetch,
                skip,
                length,
            } => Some(self.receive(token, fetch, skip, length)),
            Action::Close { fetch } => {
                self.bodies.remove(&fetch);
                None
            }
            Action::Read { token, chunk, .. } => {
                let bytes = self.chunks.get(&chunk).cloned();
                let bytes = bytes.filter(|_| !self.dice.chance(self.faults.unreadable));
                if bytes.is_none() {
                    // As a browser does that lost the blob behind an entry.
                    self.chunks.remove(&chunk);
                }
                let piece = bytes.map(|bytes| self.arrive(token, bytes));
                Some(Event::Read { token, piece })
            }
            Action::Write {
                token,
                entry,
                bytes,
            } => {
                let bytes = self.held[&bytes].clone();
                assert_eq!(
                    self.hasher.hash(&bytes),
                    entry.digest,
                    "a chunk is noted under another's hash"
                );
                assert_eq!(bytes.len(), entry.length as usize);
                assert!(self.record.is_some(), "a chunk without a record");
                if self.dice.chance(self.faults.full) {
                    return Some(Event::Stored {
                        token,
                        result: Err("full".to_owned()),
                    });
                }
                self.chunks.insert(entry.chunk, bytes);
                self.unnoted.insert(token, entry);
                // With the chunk, or after it.
                match self.dice.chance(50) {
                    true => Some(Event::Written { token }),
                    false => Some(self.note(token)),
                }
            }
            Action::Forget => {
                self.record = None;
                self.chunks.clear();
                self.journal.clear();
                self.unnoted.clear();
                None
            }
            Action::Release { bytes } => {
                self.held.remove(&bytes);
                None
            }
            Action::Wait { token, .. } => Some(Event::Woke { token }),
            Action::Judge | Action::Deliver { .. } | Action::Save { .. } => {
                unreachable!("handled by the loop")
            }
        }
    }

    fn arrive(&mut self, token: Token, bytes: Vec<u8>) -> Piece {
        let piece = Piece {
            length: bytes.len() as u32,
            digest: self.hasher.hash(&bytes),
        };
        self.arriving.insert(token, bytes);
        piece
    }

    fn fetch(&mut self, token: Token, request: &Request) -> Event {
        let part = self.parts[&address(&request.location)];
        self.requests.push((part, request.from, request.to));
        let faults = self.faults;
        if self.dice.chance(faults.replaced)
            && let Some(next) = self.next_versions.pop()
        {
            self.server = next;
            self.version += 1;
        }
        if self.dice.chance(faults.refused) {
            return Event::Failed {
                token,
                reason: "refused".to_owned(),
                permanent: false,
            };
        }
        if self.dice.chance(faults.unavailable) {
            let retry_after_ms = self.dice.chance(50).then_some(1000);
            return Event::Response {
                token,
                response: Response {
                    status: 503,
                    retry_after_ms,
                    ..Response::default()
                },
            };
        }
        if self.dice.chance(faults.portal) {
            let page = b"<html>Please log in</html>".to_vec();
            return self.answer(token, (part, 0), page, |response| {
                response.content_type = Some("text/html".to_owned());
            });
        }
        let Some(file) = self.server.get(&address(&request.location)).cloned() else {
            return Event::Response {
                token,
                response: Response {
                    status: 404,
                    ..Response::default()
                },
            };
        };
        let size = file.len() as u64;
        let validator = Validator {
            etag: Some(format!("\"v{}\"", self.version)),
            last_modified: None,
        };
        if request
            .if_range
            .as_ref()
            .is_some_and(|etag| Some(etag) != validator.etag.as_ref())
            || self.dice.chance(faults.whole)
        {
            return self.answer(token, (part, 0), file, |response| {
                response.validator = validator;
            });
        }
        let (mut from, to) = (request.from, request.to.unwrap_or(size).min(size));
        if from >= size {
            return Event::Response {
                token,
                response: Response {
                    status: 416,
                    ..Response::default()
                },
            };
        }
        if self.dice.chance(faults.wrong_range) {
            from = self.dice.roll(to);
        }
        let bytes = file[from as usize..to as usize].to_vec();
        let hidden = self.dice.chance(faults.hidden) && from == request.from;
        self.answer(token, (part, from as usize), bytes, |response| {
            response.status = 206;
            if !hidden {
                response.content_range = Some(format!("bytes {from}-{}/{size}", to - 1));
                response.validator = validator;
            }
        })
    }

    fn answer(
        &mut self,
        token: Token,
        (part, from): (u32, usize),
        mut bytes: Vec<u8>,
        head: impl FnOnce(&mut Response),
    ) -> Event {
        let mut response = Response {
            status: 200,
            content_length: Some(bytes.len() as u64),
            ..Response::default()
        };
        head(&mut response);
        let len = bytes.len() as u64;
        let cut = self
            .dice
            .chance(self.faults.cut)
            .then(|| self.dice.roll(len) as usize);
        if len > 0 && self.dice.chance(self.faults.flipped) {
            let at = self.dice.roll(len) as usize;
            bytes[at] ^= 1 << self.dice.roll(8);
        }
        self.bodies.insert(
            token,
            Body {
                bytes,
                part,
                from,
                position: 0,
                cut,
            },
        );
        Event::Response { token, response }
    }

    fn receive(&mut self, token: Token, fetch: Token, skip: u64, length: u32) -> Event {
        let body = self.bodies.get_mut(&fetch).expect("an open body");
        let from = (body.position + skip as usize).min(body.bytes.len());
        let to = (from + length as usize).min(body.bytes.len());
        body.position = to;
        let chunk = ChunkId {
            part: body.part,
            index: (body.from + from) as u32 / CHUNK,
        };
        if body.cut.is_some_and(|cut| to > cut) {
            return Event::Failed {
                token,
                reason: "cut".to_owned(),
                permanent: false,
            };
        }
        let bytes = body.bytes[from..to].to_vec();
        assert!(
            !self.store || bytes.is_empty() || !self.holds(chunk),
            "{chunk:?} is stored and right, and is fetched again"
        );
        self.received += (to - from) as u64;
        let piece = self.arrive(token, bytes);
        Event::Received { token, piece }
    }
}

fn address(location: &Location) -> String {
    match location {
        Location::Url(url) => url.to_string(),
        Location::File { .. } => unreachable!("no local files here"),
    }
}

/// A file with tensors of random bytes: `names` says which, `seed` what is in them.
pub(crate) fn file(
    names: &[impl AsRef<str>],
    split: Option<(u16, u16, i32)>,
    seed: u64,
) -> Vec<u8> {
    let mut dice = Dice(seed);
    let mut writer = Writer::new().with("general.architecture", "test");
    if let Some((no, count, tensors)) = split {
        writer = writer
            .with("split.no", no)
            .with("split.count", count)
            .with("split.tensors.count", tensors);
    }
    for name in names {
        let columns = 1 + dice.roll(90);
        let bytes = (0..columns * 4).map(|_| dice.roll(256) as u8).collect();
        writer = writer.tensor(name.as_ref(), &[columns], TensorType::F32, bytes);
    }
    writer.to_bytes().unwrap()
}

/// The tensors of several files, cut out directly.
pub(crate) fn tensors_of<'a>(files: impl IntoIterator<Item = &'a Vec<u8>>) -> Tensors {
    let mut tensors = Tensors::new();
    for file in files {
        for info in &gguf::Header::parse(file).unwrap().tensors {
            let bytes = file[info.offset as usize..info.end() as usize].to_vec();
            tensors.insert(info.name.clone(), bytes);
        }
    }
    tensors
}

/// Chunks whose stored bytes differ from what the server has.
pub(crate) fn wrong_chunks(world: &World, addresses: &[String]) -> BTreeSet<ChunkId> {
    let differs = |(chunk, bytes): (&ChunkId, &Vec<u8>)| {
        let file = &world.server[&addresses[chunk.part as usize]];
        let start = chunk.index as usize * CHUNK as usize;
        let end = (start + CHUNK as usize).min(file.len());
        (file.get(start..end) != Some(&bytes[..])).then_some(*chunk)
    };
    world.chunks.iter().filter_map(differs).collect()
}
