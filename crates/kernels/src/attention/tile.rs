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

/// `sums[p][r][j] += Σₖ factors[k][r] · panels[p][k][j]` for the first `rows` rows, one k after the other.
///
/// Panels are `[k][LANES]`, one or two of them. Factors beyond their columns are left out.
#[inline(always)]
pub(super) fn multiply_add(
    rows: usize,
    factors: &[[f32; TILE]],
    panels: &[&[f32]],
    sums: &mut Sums,
) {
    match (rows, panels) {
        (1, &[a, b]) => multiply_add_two::<1>(factors, a, b, sums),
        (2, &[a, b]) => multiply_add_two::<2>(factors, a, b, sums),
        (3, &[a, b]) => multiply_add_two::<3>(factors, a, b, sums),
        (_, panels) => {
            for (panel, sums) in panels.iter().zip(sums) {
                let mut local = *sums;
                for (factors, column) in factors.iter().zip(panel.as_chunks::<LANES>().0) {
                    multiply_add_column(factors, column, &mut local);
                }
                *sums = local;
            }
        }
    }
}

// Out of line in WebAssembly for the sake of register allocation, as in `kv::encode`.
#[cfg_attr(target_arch = "wasm32", inline(never))]
#[cfg_attr(not(target_arch = "wasm32"), inline(always))]
fn multiply_add_two<const R: usize>(
    factors: &[[f32; TILE]],
    a: &[f32],
    b: &[f32],
    sums: &mut Sums,
) {
    let mut local: [[[f32; LANES]; R]; PANELS] =
        std::array::from_fn(|p| std::array::from_fn(|r| sums[p][r]));
    let columns = a
        .as_chunks::<LANES>()
        .0
        .iter()
        .zip(b.as_chunks::<LANES>().0);
    for (factors, (a, b)) in factors.iter().zip(columns) {
        multiply_add_column(factors, a, &mut local[0]);
        multiply_add_column(factors, b, &mut local[1]);
    }
    for (sums, local) in sums.iter_mut().zip(&local) {
        sums[..R].copy_from_slice(local);
    }
}

#[inline(always)]
fn multiply_add_column<const R: usize>(
    factors: &[f32; TILE],
    column: &[f32; LANES],
    sums: &mut [[f32; LANES]; R],
) {
    for (sums, factor) in sums.iter_mut().zip(factors) {
        for (sum, value) in sums.iter_mut().zip(column) {
            *sum += factor * value;
        }
    }
}
