//! Which requests are open, for which bytes, and which of their bodies is read next.
//!
//! A file is fetched in runs of chunks, several at once; [`super::connections`] says how many. A body is read only for
//! chunks of the window, and only while the store keeps up; otherwise it is left alone, and the server has to wait.

use super::{Action, Download, Phase, Request, Slot, Token};
use crate::files::Location;
use crate::record::ChunkId;

/// An open request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fetch {
    pub(super) token: Token,
    pub(super) part: u32,
    pub(super) from: u64,
    pub(super) to: Option<u64>,
    pub(super) state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Waiting for the answer's head; the first chunk will be this one.
    Opening { next: u32 },
    /// The body stands at chunk `next`, after `skip` bytes to be dropped.
    Idle { next: u32, skip: u64 },
    /// Gathering chunk `index`, under this token.
    Receiving {
        index: u32,
        token: Token,
        length: u32,
    },
}

impl Fetch {
    /// The first chunk that may still come from it.
    fn position(&self) -> u32 {
        match self.state {
            State::Opening { next } | State::Idle { next, .. } => next,
            State::Receiving { index, .. } => index,
        }
    }

    fn next_chunk(&self) -> ChunkId {
        ChunkId {
            part: self.part,
            index: self.position(),
        }
    }

    /// The event it waits for, unless its body is left alone.
    pub(super) fn awaited(&self) -> Option<Token> {
        match self.state {
            State::Opening { .. } => Some(self.token),
            State::Receiving { token, .. } => Some(token),
            State::Idle { .. } => None,
        }
    }
}

impl Download {
    /// Whether a chunk more could be received, or asked for: some are missing, a body stands idle or another request may be
    /// opened, and what arrives finds room on its way to the store.
    pub(super) fn may_fetch(&self) -> bool {
        let idle = |fetch: &Fetch| fetch.awaited().is_none();
        let free = self.waiting.is_none() && self.fetches.len() < self.connections.limit();
        (free || self.fetches.iter().any(idle))
            && !self.parts.iter().all(super::Part::is_whole)
            && self.has_room()
    }

    fn has_room(&self) -> bool {
        // While headers are judged nothing is written, so nothing would ever make room.
        if matches!(self.phase, Phase::Headers) || self.storing.is_off() {
            return true;
        }
        let receiving = |fetch: &&Fetch| matches!(fetch.state, State::Receiving { .. });
        let pending =
            self.unwritten.len() + self.writing() + self.fetches.iter().filter(receiving).count();
        // Entries take no room, but what has none is lost when the browser is killed.
        pending < self.limits.share && self.writes.len() < 2 * self.limits.share
    }

    /// Has chunk `wanted`, one of `window`, come over the network, with what follows it up to the next chunk that is there or
    /// to chunk `last`. Chunks are asked for in the order in which they are needed. Says whether anything has been begun.
    pub(super) fn obtain(&mut self, wanted: ChunkId, last: u32, window: &[(ChunkId, u32)]) -> bool {
        if let Some(at) = self.covering(wanted) {
            if let State::Idle { next, skip } = self.fetches[at].state
                && !self.is_being_stored(wanted)
            {
                // A body that was not asked for from here runs through chunks that are there already.
                let part = &self.parts[wanted.part as usize];
                let passed = part.start(wanted.index) - part.start(next);
                self.receive(at, wanted, skip + passed);
                return true;
            }
        } else if self.waiting.is_none()
            && !self.is_being_stored(wanted)
            && self.make_way(wanted, window)
        {
            self.open(wanted, last);
            return true;
        }
        false
    }

    /// The request whose body has `wanted`, now or later: the one that comes to it soonest.
    fn covering(&self, wanted: ChunkId) -> Option<usize> {
        let start = self.parts[wanted.part as usize].start(wanted.index);
        let covers = |fetch: &Fetch| {
            fetch.part == wanted.part
                && fetch.position() <= wanted.index
                && fetch.to.is_none_or(|to| start < to)
        };
        (0..self.fetches.len())
            .filter(|&at| covers(&self.fetches[at]))
            // Where two stand at the same chunk, the one that is gathering it.
            .max_by_key(|&at| {
                let fetch = &self.fetches[at];
                (fetch.position(), fetch.awaited().is_some())
            })
    }

