//! A matrix cut into bands of columns that threads fill in beside each other.

use std::marker::PhantomData;

/// Cuts a matrix, row after row in memory, into bands of `width` columns (the last may be narrower), from the left.
pub(crate) struct Bands<'a> {
    values: *mut f32,
    rows: usize,
    cols: usize,
    width: usize,
    /// The first column of the next band.
    next: usize,
    matrix: PhantomData<&'a mut [f32]>,
}

/// Some columns of all rows of a matrix.
pub(crate) struct Band<'a> {
    values: *mut f32,
    rows: usize,
    cols: usize,
    first: usize,
    width: usize,
    matrix: PhantomData<&'a mut [f32]>,
}

// SAFETY: both own their part of what `Bands::new` borrowed mutably, as a `&mut [f32]` would, which is `Send`.
unsafe impl Send for Bands<'_> {}
// SAFETY: as above.
unsafe impl Send for Band<'_> {}

impl<'a> Bands<'a> {
    /// Of a matrix of rows of `cols` values; `width` is not 0.
    pub(crate) fn new(matrix: &'a mut [f32], cols: usize, width: usize) -> Self {
        debug_assert!(width > 0 && matrix.len().is_multiple_of(cols));
        Self {
            values: matrix.as_mut_ptr(),
            rows: matrix.len() / cols,
            cols,
            width,
            next: 0,
            matrix: PhantomData,
        }
    }
}

impl<'a> Iterator for Bands<'a> {
    type Item = Band<'a>;

    fn next(&mut self) -> Option<Band<'a>> {
        let first = self.next;
        if first >= self.cols {
            return None;
        }
        let width = self.width.min(self.cols - first);
        self.next = first + width;
        Some(Band {
            values: self.values,
            rows: self.rows,
            cols: self.cols,
            first,
            width,
            matrix: PhantomData,
        })
    }
}

impl Band<'_> {
    /// How many rows there are.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// How many columns it has.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Its columns of one row.
    ///
    /// # Panics
    /// If there is no such row.
    pub(crate) fn row(&mut self, row: usize) -> &mut [f32] {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        // SAFETY: the columns lie within the row, which lies within the matrix that `Bands::new` borrowed for longer than
        // this; no other band has a column of this one, and `self` is borrowed as long as the slice lives.
        unsafe {
            let start = self.values.add(row * self.cols + self.first);
            std::slice::from_raw_parts_mut(start, self.width)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn bands_cover_the_matrix_once() {
        let mut matrix = [0.0; 3 * 5];
        let mut widths = Vec::new();
        let bands: Vec<_> = Bands::new(&mut matrix, 5, 2).collect();
        for (number, mut band) in bands.into_iter().enumerate() {
            widths.push(band.width());
            for row in 0..band.rows() {
                for x in band.row(row) {
                    *x += (10 * row + number) as f32;
                }
            }
        }
        assert_eq!(widths, [2, 2, 1]);
        let rows: Vec<_> = (0..3)
            .flat_map(|r| [0, 0, 1, 1, 2].map(|b| (10 * r + b) as f32))
            .collect();
        assert_eq!(matrix[..], rows[..]);
    }
}
