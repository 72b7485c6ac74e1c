//! The right-hand side of a product: rows of floats, and the forms prepared from them.

use std::any::TypeId;

use zerocopy::{FromBytes, IntoBytes};

use crate::isa::{Isa, Simd, Task};
use crate::line::Line;
use crate::pool::{Pool, Serial, for_each_chunk};
use crate::prepared::Prepare;

/// `m` rows of `k` activations, quantized when a kernel first needs them and kept until they change.
///
/// A form is prepared at most once for all the matrices that read it, and its memory is kept between calls.
#[derive(Debug, Default)]
pub struct Activations {
    values: Vec<f32>,
    rows: usize,
    cols: usize,
    forms: Vec<Form>,
}

/// The values prepared for one kind of kernel.
#[derive(Debug)]
struct Form {
    /// The type of its blocks.
    kind: TypeId,
    /// Whether it was made from the current values.
    is_current: bool,
    /// Blocks by tile, then by position in the row, and unused space.
    lines: Vec<Line>,
    /// How many bytes are blocks.
    bytes: usize,
}

impl Activations {
    /// No rows yet; memory grows with use and is kept.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes room for `[rows, cols]` values and hands them out to be filled (contents unspecified); whatever was
    /// prepared from earlier values is forgotten.
    pub fn reset(&mut self, rows: usize, cols: usize) -> &mut [f32] {
        self.rows = rows;
        self.cols = cols;
        self.values.resize(rows * cols, 0.0);
        self.values_mut()
    }

    /// The values, to be changed; whatever was prepared from them is forgotten.
    pub fn values_mut(&mut self) -> &mut [f32] {
        for form in &mut self.forms {
            form.is_current = false;
        }
        &mut self.values
    }

    /// The values, `[rows, cols]`.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Rows (tokens).
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Values in a row.
    #[must_use]
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Bytes of memory held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let forms = self
            .forms
            .iter()
            .map(|form| form.lines.capacity() * size_of::<Line>());
        self.values.capacity() * size_of::<f32>() + forms.sum::<usize>()
    }

    /// Sees to it that [`Self::prepared`] has blocks `B`, each of `tile` rows.
    pub(crate) fn prepare<B: Prepare>(&mut self, isa: Isa, pool: &dyn Pool, tile: usize) {
        let kind = TypeId::of::<B>();
        let index = self
            .forms
            .iter()
            .position(|form| form.kind == kind)
            .unwrap_or_else(|| {
                self.forms.push(Form {
                    kind,
                    is_current: false,
                    lines: Vec::new(),
                    bytes: 0,
                });
                self.forms.len() - 1
            });
        let form = &mut self.forms[index];
        if form.is_current {
            return;
        }
        let per_tile = self.cols.div_ceil(B::LEN);
        form.bytes = self.rows.div_ceil(tile) * per_tile * size_of::<B>();
        let lines = form.bytes.div_ceil(size_of::<Line>());
        if form.lines.len() < lines {
            form.lines.resize(lines, Line([0; 64]));
        }
        form.is_current = true;
        let blocks = <[B]>::mut_from_bytes(&mut form.lines.as_mut_bytes()[..form.bytes])
            .expect("blocks have no alignment and fill the bytes");
        let (values, cols) = (&self.values, self.cols);
        // One tile is not worth waking other threads.
        let pool = if self.rows <= tile { &Serial } else { pool };
        for_each_chunk(pool, blocks, per_tile, &|i, blocks| {
            let rows = &values[i * tile * cols..];
            let rows = &rows[..rows.len().min(tile * cols)];
            isa.run(PrepareTile { rows, cols, blocks });
        });
    }

    /// The blocks `B`, by tile of rows, then by position in the row.
    ///
    /// # Panics
    /// If [`Self::prepare`] was not called since the last reset.
    pub(crate) fn prepared<B: Prepare>(&self) -> &[B] {
        let kind = TypeId::of::<B>();
        let form = self
            .forms
            .iter()
            .find(|form| form.kind == kind && form.is_current);
        let form = form.expect("prepared before the kernel runs");
        <[B]>::ref_from_bytes(&form.lines.as_bytes()[..form.bytes])
            .expect("blocks have no alignment and fill the bytes")
    }
}

/// Prepares a tile of rows, or what is left of one.
struct PrepareTile<'a, B> {
    rows: &'a [f32],
    cols: usize,
    blocks: &'a mut [B],
}

impl<B: Prepare> Task for PrepareTile<'_, B> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for (col, row) in self.rows.chunks_exact(self.cols).enumerate() {
            for (values, block) in row.chunks(B::LEN).zip(self.blocks.iter_mut()) {
                block.set(s, col, values);
            }
        }
    }
}
