//! Weight matrices in the layout the kernels want.

use zerocopy::FromBytes;

use crate::layout::{Codec, GROUP, Layout, with_codec};
use crate::{Format, Packer, dequantize};

/// An immutable `[rows, cols]` matrix of packed weights; [`crate::Packer`] makes it.
#[derive(Debug)]
pub struct Matrix {
    format: Format,
    rows: usize,
    cols: usize,
    /// Blocks of four rows: by group of rows, then by columns. Missing rows of the last group are zero.
    packed: Vec<u8>,
}

impl Matrix {
    /// Rows are packed together in groups of this many; [`crate::matmul_rows`] takes whole groups.
    pub const ROW_GROUP: usize = GROUP;

    /// `packed` has to consist of the blocks of the format's [`Layout`].
    pub(crate) fn new(format: Format, rows: usize, cols: usize, packed: Vec<u8>) -> Self {
        assert_eq!(
            packed.len() as u64,
            Packer::packed_bytes(format, rows, cols)
        );
        Self {
            format,
            rows,
            cols,
            packed,
        }
    }

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
        self.packed.len()
    }

    /// Keeps the first `rows` rows, and gives the others as a matrix of their own.
    ///
    /// # Panics
    /// If there are not so many rows, or they are not whole groups.
    #[must_use]
    pub fn split_off(&mut self, rows: usize) -> Self {
        assert!(
            rows <= self.rows && rows.is_multiple_of(GROUP),
            "{rows} of {} rows, in groups of {GROUP}",
            self.rows
        );
        let kept = Packer::packed_bytes(self.format, rows, self.cols) as usize;
        let packed = self.packed.split_off(kept);
        self.packed.shrink_to_fit();
        let rest = Self {
            format: self.format,
            rows: self.rows - rows,
            cols: self.cols,
            packed,
        };
        self.rows = rows;
        rest
    }

    /// The packed blocks, by group of rows, then by columns.
    ///
    /// # Panics
    /// If they are not blocks of `L`.
    pub(crate) fn blocks<L: Layout>(&self) -> &[L::Block] {
        <[L::Block]>::ref_from_bytes(&self.packed).expect("a whole number of blocks")
    }

    /// Blocks of a group of rows.
    pub(crate) fn blocks_per_group<L: Layout>(&self) -> usize {
        self.cols.div_ceil(L::LEN)
    }

    /// Row `row` as floats, equal to [`dequantize`] of the file's blocks.
    ///
    /// # Panics
    /// If there is no such row or `out` is not `cols` long.
    pub fn dequantize_row(&self, row: usize, out: &mut [f32]) {
        assert!(
            row < self.rows,
            "row {row} of a matrix of {} rows",
            self.rows
        );
        assert_eq!(
            out.len(),
            self.cols,
            "a row has as many values as the matrix has columns"
        );
        with_codec!(self.format, C => self.dequantize_row_of::<C>(row, out));
    }

    /// [`Self::dequantize_row`]: unpacks block by block into the file's form.
    fn dequantize_row_of<C: Codec>(&self, row: usize, out: &mut [f32]) {
        let per_group = self.blocks_per_group::<C::Layout>();
        let blocks = &self.blocks::<C::Layout>()[row / GROUP * per_group..][..per_group];
        for (block, out) in blocks.iter().zip(out.chunks_mut(C::Layout::LEN)) {
            let blocks = out.len() / C::FORMAT.block_len() * C::FORMAT.block_bytes();
            let bytes = blocks + C::FORMAT.tail_bytes();
            let mut file = [0; MAX_FILE_BLOCK];
            let file = &mut file[..bytes];
            C::unpack_row(block, row % GROUP, file);
            dequantize(C::FORMAT, file, out).expect("whole blocks");
        }
    }
}

/// Bytes of the largest block of the file.
const MAX_FILE_BLOCK: usize = Format::Q6_K.block_bytes();
