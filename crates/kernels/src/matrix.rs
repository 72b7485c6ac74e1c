//! Weight matrices in the layout the kernels want, made from file bytes as they arrive.

use crate::{Error, Format, dequantize};

/// Takes the bytes of one matrix in file order, in pieces of any size, and packs them.
#[derive(Debug)]
pub struct Packer {
    format: Format,
    rows: usize,
    cols: usize,
    expected: usize,
    data: Vec<u8>,
}

impl Packer {
    /// A packer for `[rows, cols]` weights of `format`.
    ///
    /// # Errors
    /// [`Error::PartialBlock`], [`Error::Empty`] or [`Error::TooLarge`].
    pub fn new(format: Format, rows: usize, cols: usize) -> Result<Self, Error> {
        let row_bytes = format.row_bytes(cols)?;
        if rows == 0 || cols == 0 {
            return Err(Error::Empty { format, rows, cols });
        }
        let expected = row_bytes
            .checked_mul(rows)
            .ok_or(Error::TooLarge { format, rows, cols })?;
        Ok(Self {
            format,
            rows,
            cols,
            expected,
            data: Vec::new(),
        })
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`Error::TooManyBytes`] if they are more than the matrix has left, [`Error::NotFinite`].
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if bytes.len() > self.remaining() {
            return Err(Error::TooManyBytes {
                format: self.format,
                rows: self.rows,
                cols: self.cols,
                expected: self.expected,
                excess: bytes.len() - self.remaining(),
            });
        }
        self.data.extend_from_slice(bytes);
        Ok(())
    }

    /// Bytes still to come.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.expected - self.data.len()
    }

    /// The packed matrix.
    ///
    /// # Errors
    /// [`Error::MissingBytes`] if [`Self::remaining`] is not 0.
    pub fn finish(self) -> Result<Matrix, Error> {
        if self.remaining() != 0 {
            return Err(Error::MissingBytes {
                format: self.format,
                rows: self.rows,
                cols: self.cols,
                expected: self.expected,
                missing: self.remaining(),
            });
        }
        Ok(Matrix {
            format: self.format,
            rows: self.rows,
            cols: self.cols,
            data: self.data,
        })
    }
}

/// An immutable `[rows, cols]` matrix of packed weights.
#[derive(Debug)]
pub struct Matrix {
    format: Format,
    rows: usize,
    cols: usize,
    data: Vec<u8>,
}

impl Matrix {
    /// The format of the file it came from.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// Rows (outputs).
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns (inputs).
    #[must_use]
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Bytes of the packed form.
    #[must_use]
    pub fn packed_bytes(&self) -> usize {
        self.data.len()
    }

    /// Row `row` as floats, equal to [`dequantize`] of the file's blocks.
    ///
    /// # Panics
    /// If there is no such row or `out` is not `cols` long.
    pub fn dequantize_row(&self, row: usize, out: &mut [f32]) {
        let bytes = self.data.len() / self.rows;
        dequantize(self.format, &self.data[row * bytes..][..bytes], out)
            .expect("out has cols values");
    }
}
