//! The inner loop of both products of attention: a few rows times one panel.

use crate::kv::LANES;

/// Rows multiplied with a panel at a time: eight 128-bit accumulators, with room for the panel and a factor in 16
/// registers.
pub(super) const TILE: usize = 4;

/// `sums[r][j] += Σₖ rows[r][k] · panel[k][j]` for the first `count` rows, one k after the other.
///
/// `panel` is `[k][LANES]`; rows are as long as it has k.
#[inline]
pub(super) fn multiply_add(
    count: usize,
    rows: [&[f32]; TILE],
    panel: &[f32],
    sums: &mut [[f32; LANES]; TILE],
) {
    match count {
        1 => multiply_add_rows::<1>(rows, panel, sums),
        2 => multiply_add_rows::<2>(rows, panel, sums),
        3 => multiply_add_rows::<3>(rows, panel, sums),
        _ => multiply_add_rows::<TILE>(rows, panel, sums),
    }
}

fn multiply_add_rows<const R: usize>(
    rows: [&[f32]; TILE],
    panel: &[f32],
    sums: &mut [[f32; LANES]; TILE],
) {
    let (panel, _) = panel.as_chunks::<LANES>();
    let rows: [&[f32]; R] = std::array::from_fn(|r| &rows[r][..panel.len()]);
    let mut local: [[f32; LANES]; R] = std::array::from_fn(|r| sums[r]);
    for (k, column) in panel.iter().enumerate() {
        for (sums, row) in local.iter_mut().zip(&rows) {
            let factor = row[k];
            for (sum, value) in sums.iter_mut().zip(column) {
                *sum += factor * value;
            }
        }
    }
    sums[..R].copy_from_slice(&local);
}
