//! Products of several matrices with the same activations, handed out to threads together.
//!
//! With one row of activations a product takes from three microseconds on, and handing out work and waiting for the last
//! thread costs more than one. So what reads the same activations is one piece of work: queries, keys and values, or gate
//! and up with the activation function behind them.

use std::ops::Range;

use crate::layout::GROUP;
use crate::matmul::{check_shapes, mat_vec, matmul_rows_with, prepare_row};
use crate::pool::for_rows;
use crate::shared::Shared;
use crate::{Activations, Isa, Matrix, Pool};

/// Bytes of weights that are worth a part of their own. Threads that took turns on parts of an eighth of this were 20 % slower
/// than with one part each: memory is read best in long runs.
const PART_BYTES: usize = 1 << 20;

/// Most parts for each thread. More than one, so that a thread that is slower, or comes late, gets less to do.
const MOST_PARTS: usize = 4;

/// Consecutive rows of a matrix, and where their products go.
#[derive(Debug)]
pub struct Product<'a> {
    weight: &'a Matrix,
    rows: Range<usize>,
    out: Shared<'a, f32>,
}

impl<'a> Product<'a> {
    /// All rows of `weight`; `out` is `[m, weight.rows()]`.
    pub fn new(weight: &'a Matrix, out: &'a mut [f32]) -> Self {
        Self::of_rows(weight, 0..weight.rows(), out)
    }

    /// Some rows, as in [`crate::matmul_rows`]; `out` is `[m, rows.len()]`.
    pub fn of_rows(weight: &'a Matrix, rows: Range<usize>, out: &'a mut [f32]) -> Self {
        Self {
            weight,
            rows,
            out: Shared::new(out),
        }
    }

    fn check(&self, x: &Activations) {
        check_shapes(self.weight, &self.rows, x, self.out.len());
    }

    fn groups(&self) -> usize {
        self.rows.len().div_ceil(GROUP)
    }

    fn group_bytes(&self) -> usize {
        self.weight.packed_bytes() / self.weight.rows().div_ceil(GROUP)
    }

    fn bytes(&self) -> usize {
        self.groups() * self.group_bytes()
    }

    /// Computes some groups of rows, for one row of activations, and hands out their results.
    ///
    /// # Safety
    /// Nobody else uses the results of these groups at the same time.
    #[allow(
        clippy::mut_from_ref,
        reason = "that groups do not overlap is what callers promise"
    )]
    unsafe fn compute(&self, isa: Isa, groups: Range<usize>, x: &Activations) -> &mut [f32] {
        let first = self.rows.start / GROUP;
        let end = self.out.len().min(groups.end * GROUP);
        // SAFETY: the caller's promise.
        let out = unsafe { self.out.range(groups.start * GROUP..end) };
        mat_vec(
            isa,
            self.weight,
            first + groups.start..first + groups.end,
            x,
            out,
        );
        out
    }
}

/// Parts to cut work into that reads so many bytes of weights.
fn parts(pool: &dyn Pool, bytes: usize) -> usize {
    match pool.threads() {
        1 => 1,
        threads => threads * (bytes / (threads * PART_BYTES)).clamp(1, MOST_PARTS),
    }
}

/// [`crate::matmul`] of each of `products` with `x`.
///
/// # Panics
/// If the shapes do not agree, as in [`crate::matmul_rows`].
pub fn matmul_each(pool: &dyn Pool, products: &mut [Product], x: &mut Activations) {
    each_with(Isa::best(), pool, products, x);
}

/// [`matmul_each`] with a certain instruction set.
pub(crate) fn each_with(isa: Isa, pool: &dyn Pool, products: &mut [Product], x: &mut Activations) {
    for product in &mut *products {
        product.check(x);
        if x.rows() == 1 {
            prepare_row(isa, product.weight, x);
        } else {
            matmul_rows_with(
                isa,
                pool,
                product.weight,
                product.rows.clone(),
                x,
                product.out.all(),
            );
        }
    }
    if x.rows() != 1 {
        return;
    }
    let (products, x) = (&*products, &*x);
    let bytes = products.iter().map(Product::bytes).sum();
    let parts = parts(pool, bytes);
    pool.run(parts, &|part| {
        // Where the part begins and ends, in bytes of all products, and where a product does.
        let [from, to] =
            [part, part + 1].map(|part| bytes / parts * part + bytes % parts * part / parts);
        let mut start = 0;
        for product in products {
            let group = |at: usize| {
                at.saturating_sub(start)
                    .div_ceil(product.group_bytes())
                    .min(product.groups())
            };
            let groups = group(from)..group(to);
            if !groups.is_empty() {
                // SAFETY: the pool calls each part once, and no group belongs to two.
                unsafe { product.compute(isa, groups, x) };
            }
            start += product.bytes();
        }
    });
}

/// What is to be done with results of a pair of products: the place of the first of them, those of one, those of the other.
pub type Then<'a> = dyn Fn(usize, &mut [f32], &mut [f32]) + Sync + 'a;

/// [`crate::matmul`] of both products with `x`, whose results are `[m, n]` each, and then `then` with both results, some of
/// them at a time: with the place of the first one, from the thread that has computed them.
///
/// # Panics
/// If the shapes do not agree, as in [`crate::matmul_rows`], or the products have not the same number of rows.
pub fn matmul_pair(pool: &dyn Pool, mut pair: [Product; 2], x: &mut Activations, then: &Then) {
    let isa = Isa::best();
    let rows = pair[0].rows.len();
    assert_eq!(rows, pair[1].rows.len(), "a pair has as many rows");
    if x.rows() != 1 {
        each_with(isa, pool, &mut pair, x);
        let [first, second] = &mut pair;
        let second = &second.out;
        return for_rows(pool, first.out.all(), rows, &|start, first| {
            // SAFETY: rows of the first do not overlap, so neither do those of the second.
            then(start, first, unsafe {
                second.range(start..start + first.len())
            });
        });
    }
    for product in &pair {
        product.check(x);
        prepare_row(isa, product.weight, x);
    }
    let ([first, second], x) = (&pair, &*x);
    let groups = first.groups();
    let parts = parts(pool, first.bytes() + second.bytes());
    pool.run(parts, &|part| {
        let [from, to] = [part, part + 1].map(|part| groups * part / parts);
        // SAFETY: the pool calls each part once, and no group belongs to two.
        let [first, second] =
            [first, second].map(|product| unsafe { product.compute(isa, from..to, x) });
        then(from * GROUP, first, second);
    });
}
