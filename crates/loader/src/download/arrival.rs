//! What becomes of a chunk that is there: headers are read from it, or it waits for delivery.

use gguf::Header;
use gguf::split::check_set;

use super::{Action, Download, Phase, Piece, Slot, Token};
use crate::Error;
use crate::record::ChunkId;

/// Chunks of the first request for a shard's header.
const HEADER_CHUNKS: u32 = 4;

/// Bytes of a file's beginning that are shown when it is not GGUF.
const SHOWN_HEAD: usize = 24;

impl Download {
    /// Reads on in a header whose next bytes are there, or asks for them.
    pub(super) fn seek_header(&mut self) {
        let incomplete = self.files.iter().filter(|file| file.header.is_none());
        let wanted: Vec<ChunkId> = incomplete
            .map(|file| file.header_next)
            .take(self.limits.window)
            .collect();
        if wanted.is_empty() {
            return self.judge();
        }
        for chunk in &wanted {
            if let Some(&bytes) = self.ready.get(chunk) {
                self.examined = Some(*chunk);
                return self.queue.push_back(Action::Deliver { bytes });
            }
        }
        // Of one shard among several only the header is wanted for now: each request is for twice as much as those before it.
        let several = self.files.len() > 1;
        let double = |index: u32| index.saturating_mul(2).saturating_add(HEADER_CHUNKS - 1);
        let last = |chunk: &ChunkId| {
            if several {
                double(chunk.index)
            } else {
                u32::MAX
            }
        };
        let window: Vec<_> = wanted.iter().map(|chunk| (*chunk, last(chunk))).collect();
        self.bring(&window, true);
    }

    /// Asks for the chunk whose turn it is and for those that follow, and delivers the first if it is there.
    pub(super) fn seek_tensors(&mut self) {
        // First, so that the network does not wait for the tensors. A window has hundreds of chunks: it is looked through only
        // where something may come of it.
        let reading = self.wants_reads();
        if reading || self.may_fetch() {
            let turns = self.turns(self.limits.window).into_iter();
            let window: Vec<_> = turns.map(|turn| (turn.chunk, turn.last)).collect();
            self.bring(&window, reading);
        }
        let next = self.turns(1);
        if let Some(&bytes) = next.first().and_then(|turn| self.ready.get(&turn.chunk)) {
            self.queue.push_back(Action::Deliver { bytes });
        }
    }

    /// Asks the network, and the store if it is `reading` time, for every chunk of `window` that is not there or under way, as far
    /// as that many may be under way at once. With each chunk comes the last one of its part that may be fetched along with it.
    fn bring(&mut self, window: &[(ChunkId, u32)], reading: bool) {
        let mut fetching = self.may_fetch();
        for (chunk, last) in window {
            if !fetching && (!reading || self.reads.len() >= self.limits.share) {
                return;
            }
            if self.ready.contains_key(chunk) {
                continue;
            }
            let slot = self.parts[chunk.part as usize].slot(chunk.index);
            if matches!(slot, Slot::Held(_)) {
                if reading {
                    self.read_back(*chunk);
                }
            } else if fetching && self.obtain(*chunk, *last, window) {
                fetching = self.may_fetch();
            }
        }
    }

    /// Whether it is time to look for more to read from the store: half of what may be under way is there, and there may be
    /// more, stored before this load or wanted again for a file's hash; or the chunk whose turn it is is there and nowhere else.
    fn wants_reads(&self) -> bool {
        if self.reads.len() * 2 > self.limits.share {
            return false;
        }
        let is_held = |chunk: ChunkId| {
            let slot = self.parts[chunk.part as usize].slot(chunk.index);
            matches!(slot, Slot::Held(_)) && !self.ready.contains_key(&chunk)
        };
        self.resumed
            || self.route.iter().any(|run| run.again)
            || self.turns(1).iter().any(|turn| is_held(turn.chunk))
    }

    fn read_back(&mut self, chunk: ChunkId) {
        if self.reads.len() >= self.limits.share
            || self.reads.values().any(|reading| *reading == chunk)
        {
            return;
        }
        let token = self.token();
        let length = self.parts[chunk.part as usize].length(chunk.index);
        self.reads.insert(token, chunk);
        self.queue.push_back(Action::Read {
            token,
            chunk,
            length,
        });
    }

    pub(super) fn on_read(&mut self, token: Token, piece: Option<Piece>) {
        let drop_it = Action::Release { bytes: token };
        let Some(chunk) = self.reads.remove(&token) else {
            return self.queue.push_back(drop_it);
        };
        let part = &mut self.parts[chunk.part as usize];
        let Slot::Held(expected) = part.slot(chunk.index) else {
            return self.queue.push_back(drop_it);
        };
        let right =
            |piece: &Piece| piece.length == part.length(chunk.index) && piece.digest == expected;
        match piece.filter(right) {
            Some(piece) => {
                if !self.is_delivered(chunk) {
                    self.read += u64::from(piece.length);
                    self.last_from_network = false;
                }
                self.arrive(chunk, token, piece);
            }
            None => {
                let seen = None;
                part.set_slot(chunk.index, Slot::Damaged { expected, seen });
                self.repaired += 1;
                self.queue.push_back(drop_it);
            }
        }
    }

