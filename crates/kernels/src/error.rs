//! What can be wrong with the weights a kernel is given.

use crate::Format;

/// A matrix that cannot be packed or dequantized, and why.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Rows must consist of whole blocks.
    #[error(
        "a row of {cols} values cannot be {format}: its blocks hold {} values, and rows are whole blocks; \
         the file is damaged or uses a different type",
        .format.block_len()
    )]
    PartialBlock {
        /// The format asked for.
        format: Format,
        /// Values in a row.
        cols: usize,
    },
    /// A matrix without rows or columns.
    #[error("a {format} matrix of {rows} × {cols} has no values; the file is damaged")]
    Empty {
        /// The format asked for.
        format: Format,
        /// Rows asked for.
        rows: usize,
        /// Columns asked for.
        cols: usize,
    },
    /// The matrix does not fit this machine's address space.
    #[error("a {format} matrix of {rows} × {cols} is larger than this machine can address")]
    TooLarge {
        /// The format asked for.
        format: Format,
        /// Rows asked for.
        rows: usize,
        /// Columns asked for.
        cols: usize,
    },
    /// More bytes were written than the matrix has.
    #[error("{excess} bytes more than the {expected} bytes of a {rows} × {cols} {format} matrix")]
    TooManyBytes {
        /// The matrix's format.
        format: Format,
        /// The matrix's rows.
        rows: usize,
        /// The matrix's columns.
        cols: usize,
        /// Bytes of the whole matrix.
        expected: usize,
        /// Bytes beyond it.
        excess: usize,
    },
    /// The matrix was finished before all its bytes had arrived.
    #[error("{missing} of the {expected} bytes of a {rows} × {cols} {format} matrix are missing")]
    MissingBytes {
        /// The matrix's format.
        format: Format,
        /// The matrix's rows.
        rows: usize,
        /// The matrix's columns.
        cols: usize,
        /// Bytes of the whole matrix.
        expected: usize,
        /// Bytes that have not arrived.
        missing: usize,
    },
    /// A scale, minimum or float weight is infinite or not a number.
    #[error(
        "row {row}, block {block} of a {format} matrix has the value {value} where a finite number is needed; \
         the file is damaged"
    )]
    NotFinite {
        /// The matrix's format.
        format: Format,
        /// The row, counted from 0.
        row: usize,
        /// The block in the row, counted from 0 (for float formats: the column).
        block: usize,
        /// The value found.
        value: f32,
    },
    /// The one scale of a whole matrix is infinite or not a number.
    #[error(
        "the scale of a {format} matrix is {value} where a finite number is needed; the file is damaged"
    )]
    ScaleNotFinite {
        /// The matrix's format.
        format: Format,
        /// The value found.
        value: f32,
    },
    /// Two lengths that have to agree do not.
    #[error("{what}: {got} given, {expected} needed")]
    Length {
        /// What was measured, and in which unit.
        what: &'static str,
        /// What was needed.
        expected: usize,
        /// What was given.
        got: usize,
    },
    /// A dimension that the key–value cache and attention can't work with.
    #[error(
        "a {what} of {value} is not supported: it must be a positive multiple of {multiple}, at most {limit}"
    )]
    KvLayout {
        /// Which dimension.
        what: &'static str,
        /// Its value.
        value: usize,
        /// What it must be a multiple of.
        multiple: usize,
        /// The largest supported value.
        limit: usize,
    },
    /// Memory could not be allocated.
    #[error(
        "{bytes} bytes could not be allocated; choose a smaller model or context, or close other programs"
    )]
    OutOfMemory {
        /// How many bytes were asked for.
        bytes: usize,
    },
}
