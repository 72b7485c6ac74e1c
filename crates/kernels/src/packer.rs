//! File bytes to packed weights, as they arrive.

use std::marker::PhantomData;

use zerocopy::FromBytes;

use crate::dequantize::i2_s_scale;
use crate::finite::first_non_finite;
use crate::isa::{Isa, Simd, Task};
use crate::layout::{BlockOf, Codec, GROUP, Layout, set_scale, with_codec, with_layout};
use crate::{Error, Format, Matrix};

/// Takes the bytes of one matrix in file order, in pieces of any size, and packs every four rows as soon as they
/// are there. Beside the packed matrix it holds at most four rows.
#[derive(Debug)]
pub struct Packer {
    format: Format,
    rows: usize,
    cols: usize,
    row_bytes: usize,
    /// Bytes of all rows; those of the tail follow.
    expected: usize,
    /// Bytes of rows that have been packed.
    received: usize,
    /// Bytes of a packed group of rows.
    group_bytes: usize,
    /// The first rows of a group that has not arrived completely.
    staged: Vec<u8>,
    /// What has arrived of the [tail](Format::tail_bytes).
    tail: Vec<u8>,
    packed: Vec<u8>,
}

impl Packer {
    /// A packer for `[rows, cols]` weights of `format`.
    ///
    /// # Errors
    /// [`Error::PartialBlock`], [`Error::Empty`], [`Error::TooLarge`] or [`Error::OutOfMemory`].
    pub fn new(format: Format, rows: usize, cols: usize) -> Result<Self, Error> {
        let row_bytes = format.row_bytes(cols)?;
        if rows == 0 || cols == 0 {
            return Err(Error::Empty { format, rows, cols });
        }
        let too_large = Error::TooLarge { format, rows, cols };
        let expected = row_bytes.checked_mul(rows).ok_or(too_large.clone())?;
        // A group is staged as a whole, however few rows there are.
        row_bytes.checked_mul(GROUP).ok_or(too_large.clone())?;
        expected
            .checked_add(format.tail_bytes())
            .ok_or(too_large.clone())?;
        let packed_bytes =
            usize::try_from(Self::packed_bytes(format, rows, cols)).map_err(|_| too_large)?;
        let mut packed = Vec::new();
        packed
            .try_reserve_exact(packed_bytes)
            .map_err(|_| Error::OutOfMemory {
                bytes: packed_bytes,
            })?;
        Ok(Self {
            format,
            rows,
            cols,
            row_bytes,
            expected,
            received: 0,
            group_bytes: packed_bytes / rows.div_ceil(GROUP),
            staged: Vec::new(),
            tail: Vec::new(),
            packed,
        })
    }

    /// Bytes that a `[rows, cols]` matrix of `format` takes when it is packed: those of the file, rounded up to whole
    /// groups of four rows and, where blocks are re-encoded, a little more.
    #[must_use]
    pub fn packed_bytes(format: Format, rows: usize, cols: usize) -> u64 {
        let group = with_layout!(format, L => {
            (cols.div_ceil(L::LEN) as u64).saturating_mul(size_of::<<L as Layout>::Block>() as u64)
        });
        group.saturating_mul(rows.div_ceil(GROUP) as u64)
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`Error::TooManyBytes`] if they are more than the matrix has left; [`Error::NotFinite`], after which the
    /// matrix cannot be completed.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if bytes.len() > self.remaining() {
            return Err(Error::TooManyBytes {
                format: self.format,
                rows: self.rows,
                cols: self.cols,
                expected: self.total(),
                excess: bytes.len() - self.remaining(),
            });
        }
        let (mut bytes, tail) = bytes.split_at(bytes.len().min(self.remaining_of_rows()));
        self.tail.extend_from_slice(tail);
        let group = GROUP * self.row_bytes;
        while !bytes.is_empty() {
            if self.staged.is_empty() && bytes.len() >= group {
                let (rows, rest) = bytes.split_at(group);
                self.pack(rows)?;
                bytes = rest;
                continue;
            }
            let taken = bytes.len().min(group - self.staged.len());
            self.staged.extend_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            if self.staged.len() == group {
                let rows = std::mem::take(&mut self.staged);
                self.pack(&rows)?;
                self.staged = rows;
                self.staged.clear();
            }
        }
        Ok(())
    }

    /// Bytes still to come.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.remaining_of_rows() + self.format.tail_bytes() - self.tail.len()
    }

    /// Bytes of rows still to come.
    fn remaining_of_rows(&self) -> usize {
        self.expected - self.received - self.staged.len()
    }

    /// Bytes of the whole matrix in the file.
    fn total(&self) -> usize {
        self.expected + self.format.tail_bytes()
    }

    /// The packed matrix.
    ///
    /// # Errors
    /// [`Error::MissingBytes`] if [`Self::remaining`] is not 0; [`Error::NotFinite`], [`Error::ScaleNotFinite`].
    pub fn finish(mut self) -> Result<Matrix, Error> {
        if self.remaining() != 0 {
            return Err(Error::MissingBytes {
                format: self.format,
                rows: self.rows,
                cols: self.cols,
                expected: self.total(),
                missing: self.remaining(),
            });
        }
        if !self.staged.is_empty() {
            let mut rows = std::mem::take(&mut self.staged);
            self.received += rows.len();
            rows.resize(GROUP * self.row_bytes, 0);
            self.pack(&rows)?;
        }
        if self.format == Format::I2_S {
            let scale = i2_s_scale(&self.tail);
            if !scale.is_finite() {
                return Err(Error::ScaleNotFinite {
                    format: self.format,
                    value: scale,
                });
            }
            set_scale(&mut self.packed, scale);
        }
        Ok(Matrix::new(self.format, self.rows, self.cols, self.packed))
    }

    /// Packs the four rows of the file that come next.
    fn pack(&mut self, rows: &[u8]) -> Result<(), Error> {
        let first_row = self.packed.len() / self.group_bytes * GROUP;
        for (r, row) in rows.chunks_exact(self.row_bytes).enumerate() {
            if let Some((block, value)) = first_non_finite(self.format, row) {
                let row = first_row + r;
                return Err(Error::NotFinite {
                    format: self.format,
                    row,
                    block,
                    value,
                });
            }
        }
        self.received = self.expected.min(self.received + rows.len());
        let at = self.packed.len();
        self.packed.resize(at + self.group_bytes, 0);
        let to = &mut self.packed[at..];
        with_codec!(self.format, C => {
            Isa::best().run(PackGroup::<C> { rows, row_bytes: self.row_bytes, to, codec: PhantomData });
        });
        Ok(())
    }
}

/// Packs four rows of the file into blocks.
struct PackGroup<'a, C> {
    rows: &'a [u8],
    row_bytes: usize,
    to: &'a mut [u8],
    codec: PhantomData<C>,
}

impl<C: Codec> Task for PackGroup<'_, C> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let blocks = <[BlockOf<C>]>::mut_from_bytes(self.to).expect("a whole number of blocks");
        let block_bytes = C::Layout::LEN / C::FORMAT.block_len() * C::FORMAT.block_bytes();
        let rows: [&[u8]; GROUP] =
            std::array::from_fn(|r| &self.rows[r * self.row_bytes..][..self.row_bytes]);
        for (i, block) in blocks.iter_mut().enumerate() {
            let at = i * block_bytes;
            let end = self.row_bytes.min(at + block_bytes);
            C::pack(s, rows.map(|row| &row[at..end]), block);
        }
    }
}
