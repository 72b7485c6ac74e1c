//! One request at a time: opening it, taking chunks from its body, and what happens when it fails.

use super::{Action, Download, Phase, Request, Slot, Token};
use crate::files::Location;
use crate::record::{ChunkId, Validator};
use crate::response::{Asked, Judgement, Response};
use crate::{Digest, Error};

/// Chunks on their way to the store at once. Beyond it the network has to wait, so that a slow disk does not
/// fill the memory.
const MAX_UNWRITTEN: usize = 2;

/// An open request.
#[derive(Debug)]
pub(super) struct Fetch {
    token: Token,
    part: u32,
    from: u64,
    to: Option<u64>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Waiting for the answer's head.
    Opening,
    /// The body stands at chunk `next`, after `skip` bytes to be dropped.
    Idle { next: u32, skip: u64 },
    /// Gathering this chunk, under this token.
    Receiving {
        chunk: ChunkId,
        token: Token,
        length: u32,
    },
}

impl Download {
    /// Has chunk `wanted` come over the network, with what follows it up to the next chunk that is stored, or alone.
    pub(super) fn obtain(&mut self, wanted: ChunkId, alone: bool) {
        if self.waiting.is_some() {
            return;
        }
        match self
            .fetch
            .as_ref()
            .map(|fetch| (fetch.part, fetch.to, fetch.state))
        {
            None => self.open(wanted, alone),
            Some((_, _, State::Opening | State::Receiving { .. })) => {}
            Some((part, to, State::Idle { next, skip })) => {
                let start = self.parts[wanted.part as usize].start(wanted.index);
                let continues =
                    part == wanted.part && next == wanted.index && to.is_none_or(|to| start < to);
                if !continues {
                    self.close_fetch();
                    self.open(wanted, alone);
                } else if self.may_receive() {
                    self.receive(wanted, skip);
                }
            }
        }
    }

    fn may_receive(&self) -> bool {
        let pending = self.unwritten.len() + self.writes.values().flatten().count();
        let stores = !self.storing.is_off();
        // While headers are judged nothing is written, so nothing would ever make room.
        matches!(self.phase, Phase::Headers) || !stores || pending < MAX_UNWRITTEN
    }

    fn open(&mut self, wanted: ChunkId, alone: bool) {
        let token = self.token();
        let part = &self.parts[wanted.part as usize];
        let from = part.start(wanted.index);
        let to = if alone {
            Some(from + u64::from(part.length(wanted.index)))
        } else {
            part.next_held(wanted.index)
        };
        let request = Request {
            location: part.location.clone(),
            from,
            to,
            if_range: part
                .validator
                .if_range()
                .filter(|_| from > 0)
                .map(str::to_owned),
        };
        self.fetch = Some(Fetch {
            token,
            part: wanted.part,
            from,
            to,
            state: State::Opening,
        });
        self.queue.push_back(Action::Fetch { token, request });
    }

    fn receive(&mut self, chunk: ChunkId, skip: u64) {
        let token = self.token();
        let length = self.parts[chunk.part as usize].length(chunk.index);
        let keep = !self.storing.is_off();
        if let Some(fetch) = &mut self.fetch {
            fetch.state = State::Receiving {
                chunk,
                token,
                length,
            };
            self.queue.push_back(Action::Receive {
                token,
                fetch: fetch.token,
                chunk,
                skip,
                length,
                keep,
            });
        }
    }

    pub(super) fn close_fetch(&mut self) {
        if let Some(fetch) = self.fetch.take() {
            self.queue.push_back(Action::Close { fetch: fetch.token });
        }
    }

    pub(super) fn on_response(&mut self, token: Token, response: &Response) {
        let Some(fetch) = self.fetch.as_ref().filter(|fetch| fetch.token == token) else {
            return;
        };
        self.retry.answered();
        let name = self.location_name(fetch.part);
        let part = &self.parts[fetch.part as usize];
        let (from, number) = (fetch.from, fetch.part as usize);
        let judgement = response.judge(Asked {
            name: &name,
            from,
            to: fetch.to,
            size: part.size,
            validator: &part.validator,
            resuming: from > 0 || self.arrived > 0 || part.is_begun(),
        });
        match judgement {
            Judgement::Take { skip, size } => {
                let part = &mut self.parts[number];
                let before = (part.size, part.validator.clone());
                part.size = size;
                if response.validator != Validator::default() {
                    part.validator = response.validator.clone();
                }
                self.unsaved |= before != (part.size, part.validator.clone());
                // Chunks are numbered by u32: a part beyond 8 PiB is refused by the header reader long before.
                let next = (from / u64::from(self.chunk_size)) as u32;
                if let Some(fetch) = &mut self.fetch {
                    fetch.state = State::Idle { next, skip };
                }
                if self.existing_in(number, next) {
                    return;
                }
                let reason = format!(
                    "the file has {} bytes, which leaves nothing to fetch",
                    size.unwrap_or(0)
                );
                self.fail(Error::BadResponse { url: name, reason });
            }
            Judgement::Retry { reason, after_ms } => self.set_back(reason, after_ms),
            Judgement::Changed => self.restart(),
            Judgement::Fail(error) => self.fail(error),
        }
    }

