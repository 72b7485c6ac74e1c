//! Products of anything the type system and the packer let through.

use std::ops::Range;

use kernels::{Activations, Format, Isa, Matrix, Packer, Pool, Serial, matmul_with};
use proptest::prelude::*;
use proptest::sample::select;

use crate::data::{Cut, assert_same, numbers_at, put_number};
use crate::reference::products;

/// Half-precision numbers of all magnitudes, also as single precision.
fn number() -> impl Strategy<Value = f32> {
    prop_oneof![
        4 => -2.0_f32..2.0,
        1 => -65504.0_f32..65504.0,
        1 => -1e-6_f32..1e-6,
        1 => Just(0.0),
    ]
}

fn activation() -> impl Strategy<Value = f32> {
    prop_oneof![
        8 => -8.0_f32..8.0,
        1 => -1e30_f32..1e30,
        1 => -1e-30_f32..1e-30,
        1 => Just(0.0),
        1 => Just(f32::MAX),
    ]
}

#[derive(Debug)]
struct Case {
    format: Format,
    cols: usize,
    file: Vec<u8>,
    x: Vec<f32>,
}

fn case(rows: Range<usize>, blocks: Range<usize>, m: Range<usize>) -> impl Strategy<Value = Case> {
    (select(&Format::ALL[..]), rows, blocks, m).prop_flat_map(|(format, rows, blocks, m)| {
        let cols = format.block_len() * blocks;
        let block = (
            prop::collection::vec(any::<u8>(), format.block_bytes()),
            number(),
            number(),
        );
        let blocks = prop::collection::vec(block, rows * blocks);
        let file = (blocks, number()).prop_map(move |(blocks, number)| {
            let blocks = blocks.into_iter().flat_map(|(mut bytes, first, second)| {
                for (&at, number) in numbers_at(format).iter().zip([first, second]) {
                    put_number(format, &mut bytes, at, number);
                }
                bytes
            });
            let mut tail = vec![0; format.tail_bytes()];
            if !tail.is_empty() {
                put_number(format, &mut tail, 0, number);
            }
            blocks.chain(tail).collect()
        });
        let x = prop::collection::vec(activation(), m * cols);
        (file, x).prop_map(move |(file, x)| Case {
            format,
            cols,
            file,
            x,
        })
    })
}

fn packed(case: &Case, chunk: usize) -> Matrix {
    let rows =
        (case.file.len() - case.format.tail_bytes()) / case.format.row_bytes(case.cols).unwrap();
    let mut packer = Packer::new(case.format, rows, case.cols).unwrap();
    case.file
        .chunks(chunk)
        .for_each(|bytes| packer.write(bytes).unwrap());
    packer.finish().unwrap()
}

fn product(isa: Isa, pool: &dyn Pool, w: &Matrix, x: &[f32]) -> Vec<f32> {
    let mut activations = Activations::new();
    activations
        .reset(x.len() / w.cols(), w.cols())
        .copy_from_slice(x);
    let mut out = vec![f32::NAN; activations.rows() * w.rows()];
    matmul_with(isa, pool, w, &mut activations, &mut out);
    out
}

proptest! {
    #[test]
    fn products_are_the_naive_ones(case in case(1..14, 1..4, 1..7), chunk in 1_usize..4000) {
        let expected = products(case.format, &case.file, case.cols, &case.x);
        let w = packed(&case, chunk);
        for isa in Isa::available() {
            assert_same(&product(isa, &Serial, &w, &case.x), &expected, isa.name());
        }
    }

    #[test]
    fn a_row_of_a_batch_is_what_it_is_alone(case in case(1..40, 1..3, 2..12), threads in 1_usize..6) {
        let w = packed(&case, case.file.len());
        let batch = product(Isa::best(), &Cut(threads), &w, &case.x);
        for (x, out) in case.x.chunks_exact(case.cols).zip(batch.chunks_exact(w.rows())) {
            assert_same(out, &product(Isa::best(), &Cut(threads), &w, x), "alone");
        }
    }
}
