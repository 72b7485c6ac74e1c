//! Where delivery stands, and what is checked when it leaves a file.

use sha2::Digest as _;

use super::route::{self, MAX_RUNS, Run};
use super::{Download, Phase};
use crate::feed::share_out;
use crate::record::ChunkId;
use crate::{Digest, Error};

/// A chunk's turn: what of it is delivered then.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn {
    pub(super) chunk: ChunkId,
    pub(super) file: usize,
    /// Place of the chunk in its file.
    pub(super) start: u64,
    /// First byte to deliver, as a place in the file.
    pub(super) from: u64,
    /// One past the last.
    pub(super) to: u64,
    /// Whether only the file's hash lacks it.
    pub(super) again: bool,
    /// The last chunk of its part that is delivered after it, one after the other.
    pub(super) last: u32,
}

impl Download {
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

    pub(super) fn following(&self, chunk: ChunkId) -> Option<ChunkId> {
        self.existing(ChunkId {
            index: chunk.index + 1,
            ..chunk
        })
    }

    /// Place of a part in its file; the sizes of those before it are known once any of its bytes are there.
    pub(super) fn part_start(&self, part: u32) -> u64 {
        let file = self.parts[part as usize].file;
        let before = self.parts[..part as usize].iter().rev();
        before
            .take_while(|part| part.file == file)
            .filter_map(|part| part.size)
            .sum()
    }

    /// The chunk with byte `at` of a file, and the chunk's place; `None` beyond the file's end.
    fn locate(&self, file: usize, at: u64) -> Option<(ChunkId, u64)> {
        let mut part_start = 0;
        for (number, part) in (0_u32..).zip(&self.parts) {
            if part.file != file {
                continue;
            }
            if part.size.is_none_or(|size| at < part_start + size) {
                // Chunks are numbered by u32: a part beyond 8 PiB is refused by the header reader long before.
                let index = ((at - part_start) / u64::from(self.chunk_size)) as u32;
                let chunk = ChunkId {
                    part: number,
                    index,
                };
                return Some((chunk, part_start + part.start(index)));
            }
            part_start += part.size?;
        }
        None
    }

    /// The turns to come, in order: the next `count` of them.
    pub(super) fn turns(&self, count: usize) -> Vec<Turn> {
        let mut turns = Vec::new();
        for run in &self.route {
            let mut from = run.from;
            while turns.len() < count
                && from < run.to
                && let Some((chunk, start)) = self.locate(run.file, from)
            {
                let part = &self.parts[chunk.part as usize];
                let to = run.to.min(start + u64::from(part.length(chunk.index)));
                let part_start = start - part.start(chunk.index);
                let last = (run.to - 1 - part_start) / u64::from(self.chunk_size);
                turns.push(Turn {
                    chunk,
                    file: run.file,
                    start,
                    from,
                    to,
                    again: run.again,
                    // A file's end, where it is not known, is far beyond any chunk.
                    last: last.min(u64::from(u32::MAX)) as u32,
                });
                from = to;
            }
        }
        turns
    }

