//! The inner loop of both products of attention: a few rows times one or two panels.

use crate::kv::LANES;

/// Rows multiplied with a panel at a time. With four, one panel's sums fill eight 128-bit vectors; with fewer, two
/// panels are taken at once, so that there are enough independent sums to hide the latency of an addition. Either
/// way they leave room in 16 registers for a factor and for what is loaded of the panels.
pub(super) const TILE: usize = 4;

/// Panels handled together.
pub(super) const PANELS: usize = 2;

/// Sums of a tile: `[panel][row][lane]`.
pub(super) type Sums = [[[f32; LANES]; TILE]; PANELS];

/// The panels in `data`, `stride` floats apart, of `steps` columns each. Where there is only one, it stands for both.
#[inline(always)]
pub(super) fn panels(data: &[f32], stride: usize, steps: usize) -> [&[f32]; PANELS] {
    let panel = |start: usize| &data[start..][..steps * LANES];
    [
        panel(0),
        panel(if data.len() > stride { stride } else { 0 }),
    ]
}

/// `sums[p][r][j] += Σₖ rows[r][k] · panels[p][k][j]` for the first `count` rows, one k after the other.
///
/// Panels are `[k][LANES]`, one or two of them; rows are as long as they have k.
#[inline(always)]
pub(super) fn multiply_add(count: usize, rows: [&[f32]; TILE], panels: &[&[f32]], sums: &mut Sums) {
    match (count, panels) {
        (1, &[a, b]) => multiply_add_rows::<1, 2>(rows, [a, b], sums),
        (2, &[a, b]) => multiply_add_rows::<2, 2>(rows, [a, b], sums),
        (3, &[a, b]) => multiply_add_rows::<3, 2>(rows, [a, b], sums),
        (_, panels) => {
            for (&panel, sums) in panels.iter().zip(sums.as_chunks_mut::<1>().0) {
                multiply_add_rows::<TILE, 1>(rows, [panel], sums);
            }
        }
    }
}

#[inline(always)]
fn multiply_add_rows<const R: usize, const P: usize>(
    rows: [&[f32]; TILE],
    panels: [&[f32]; P],
    sums: &mut [[[f32; LANES]; TILE]],
) {
    let panels = panels.map(|panel| panel.as_chunks::<LANES>().0);
    let steps = panels[0].len();
    let panels = panels.map(|panel| &panel[..steps]);
    let rows: [&[f32]; R] = std::array::from_fn(|r| &rows[r][..steps]);
    let mut local: [[[f32; LANES]; R]; P] =
        std::array::from_fn(|p| std::array::from_fn(|r| sums[p][r]));
    for k in 0..steps {
        for (r, row) in rows.iter().enumerate() {
            let factor = row[k];
            for (panel, sums) in panels.iter().zip(&mut local) {
                for (sum, value) in sums[r].iter_mut().zip(&panel[k]) {
                    *sum += factor * value;
                }
            }
        }
    }
    for (sums, local) in sums.iter_mut().zip(&local) {
        sums[..R].copy_from_slice(local);
    }
}
