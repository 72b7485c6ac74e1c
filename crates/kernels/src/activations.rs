//! The right-hand side of a product: rows of floats, and the quantized forms made of them.

/// `m` rows of `k` activations, quantized when a kernel first needs them and kept until they change.
#[derive(Debug, Default)]
pub struct Activations {
    values: Vec<f32>,
    rows: usize,
    cols: usize,
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
        self.values.capacity() * size_of::<f32>()
    }
}