    /// Whether the tensors have had bytes of a chunk already: then it only comes again for the file's hash.
    pub(super) fn is_delivered(&self, chunk: ChunkId) -> bool {
        let part = &self.parts[chunk.part as usize];
        let from = self.part_start(chunk.part) + part.start(chunk.index);
        let to = from + u64::from(part.length(chunk.index));
        self.files[part.file].delivered.overlaps(from, to)
    }

    /// Takes in a chunk that has been checked.
    pub(super) fn arrive(&mut self, chunk: ChunkId, bytes: Token, piece: Piece) {
        if !self.is_delivered(chunk) {
            self.arrived += u64::from(piece.length);
        }
        let double = self.ready.insert(chunk, bytes);
        debug_assert!(double.is_none(), "{chunk:?} came twice");
    }

    /// Reads on in the header that [`Self::seek_header`] chose.
    pub(super) fn read_header(&mut self, bytes: &[u8]) {
        if let Some(chunk) = self.examined.take()
            && let Err(error) = self.examine(chunk, bytes)
        {
            self.refuse_content(error);
        }
    }

    fn examine(&mut self, chunk: ChunkId, bytes: &[u8]) -> Result<(), Error> {
        let number = self.parts[chunk.part as usize].file;
        let is_first = chunk.part == 0 || self.parts[chunk.part as usize - 1].file != number;
        let file = &mut self.files[number];
        if is_first && chunk.index == 0 && !bytes.starts_with(&gguf::MAGIC) {
            return Err(not_gguf(&file.name, bytes));
        }
        let wrong = |source| Error::Header {
            file: file.name.clone(),
            source,
        };
        match file.reader.push(bytes).map_err(wrong)? {
            Some(header) => {
                file.header = Some(header);
                Ok(())
            }
            None => self.expect_more_header(chunk),
        }
    }

    fn expect_more_header(&mut self, chunk: ChunkId) -> Result<(), Error> {
        let number = self.parts[chunk.part as usize].file;
        let next = self
            .following(chunk)
            .filter(|next| self.parts[next.part as usize].file == number);
        let file = &mut self.files[number];
        file.header_next = next.ok_or_else(|| Error::HeaderTruncated {
            file: file.name.clone(),
        })?;
        Ok(())
    }

    /// A part whose size was unknown turned out to end where `chunk` would begin.
    pub(super) fn part_ended(&mut self, chunk: ChunkId) {
        match self.phase {
            Phase::Headers => {
                let before = ChunkId {
                    index: chunk.index.saturating_sub(1),
                    ..chunk
                };
                if let Err(error) = self.expect_more_header(before) {
                    self.refuse_content(error);
                }
            }
            Phase::Tensors => self.go_on(),
            Phase::Judging | Phase::Settling | Phase::Ended(_) => {}
        }
    }

    /// All headers are there: do the files belong together, and are they whole?
    fn judge(&mut self) {
        self.headers = self
            .files
            .iter_mut()
            .filter_map(|file| file.header.take())
            .collect();
        match self.check_headers() {
            Ok(()) => {
                self.phase = Phase::Judging;
                self.queue.push_back(Action::Judge);
            }
            Err(error) => self.refuse_content(error),
        }
    }

    fn check_headers(&self) -> Result<(), Error> {
        check_set(&self.headers).map_err(|error| Error::SplitSet {
            reason: error.to_string(),
        })?;
        for (number, (file, header)) in self.files.iter().zip(&self.headers).enumerate() {
            let sizes = self
                .parts
                .iter()
                .filter(|part| part.file == number)
                .map(|part| part.size);
            let expected = Header::file_size(header);
            if let Some(actual) = sizes
                .sum::<Option<u64>>()
                .filter(|actual| *actual < expected)
            {
                return Err(Error::Truncated {
                    file: file.name.clone(),
                    expected,
                    actual,
                });
            }
        }
        Ok(())
    }
}

fn not_gguf(file: &str, bytes: &[u8]) -> Error {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN_HEAD)]).into_owned();
    let text = head.trim_start().to_ascii_lowercase();
    let hint = if text.starts_with('<') {
        ", like a web page; is this the address of the file itself?"
    } else if text.starts_with("version https://git-lfs") {
        ", a Git LFS pointer; the file it points to is elsewhere"
    } else {
        ""
    };
    Error::NotAGguf {
        file: file.to_owned(),
        head,
        hint,
    }
}
