//! `out = x · wᵀ` for packed weights and quantized activations.

use std::marker::PhantomData;
use std::ops::Range;

use crate::bands::Bands;
use crate::decode::MatVec;
use crate::isa::{Isa, Simd, Task};
use crate::layout::{GROUP, Layout, with_layout};
use crate::pool::for_each_item;
use crate::prefill::{MatMul, PANEL_ROWS};
use crate::prepared::TILE;
use crate::products::{Product, each_with};
use crate::{Activations, Matrix, Pool, Serial};

/// Parts per thread of a matrix–matrix product: more than one, so that a thread that is slower gets less to do.
const PARTS_PER_THREAD: usize = 4;

/// Multiplies every row of `x` (`[m, w.cols()]`) with every row of `w`: `out[i, r] = Σₖ x[i, k] · w[r, k]`,
/// `out` being `[m, w.rows()]`.
///
/// Float weights are multiplied with the activations as they are, `out[i, r]` being summed in the order of columns.
/// For quantized weights each block of a row of `x` is quantized to signed bytes first (32 values for the simple
/// formats, 256 for the K formats: largest magnitude / 127 is the scale, values are rounded to nearest, ties to
/// even); products within a block are summed exactly, as integers, and blocks are added in the order of columns
/// from 0: the modules of `layout` say how for each format. The result does not depend on the instruction set, the
/// number of threads or the other rows of `x`.
///
/// # Panics
/// If the shapes do not agree.
pub fn matmul(pool: &dyn Pool, w: &Matrix, x: &mut Activations, out: &mut [f32]) {
    matmul_with(Isa::best(), pool, w, x, out);
}

/// [`matmul`] with some consecutive rows of `w` only: `out` is `[m, rows.len()]`. Several matrices that are stored one
/// below the other, as a mixture's experts are, can so be used one at a time.
///
/// # Panics
/// If the shapes do not agree, or `rows` does not begin and end with a multiple of [`Matrix::ROW_GROUP`] or with the
/// matrix.
pub fn matmul_rows(
    pool: &dyn Pool,
    w: &Matrix,
    rows: Range<usize>,
    x: &mut Activations,
    out: &mut [f32],
) {
    matmul_rows_with(Isa::best(), pool, w, rows, x, out);
}

/// [`matmul`] with a certain instruction set.
///
/// # Panics
/// If the shapes do not agree.
pub fn matmul_with(isa: Isa, pool: &dyn Pool, w: &Matrix, x: &mut Activations, out: &mut [f32]) {
    matmul_rows_with(isa, pool, w, 0..w.rows(), x, out);
}

pub(crate) fn matmul_rows_with(
    isa: Isa,
    pool: &dyn Pool,
    w: &Matrix,
    rows: Range<usize>,
    x: &mut Activations,
    out: &mut [f32],
) {
    if x.rows() == 1 {
        return each_with(isa, pool, &mut [Product::of_rows(w, rows, out)], x);
    }
    check_shapes(w, &rows, x, out.len());
    if out.is_empty() {
        return;
    }
    with_layout!(w.format(), L => {
        let per_group = w.blocks_per_group::<L>();
        let groups = rows.start / GROUP..rows.end.div_ceil(GROUP);
        let weights = Weights::<L> {
            blocks: &w.blocks::<L>()[groups.start * per_group..groups.end * per_group],
            per_group,
            rows: rows.len(),
        };
        mat_mul(isa, pool, &weights, x, out);
    });
}

/// Sees to it that `rows` of `w` can be multiplied with `x`, with `len` results.
///
/// # Panics
/// If they cannot.
pub(crate) fn check_shapes(w: &Matrix, rows: &Range<usize>, x: &Activations, len: usize) {
    assert_eq!(
        x.cols(),
        w.cols(),
        "activations must be as long as the rows of the matrix"
    );
    assert!(
        rows.start.is_multiple_of(GROUP)
            && (rows.end.is_multiple_of(GROUP) || rows.end == w.rows())
            && rows.end <= w.rows(),
        "rows {rows:?} of {} are not whole groups of {GROUP}",
        w.rows()
    );
    assert_eq!(len, x.rows() * rows.len(), "the output must be [m, rows]");
}

/// Prepares the one row of `x` for [`mat_vec`] with matrices of the format of `w`.
pub(crate) fn prepare_row(isa: Isa, w: &Matrix, x: &mut Activations) {
    with_layout!(w.format(), L => isa.run(PrepareRow::<L> {
        isa,
        x,
        layout: PhantomData,
    }));
}

/// Some groups of rows of `w`, times the one row of `x`, which has been prepared for it.
pub(crate) fn mat_vec(
    isa: Isa,
    w: &Matrix,
    groups: Range<usize>,
    x: &Activations,
    out: &mut [f32],
) {
    with_layout!(w.format(), L => mat_vec_of::<L>(isa, w, groups, x, out));
}

/// [`mat_vec`] for one layout: never part of another function, so that an engine compiles those only that a model has, and each
/// has the registers to itself.
#[inline(never)]
fn mat_vec_of<L: Layout>(
    isa: Isa,
    w: &Matrix,
    groups: Range<usize>,
    x: &Activations,
    out: &mut [f32],
) {
    let per_group = w.blocks_per_group::<L>();
    isa.run(MatVec::<L> {
        blocks: &w.blocks::<L>()[groups.start * per_group..groups.end * per_group],
        per_group,
        acts: x,
        out,
        layout: PhantomData,
    });
}

/// Consecutive rows of a matrix.
struct Weights<'a, L: Layout> {
    blocks: &'a [L::Block],
    per_group: usize,
    rows: usize,
}

/// Several rows of activations: threads draw parts of consecutive panels.
fn mat_mul<L: Layout>(
    isa: Isa,
    pool: &dyn Pool,
    w: &Weights<L>,
    x: &mut Activations,
    out: &mut [f32],
) {
    isa.run(PrepareTiles::<L> {
        isa,
        pool,
        x,
        layout: PhantomData,
    });
    let (blocks, per_group) = (w.blocks, w.per_group);
    let panels = w.rows.div_ceil(PANEL_ROWS);
    let parts = if pool.threads() == 1 {
        1
    } else {
        pool.threads() * PARTS_PER_THREAD
    };
    let rows_per_part = panels.div_ceil(parts) * PANEL_ROWS;
    let x = &*x;
    let bands = Bands::new(out, w.rows, rows_per_part);
    for_each_item(pool, bands.enumerate(), &|(part, out)| {
        let first = part * rows_per_part / GROUP;
        let groups = first..first + out.width().div_ceil(GROUP);
        isa.run(MatMul::<L> {
            blocks,
            per_group,
            acts: x,
            groups,
            out,
            layout: PhantomData,
        });
    });
}

/// Prepares the one row of activations that decode reads.
struct PrepareRow<'a, L> {
    isa: Isa,
    x: &'a mut Activations,
    layout: PhantomData<L>,
}

impl<L: Layout> Task for PrepareRow<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        // One row is not worth waking other threads.
        self.x.prepare::<L::Row<S>>(self.isa, &Serial, 1);
    }
}

/// Prepares the activations that prefill reads.
struct PrepareTiles<'a, L> {
    isa: Isa,
    pool: &'a dyn Pool,
    x: &'a mut Activations,
    layout: PhantomData<L>,
}

impl<L: Layout> Task for PrepareTiles<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        self.x.prepare::<L::Tile<S>>(self.isa, self.pool, TILE);
    }
}