    fn existing_in(&self, part: usize, index: u32) -> bool {
        self.parts[part]
            .chunks()
            .is_none_or(|chunks| u64::from(index) < chunks)
    }

    pub(super) fn on_failed(&mut self, token: Token, reason: String, permanent: bool) {
        let Some(fetch) = &self.fetch else { return };
        let awaited = match fetch.state {
            State::Opening => fetch.token == token,
            State::Receiving {
                token: receiving, ..
            } => receiving == token,
            State::Idle { .. } => false,
        };
        if !awaited {
            return;
        }
        if permanent {
            let url = self.location_name(fetch.part);
            self.fail(Error::BadResponse { url, reason });
        } else {
            self.set_back(reason, None);
        }
    }

    /// Gives up the open request, to try again after a while.
    fn set_back(&mut self, reason: String, after_ms: Option<u64>) {
        let part = self.fetch.as_ref().map_or(0, |fetch| fetch.part);
        self.close_fetch();
        match self.retry.failed(after_ms) {
            Some(ms) => {
                let token = self.token();
                self.waiting = Some(token);
                self.queue.push_back(Action::Wait { token, ms, reason });
            }
            None => {
                let (url, attempts) = (self.location_name(part), self.retry.failures());
                self.fail(Error::GaveUp {
                    url,
                    attempts,
                    reason,
                });
            }
        }
    }

    pub(super) fn on_received(&mut self, token: Token, bytes: Vec<u8>, digest: Option<Digest>) {
        let Some(fetch) = &mut self.fetch else { return };
        let State::Receiving {
            chunk,
            token: awaited,
            length,
        } = fetch.state
        else {
            return;
        };
        if awaited != token {
            return;
        }
        fetch.state = State::Idle {
            next: chunk.index + 1,
            skip: 0,
        };
        let part = &mut self.parts[chunk.part as usize];
        if bytes.len() < length as usize {
            if part.size.is_some() {
                self.release(chunk);
                let reason = format!(
                    "the body ended {} bytes early",
                    length as usize - bytes.len()
                );
                return self.set_back(reason, None);
            }
            part.size = Some(part.start(chunk.index) + bytes.len() as u64);
            self.unsaved = true;
        }
        if bytes.is_empty() {
            self.release(chunk);
            self.close_fetch();
            return self.part_ended(chunk);
        }
        let digest = digest.unwrap_or_else(|| Digest::of(&bytes));
        let repaired = match self.parts[chunk.part as usize].slot(chunk.index) {
            Slot::Damaged { expected, .. } if expected == digest => true,
            Slot::Damaged {
                seen: Some(seen), ..
            } if seen == digest => return self.restart_without(chunk),
            Slot::Damaged { expected, .. } => {
                let slot = Slot::Damaged {
                    expected,
                    seen: Some(digest),
                };
                self.parts[chunk.part as usize].set_slot(chunk.index, slot);
                self.release(chunk);
                return self.set_back(
                    "bytes differ from the hash noted when they were stored".to_owned(),
                    None,
                );
            }
            Slot::Missing | Slot::Held(_) => false,
        };
        self.repaired += u32::from(repaired);
        self.downloaded += bytes.len() as u64;
        self.last_from_network = true;
        self.retry.succeeded();
        self.end_of_body(chunk);
        self.keep(chunk, &bytes, digest);
        self.arrive(chunk, bytes);
    }

    fn restart_without(&mut self, chunk: ChunkId) {
        self.restart();
        self.release(chunk);
    }

    /// Closes the request if the chunk was the last it was for.
    fn end_of_body(&mut self, chunk: ChunkId) {
        let part = &self.parts[chunk.part as usize];
        let next = part.start(chunk.index + 1);
        let to = self.fetch.as_ref().and_then(|fetch| fetch.to).or(part.size);
        if to.is_some_and(|to| next >= to) {
            self.close_fetch();
        }
    }

    /// Address or file name of a part, for messages.
    pub(super) fn location_name(&self, part: u32) -> String {
        let part = &self.parts[part as usize];
        match &part.location {
            Location::Url(url) => url.to_string(),
            Location::Local(_) => self.files[part.file].name.clone(),
        }
    }
}
