//! What becomes of a chunk that is there: headers are read from it, or it waits for delivery.

use gguf::Header;
use gguf::split::check_set;

use super::{Action, Download, Phase, READ_AHEAD, Slot, Token};
use crate::record::ChunkId;
use crate::{Digest, Error};

/// Bytes of a file's beginning that are shown when it is not GGUF.
const SHOWN_HEAD: usize = 24;

impl Download {
    /// Asks for the next bytes of the first header that is not complete.
    pub(super) fn seek_header(&mut self) {
        let Some(file) = self.files.iter().find(|file| file.header.is_none()) else {
            return self.judge();
        };
        let chunk = file.header_next;
        let part = &self.parts[chunk.part as usize];
        match part.slot(chunk.index) {
            Slot::Held(_) => self.read_back(chunk),
            // Of one shard among several only the header is wanted for now.
            Slot::Missing | Slot::Damaged { .. } => self.obtain(chunk, self.files.len() > 1),
        }
    }

    /// Delivers the chunk whose turn it is, or asks for it and for those that follow.
    pub(super) fn seek_tensors(&mut self) {
        let Some(cursor) = self.cursor else { return };
        if self.ready.contains_key(&cursor) {
            return self.queue.push_back(Action::Deliver);
        }
        let mut next = Some(cursor);
        for _ in 0..READ_AHEAD {
            let Some(chunk) = next else { break };
            if !self.ready.contains_key(&chunk) {
                match self.parts[chunk.part as usize].slot(chunk.index) {
                    Slot::Held(_) => self.read_back(chunk),
                    Slot::Missing | Slot::Damaged { .. } => return self.obtain(chunk, false),
                }
            }
            next = self.following(chunk);
        }
    }

    fn read_back(&mut self, chunk: ChunkId) {
        if self.reads.values().any(|reading| *reading == chunk) {
            return;
        }
        let token = self.token();
        self.reads.insert(token, chunk);
        self.queue.push_back(Action::Read { token, chunk });
    }

    pub(super) fn on_read(&mut self, token: Token, bytes: Option<Vec<u8>>, digest: Option<Digest>) {
        let Some(chunk) = self.reads.remove(&token) else {
            return;
        };
        let part = &mut self.parts[chunk.part as usize];
        let Slot::Held(expected) = part.slot(chunk.index) else {
            return;
        };
        let right = |bytes: &Vec<u8>| {
            bytes.len() == part.length(chunk.index) as usize
                && digest.unwrap_or_else(|| Digest::of(bytes)) == expected
        };
        match bytes.filter(right) {
            Some(bytes) => {
                self.read += bytes.len() as u64;
                self.last_from_network = false;
                self.arrive(chunk, bytes);
            }
            None => part.set_slot(
                chunk.index,
                Slot::Damaged {
                    expected,
                    seen: None,
                },
            ),
        }
    }

    /// Takes in a chunk that has been checked.
    pub(super) fn arrive(&mut self, chunk: ChunkId, bytes: Vec<u8>) {
        self.arrived += bytes.len() as u64;
        if matches!(self.phase, Phase::Headers)
            && let Err(error) = self.read_header(chunk, &bytes)
        {
            return self.refuse_content(error);
        }
        self.ready.insert(chunk, bytes);
    }

    fn read_header(&mut self, chunk: ChunkId, bytes: &[u8]) -> Result<(), Error> {
        let number = self.parts[chunk.part as usize].file;
        let is_first =
            number == 0 && chunk.part == 0 || self.parts[chunk.part as usize - 1].file != number;
        let file = &mut self.files[number];
        if file.header.is_some() || file.header_next != chunk {
            return Ok(());
        }
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
            Phase::Tensors => {
                if let Some(cursor) = self.cursor {
                    self.move_cursor(cursor);
                }
            }
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