    /// Whether another request may be opened, for `wanted`. Where that is the chunk whose turn it is, requests whose bodies
    /// are left alone give way to it, those that are needed last first.
    fn make_way(&mut self, wanted: ChunkId, window: &[(ChunkId, u32)]) -> bool {
        let part = &self.parts[wanted.part as usize];
        if part.ranges != Some(true) || part.size.is_none() {
            // One request at a time can be of use.
            let ours = |fetch: &&Fetch| fetch.part == wanted.part;
            if let Some(other) = self.fetches.iter().find(ours).copied() {
                if other.awaited().is_some() {
                    return false;
                }
                self.close_fetch(other.token);
            }
        }
        let is_next = window.first().is_some_and(|(first, _)| *first == wanted);
        if self.fetches.len() >= self.connections.limit() && is_next {
            let idle = self
                .fetches
                .iter()
                .filter(|fetch| fetch.awaited().is_none());
            let turn = |fetch: &&Fetch| {
                let next = fetch.next_chunk();
                let turn = window.iter().position(|(chunk, _)| *chunk == next);
                (turn.unwrap_or(usize::MAX), next)
            };
            if let Some(last) = idle.max_by_key(turn).copied() {
                self.close_fetch(last.token);
            }
        }
        self.fetches.len() < self.connections.limit()
    }

    fn open(&mut self, wanted: ChunkId, last: u32) {
        let token = self.token();
        let part = &self.parts[wanted.part as usize];
        let from = part.start(wanted.index);
        let to = if last == wanted.index {
            Some(part.start(wanted.index) + u64::from(part.length(wanted.index)))
        } else if part.size.is_none() && from > 0 {
            // The server hides the size from us; the length of all the rest will tell.
            part.next_held(wanted.index)
        } else {
            Some(self.end_of_run(wanted, last))
        };
        let request = Request {
            location: part.location().clone(),
            from,
            to,
            if_range: part
                .validator
                .if_range()
                .filter(|_| from > 0)
                .map(str::to_owned),
        };
        self.fetches.push(Fetch {
            token,
            part: wanted.part,
            from,
            to,
            state: State::Opening { next: wanted.index },
        });
        self.queue.push_back(Action::Fetch { token, request });
    }

    /// One past the last byte of the run of absent chunks that begins with `first` and ends with `last` at most.
    fn end_of_run(&self, first: ChunkId, last: u32) -> u64 {
        let part = &self.parts[first.part as usize];
        let absent = |index: &u32| {
            let chunk = ChunkId {
                index: *index,
                ..first
            };
            part.start(*index) < part.size.unwrap_or(u64::MAX)
                && !matches!(part.slot(*index), Slot::Held(_))
                && !self.ready.contains_key(&chunk)
                && self.covering(chunk).is_none()
        };
        // At most a window, which is a few hundred.
        let run = self.limits.share as u32;
        let end = first.index.saturating_add(run).min(last.saturating_add(1));
        let following = first.index + 1..end;
        let last = following.take_while(absent).last().unwrap_or(first.index);
        part.start(last) + u64::from(part.length(last))
    }

    fn receive(&mut self, at: usize, chunk: ChunkId, skip: u64) {
        let token = self.token();
        let length = self.parts[chunk.part as usize].length(chunk.index);
        let fetch = &mut self.fetches[at];
        fetch.state = State::Receiving {
            index: chunk.index,
            token,
            length,
        };
        self.queue.push_back(Action::Receive {
            token,
            fetch: fetch.token,
            skip,
            length,
        });
    }

    pub(super) fn close_fetch(&mut self, token: Token) {
        self.fetches.retain(|fetch| fetch.token != token);
        self.queue.push_back(Action::Close { fetch: token });
    }

    /// Address or file name of a part, for messages.
    pub(super) fn location_name(&self, part: u32) -> String {
        let part = &self.parts[part as usize];
        match part.location() {
            Location::Url(url) => url.to_string(),
            Location::File { .. } => self.files[part.file].name.clone(),
        }
    }
}
