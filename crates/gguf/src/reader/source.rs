//! Bytes on their way in.

use super::at_most;
use crate::Error;

/// Most bytes that are ever read as one fixed field: the four dimensions of a tensor.
pub(super) const MAX_FIELD_BYTES: usize = 32;

/// The start of a field whose other bytes have not arrived yet.
#[derive(Debug, Default)]
pub(super) struct Stash {
    bytes: [u8; MAX_FIELD_BYTES],
    len: usize,
}

/// What is left of the piece at hand, after the bytes stashed from earlier pieces.
pub(super) struct Source<'a> {
    stash: &'a mut Stash,
    piece: &'a [u8],
    position: &'a mut u64,
}

impl<'a> Source<'a> {
    pub(super) fn new(stash: &'a mut Stash, piece: &'a [u8], position: &'a mut u64) -> Self {
        Self {
            stash,
            piece,
            position,
        }
    }

    /// Bytes taken since the start of the file.
    pub(super) fn position(&self) -> u64 {
        *self.position
    }

    /// The next `N` bytes. If they have not all arrived, keeps what there is, and gives them when asked again for
    /// the same number.
    pub(super) fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let mut field = [0; N];
        self.take_into(&mut field).then_some(field)
    }

    /// As [`Self::take`], for a length that is known only at run time, at most [`MAX_FIELD_BYTES`].
    pub(super) fn take_into(&mut self, field: &mut [u8]) -> bool {
        let stashed = self.stash.len;
        let missing = field.len() - stashed;
        let arrived = self.run(missing);
        self.stash.bytes[stashed..stashed + arrived.len()].copy_from_slice(arrived);
        if arrived.len() < missing {
            self.stash.len += arrived.len();
            return false;
        }
        field.copy_from_slice(&self.stash.bytes[..field.len()]);
        self.stash.len = 0;
        true
    }

    /// As many whole elements of `size` bytes as have arrived, at most `count`. Gives none while an element is
    /// incomplete.
    pub(super) fn whole_elements(&mut self, size: usize, count: u64) -> &'a [u8] {
        if self.stash.len > 0 {
            return &[];
        }
        let arrived = self.piece.len() / size;
        let wanted = usize::try_from(count).unwrap_or(usize::MAX);
        self.run(arrived.min(wanted) * size)
    }

    /// Up to `len` bytes, as many as have arrived.
    pub(super) fn run(&mut self, len: usize) -> &'a [u8] {
        let (run, rest) = self.piece.split_at(len.min(self.piece.len()));
        self.piece = rest;
        *self.position += run.len() as u64;
        run
    }
}

/// A text: its length in bytes, then the bytes.
#[derive(Debug, Default)]
pub(super) struct StringReader {
    remaining: Option<u64>,
    bytes: Vec<u8>,
}

impl StringReader {
    /// The text once it is complete. `what` names its length in the error for one beyond `limit`.
    pub(super) fn read(
        &mut self,
        source: &mut Source<'_>,
        limit: u64,
        what: impl FnOnce() -> String,
    ) -> Result<Option<Vec<u8>>, Error> {
        let (run, complete) = read_text(source, &mut self.remaining, limit, what)?;
        self.bytes.extend_from_slice(run);
        Ok(complete.then(|| std::mem::take(&mut self.bytes)))
    }
}

/// The bytes of a text that have arrived, and whether they complete it. `remaining` keeps the place between pieces.
pub(super) fn read_text<'a>(
    source: &mut Source<'a>,
    remaining: &mut Option<u64>,
    limit: u64,
    what: impl FnOnce() -> String,
) -> Result<(&'a [u8], bool), Error> {
    let left = match *remaining {
        Some(left) => left,
        None => {
            let Some(length) = source.take().map(u64::from_le_bytes) else {
                return Ok((&[], false));
            };
            at_most(what, length, limit)?;
            length
        }
    };
    let run = source.run(usize::try_from(left).unwrap_or(usize::MAX));
    let left = left - run.len() as u64;
    *remaining = Some(left).filter(|&left| left > 0);
    Ok((run, left == 0))
}