    /// Gives the tensors and the file's hash what this turn is for.
    pub(super) fn deliver_turn<E>(
        &mut self,
        bytes: &[u8],
        tensor: impl FnMut(&str, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(&turn) = self.turns(1).first() else {
            return Ok(());
        };
        // A chunk's length is a u32.
        let within = (turn.from - turn.start) as usize..(turn.to - turn.start) as usize;
        let (Some(bytes), Some(&held)) = (bytes.get(within), self.ready.get(&turn.chunk)) else {
            return Ok(());
        };
        let hashed = self.is_hashed(turn.file);
        let file = &mut self.files[turn.file];
        if hashed && turn.from == file.delivered.hashed {
            file.hash.update(bytes);
            file.delivered.hashed = turn.to;
        }
        if !turn.again {
            share_out(&self.headers[turn.file], turn.from, bytes, tensor)?;
            file.delivered.add(turn.from, turn.to);
        }
        if let Some(run) = self.route.first_mut() {
            run.from = turn.to;
        }
        if !self.needs_again(&turn) {
            self.ready.remove(&turn.chunk);
            self.let_go(held);
        }
        self.go_on();
        Ok(())
    }

    /// Whether a chunk that was delivered is to be kept: for another run that begins or ends within it, or because its next
    /// turn comes soon.
    fn needs_again(&self, turn: &Turn) -> bool {
        let end =
            turn.start + u64::from(self.parts[turn.chunk.part as usize].length(turn.chunk.index));
        let window = self.limits.window as u64 * u64::from(self.chunk_size);
        let mut before = 0_u64;
        self.route.iter().any(|run| {
            let from = run.from.max(turn.start);
            let within = run.file == turn.file && from < run.to.min(end);
            let soon = before.saturating_add(from.saturating_sub(run.from)) < window;
            before = before.saturating_add(run.to - run.from);
            within && (!run.again || soon)
        })
    }

    /// Whether a file is hashed as it passes.
    pub(super) fn is_hashed(&self, file: usize) -> bool {
        let file = &self.files[file];
        file.expected.is_some() && file.sha256.is_none()
    }

    /// Has the model's bytes come in the order in which it needs them, from now on and as far as that can be: something waits
    /// that can be computed with them.
    pub fn hurry(&mut self) {
        if !self.hurried {
            self.hurried = true;
            self.find_route();
        }
    }

    /// Finds the way through what is still to be delivered.
    pub(super) fn find_route(&mut self) {
        if !matches!(self.phase, Phase::Tensors) {
            return;
        }
        let hashed: Vec<bool> = (0..self.files.len())
            .map(|file| self.is_hashed(file))
            .collect();
        let delivered: Vec<_> = self
            .files
            .iter()
            .map(|file| file.delivered.clone())
            .collect();
        let order = self
            .order_of_need(&hashed)
            .unwrap_or_else(|| route::in_file_order(self.files.len()));
        self.route = route::route(&order, &delivered, &hashed);
        self.go_on();
    }

    /// The order of need, where it is wanted and can be kept to: servers must give ranges, and what is delivered before the
    /// hash has come to it must be in the store.
    fn order_of_need(&self, hashed: &[bool]) -> Option<Vec<Run>> {
        let in_reach = |part: &super::Part| part.size.is_some() && part.ranges != Some(false);
        if !self.hurried
            || !self.parts.iter().all(in_reach)
            || (self.storing.is_off() && hashed.contains(&true))
        {
            return None;
        }
        let runs = route::in_order_of_need(&self.headers, hashed);
        (runs.len() <= MAX_RUNS).then_some(runs)
    }

    /// Leaves what has been delivered behind, and closes the files that end with it.
    pub(super) fn go_on(&mut self) {
        while let Some(run) = self.route.first() {
            let file = run.file;
            if run.from < run.to && self.locate(file, run.from).is_some() {
                return;
            }
            self.route.remove(0);
            if !self.route.iter().any(|run| run.file == file)
                && let Err(error) = self.finish_file(file)
            {
                return self.refuse_content(error);
            }
        }
        self.phase = Phase::Settling;
    }

    fn finish_file(&mut self, number: usize) -> Result<(), Error> {
        let expected = self.headers[number].file_size();
        let file = &mut self.files[number];
        if file.delivered.end() < expected {
            let sizes = self
                .parts
                .iter()
                .filter(|part| part.file == number)
                .filter_map(|part| part.size);
            return Err(Error::Truncated {
                file: file.name.clone(),
                expected,
                actual: sizes.sum(),
            });
        }
        let (Some(expected), None) = (file.expected, file.sha256) else {
            return Ok(());
        };
        let actual = Digest(file.hash.finalize_reset().into());
        if actual != expected {
            return Err(Error::Integrity {
                file: file.name.clone(),
                expected: expected.to_string(),
                actual: actual.to_string(),
            });
        }
        file.sha256 = Some(actual);
        Ok(())
    }
}
