//! What becomes of a request: its answer, the chunks of its body, its failure.

use super::network::{Fetch, State};
use super::{Action, Download, Piece, Slot, Token};
use crate::Error;
use crate::record::{ChunkId, Validator};
use crate::response::{Asked, Judgement, Response, WHOLE};

/// Too Many Requests, and Service Unavailable.
const REFUSALS: [u16; 2] = [429, 503];

impl Download {
    fn fetch_awaiting(&self, token: Token) -> Option<usize> {
        self.fetches
            .iter()
            .position(|fetch| fetch.awaited() == Some(token))
    }

    pub(super) fn on_response(&mut self, token: Token, response: &Response) {
        let Some(at) = self.fetch_awaiting(token) else {
            return;
        };
        self.retry.answered();
        let fetch = self.fetches[at];
        let name = self.location_name(fetch.part);
        let number = fetch.part as usize;
        let part = &self.parts[number];
        let judgement = response.judge(Asked {
            name: &name,
            from: fetch.from,
            to: fetch.to,
            size: part.size,
            validator: &part.validator,
            resuming: fetch.from > 0 || self.arrived > 0 || part.is_begun(),
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
                part.ranges = Some(response.status != WHOLE);
                if response.status == WHOLE {
                    self.fetches[at].to = None;
                }
                // Chunks are numbered by u32: a part beyond 8 PiB is refused by the header reader long before.
                let next = (fetch.from / u64::from(self.chunk_size)) as u32;
                self.fetches[at].state = State::Idle { next, skip };
                if part.chunks().is_none_or(|chunks| u64::from(next) < chunks) {
                    if response.status == WHOLE {
                        // What is needed first would have to wait for all that stands before it.
                        self.find_route();
                    }
                    return;
                }
                let reason = format!(
                    "the file has {} bytes, which leaves nothing to fetch",
                    size.unwrap_or(0)
                );
                self.fail(Error::BadResponse { url: name, reason });
            }
            Judgement::Retry { reason, after_ms } => {
                if self.waiting.is_none() && REFUSALS.contains(&response.status) {
                    self.connections.refused();
                }
                self.set_back(fetch, reason, after_ms);
            }
            Judgement::Changed => self.restart(),
            Judgement::Fail(error) => self.fail(error),
        }
    }

    pub(super) fn on_failed(&mut self, token: Token, reason: String, permanent: bool) {
        let Some(at) = self.fetch_awaiting(token) else {
            return;
        };
        let fetch = self.fetches[at];
        if permanent {
            let url = self.location_name(fetch.part);
            self.fail(Error::BadResponse { url, reason });
        } else {
            self.set_back(fetch, reason, None);
        }
    }

    /// Gives up a request, to try again after a while. Requests that fail together count as one failure.
    fn set_back(&mut self, fetch: Fetch, reason: String, after_ms: Option<u64>) {
        self.close_fetch(fetch.token);
        if self.waiting.is_some() {
            return;
        }
        self.connections.failed();
        match self.retry.failed(after_ms) {
            Some(ms) => {
                let token = self.token();
                self.waiting = Some(token);
                self.queue.push_back(Action::Wait { token, ms, reason });
            }
            None => {
                let (url, attempts) = (self.location_name(fetch.part), self.retry.failures());
                self.fail(Error::GaveUp {
                    url,
                    attempts,
                    reason,
                });
            }
        }
    }

    pub(super) fn on_received(&mut self, token: Token, piece: Piece) {
        let drop_it = Action::Release { bytes: token };
        let Some(at) = self.fetch_awaiting(token) else {
            return self.queue.push_back(drop_it);
        };
        let fetch = self.fetches[at];
        let State::Receiving { index, length, .. } = fetch.state else {
            return self.queue.push_back(drop_it);
        };
        let chunk = ChunkId {
            part: fetch.part,
            index,
        };
        self.fetches[at].state = State::Idle {
            next: index + 1,
            skip: 0,
        };
        let part = &mut self.parts[chunk.part as usize];
        if piece.length < length {
            if part.size.is_some() {
                self.queue.push_back(drop_it);
                let reason = format!("the body ended {} bytes early", length - piece.length);
                return self.set_back(fetch, reason, None);
            }
            part.size = Some(part.start(index) + u64::from(piece.length));
            self.unsaved = true;
        }
        if piece.length == 0 {
            self.queue.push_back(drop_it);
            self.close_fetch(fetch.token);
            return self.part_ended(chunk);
        }
        let part = &mut self.parts[chunk.part as usize];
        match part.slot(index) {
            Slot::Damaged { expected, .. } if expected == piece.digest => {}
            Slot::Damaged { seen, .. } if seen == Some(piece.digest) => {
                self.queue.push_back(drop_it);
                return self.restart();
            }
            Slot::Damaged { expected, .. } => {
                let seen = Some(piece.digest);
                part.set_slot(index, Slot::Damaged { expected, seen });
                self.queue.push_back(drop_it);
                let reason = "bytes differ from the hash noted when they were stored".to_owned();
                return self.set_back(fetch, reason, None);
            }
            Slot::Missing | Slot::Held(_) => {}
        }
        if !self.is_delivered(chunk) {
            self.downloaded += u64::from(piece.length);
        }
        self.last_from_network = true;
        self.retry.succeeded();
        self.end_of_body(fetch, chunk);
        self.arrive(chunk, token, piece);
        self.keep(chunk, token, piece);
    }

    /// Closes the request if the chunk was the last it was for.
    fn end_of_body(&mut self, fetch: Fetch, chunk: ChunkId) {
        let part = &self.parts[chunk.part as usize];
        let next = part.start(chunk.index + 1);
        if fetch.to.or(part.size).is_some_and(|to| next >= to) {
            self.close_fetch(fetch.token);
            self.connections.succeeded();
        }
    }
}
