//! Where delivery stands, and what is checked when it leaves a file.

use sha2::Digest as _;

use super::{Download, Phase};
use crate::record::ChunkId;
use crate::{Digest, Error};

impl Download {
    /// The chunk at or after `chunk` that exists, as far as sizes are known.
    pub(super) fn existing(&self, mut chunk: ChunkId) -> Option<ChunkId> {
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

    /// Goes on to `chunk`, or to where the next part begins, and closes the files that end before it.
    pub(super) fn move_cursor(&mut self, chunk: ChunkId) {
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
