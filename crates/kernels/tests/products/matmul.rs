//! Every format and instruction set against naive products, bit for bit.

use crate::data::{Cut, Random, assert_same, file, pack, put_number, random_rows};
use crate::reference::products;
use kernels::{
    Activations, Format, Isa, Matrix, Pool, Product, Serial, matmul, matmul_each, matmul_pair,
    matmul_rows, matmul_with, quantize,
};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Columns of a matrix of some blocks, for float formats not a multiple of anything.
fn cols_of(format: Format, blocks: usize) -> usize {
    match format.block_len() {
        1 => 7 * blocks,
        len => len * blocks,
    }
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

/// All instruction sets, on some numbers of rows of activations.
#[track_caller]
fn check(format: Format, file: &[u8], cols: usize, x: &[f32], what: &str) {
    let rows = (file.len() - format.tail_bytes()) / format.row_bytes(cols).unwrap();
    let w = pack(format, rows, cols, file);
    let expected = products(format, file, cols, x);
    for isa in Isa::available() {
        let what = format!("{format} {} {rows} × {cols}: {what}", isa.name());
        assert_same(&product(isa, &Serial, &w, x), &expected, &what);
    }
}

#[test]
fn shapes() {
    let mut random = Random(1);
    for format in Format::ALL {
        for (rows, blocks) in [(1, 1), (3, 2), (4, 1), (5, 3), (8, 1), (18, 2), (37, 5)] {
            let cols = cols_of(format, blocks);
            let bytes = random_rows(format, rows, cols, &mut random);
            for m in [1, 2, 3, 4, 5, 9] {
                let x = random.floats(m * cols);
                check(
                    format,
                    &bytes,
                    cols,
                    &x,
                    &format!("{m} rows of activations"),
                );
            }
        }
    }
}

#[test]
fn some_rows_of_a_matrix() {
    let mut random = Random(11);
    for format in Format::ALL {
        let cols = cols_of(format, 2);
        let rows = random_rows(format, 22, cols, &mut random);
        let w = pack(format, 22, cols, &rows);
        for m in [1, 6] {
            let x = random.floats(m * cols);
            let whole = product(Isa::best(), &Serial, &w, &x);
            for part in [0..4, 4..20, 12..22, 8..8] {
                let mut activations = Activations::new();
                activations.reset(m, cols).copy_from_slice(&x);
                let mut out = vec![f32::NAN; m * part.len()];
                matmul_rows(&Serial, &w, part.clone(), &mut activations, &mut out);
                let expected: Vec<_> = whole
                    .chunks_exact(22)
                    .flat_map(|row| &row[part.clone()])
                    .copied()
                    .collect();
                assert_same(&out, &expected, &format!("{format}, rows {part:?}"));
            }
        }
    }
}

#[test]
fn activations_that_are_changed_are_prepared_again() {
    let mut random = Random(12);
    for format in Format::ALL {
        let cols = cols_of(format, 2);
        let w = pack(format, 5, cols, &random_rows(format, 5, cols, &mut random));
        let (before, after) = (random.floats(cols), random.floats(cols));
        let mut activations = Activations::new();
        activations.reset(1, cols).copy_from_slice(&before);
        let mut out = [f32::NAN; 5];
        matmul(&Serial, &w, &mut activations, &mut out);
        activations.values_mut().copy_from_slice(&after);
        matmul(&Serial, &w, &mut activations, &mut out);
        let expected = product(Isa::best(), &Serial, &w, &after);
        assert_same(&out, &expected, &format.to_string());
    }
}

#[test]
fn many_rows_of_activations_and_many_columns() {
    let mut random = Random(2);
    for format in Format::ALL {
        let cols = cols_of(format, 2048 / format.block_len().max(7));
        let bytes = random_rows(format, 9, cols, &mut random);
        let x = random.floats(33 * cols);
        check(format, &bytes, cols, &x, "33 rows of activations");
        check(format, &bytes, cols, &x[..cols], "1 row of activations");
    }
}

#[test]
fn extreme_weights() {
    const SUBNORMAL: f32 = 5.960_464_5e-8;
    const LARGEST: f32 = 65504.0;
    let mut random = Random(3);
    for format in Format::ALL {
        let cols = cols_of(format, 2);
        for fill in [0x00, 0xff, 0x0f, 0xf0, 0x80, 0x7f] {
            for number in [
                0.0, -0.0, 1.0, -1.0, SUBNORMAL, -SUBNORMAL, LARGEST, -LARGEST,
            ] {
                let bytes = file(format, 6, cols, || fill, || number);
                // All of one sign and as large as can be, so that every integer sum is extreme.
                for value in [1.0, -1.0] {
                    let what = format!("bytes {fill:#x}, numbers {number:e}, activations {value}");
                    check(format, &bytes, cols, &vec![value; cols], &what);
                    check(format, &bytes, cols, &vec![value; 4 * cols], &what);
                }
                let x = random.floats(5 * cols);
                check(
                    format,
                    &bytes,
                    cols,
                    &x,
                    &format!("bytes {fill:#x}, numbers {number:e}"),
                );
            }
        }
    }
}

#[test]
fn ternary_weights_are_the_same_in_every_format() {
    const SCALE: f32 = 0.375;
    let mut random = Random(14);
    let (rows, cols) = (9, 512);
    let weights: Vec<f32> = (0..rows * cols)
        .map(|_| (random.next() % 3) as f32 * SCALE - SCALE)
        .collect();
    let x = random.floats(5 * cols);
    let product = |format: Format, quantize: fn(&[f32], &mut [u8])| {
        let bytes = rows * format.row_bytes(cols).unwrap() + format.tail_bytes();
        let mut file = vec![0; bytes];
        quantize(&weights, &mut file);
        let w = pack(format, rows, cols, &file);
        product(Isa::best(), &Serial, &w, &x)
    };
    let expected = product(Format::TQ2_0, quantize::tq2_0);
    assert_same(&product(Format::TQ1_0, quantize::tq1_0), &expected, "TQ1_0");
    assert_same(&product(Format::I2_S, quantize::i2_s), &expected, "I2_S");
}

#[test]
fn exponents_of_any_size() {
    let mut random = Random(13);
    let (format, cols) = (Format::MXFP4, 64);
    for exponent in 0..u8::MAX {
        let number = f32::from_bits(u32::from(exponent) << 23);
        let bytes = file(format, 6, cols, || random.next() as u8, || number);
        for scale in [1.0, 1e-30, 1e30] {
            let x: Vec<f32> = random.floats(5 * cols).iter().map(|x| x * scale).collect();
            let what = format!("exponent {exponent}, activations times {scale:e}");
            check(format, &bytes, cols, &x, &what);
            check(format, &bytes, cols, &x[..cols], &what);
        }
    }
}

#[test]
fn extreme_activations() {
    let mut random = Random(4);
    for format in Format::ALL {
        let cols = cols_of(format, 3);
        let bytes = random_rows(format, 5, cols, &mut random);
        let mut check_scaled = |scale: f32| {
            let x: Vec<f32> = random.floats(5 * cols).iter().map(|x| x * scale).collect();
            check(
                format,
                &bytes,
                cols,
                &x,
                &format!("activations times {scale:e}"),
            );
            check(
                format,
                &bytes,
                cols,
                &x[..cols],
                &format!("activations times {scale:e}"),
            );
        };
        for scale in [0.0, 1e-45, 1e-40, 1.4e-36, 1e-20, 1e20, 1e38] {
            check_scaled(scale);
        }
        for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut x = vec![1.0; 5 * cols];
            x[cols + 3] = odd;
            check(
                format,
                &bytes,
                cols,
                &x,
                &format!("one activation is {odd}"),
            );
            check(
                format,
                &bytes,
                cols,
                &x[cols..2 * cols],
                &format!("one activation is {odd}"),
            );
        }
    }
}

#[test]
fn ties_are_rounded_to_even() {
    // The largest value makes the scale 1, so halves are exact ties.
    let mut x: Vec<f32> = (0..32).map(|k| k as f32 - 15.5).collect();
    x[0] = 127.0;
    let mut rows = random_rows(Format::Q8_0, 32, 32, &mut Random(5));
    for (r, row) in rows.chunks_exact_mut(34).enumerate() {
        put_number(Format::Q8_0, row, 0, 1.0);
        row[2..].fill(0);
        row[2 + r] = 1;
    }
    check(Format::Q8_0, &rows, 32, &x, "ties");
    let w = pack(Format::Q8_0, 32, 32, &rows);
    let out = product(Isa::best(), &Serial, &w, &x);
    assert_eq!(out[..4], [127.0, -14.0, -14.0, -12.0]);
}

#[test]
fn the_number_of_threads_does_not_matter() {
    let mut random = Random(6);
    for format in Format::ALL {
        let cols = cols_of(format, 2);
        for rows in [1, 7, 30, 133] {
            let w = pack(
                format,
                rows,
                cols,
                &random_rows(format, rows, cols, &mut random),
            );
            for m in [1, 6] {
                let x = random.floats(m * cols);
                let alone = product(Isa::best(), &Serial, &w, &x);
                for threads in [2, 3, 8] {
                    let what = format!("{format}, {rows} rows, {threads} threads");
                    assert_same(&product(Isa::best(), &Cut(threads), &w, &x), &alone, &what);
                }
            }
        }
    }
}

#[cfg(not(target_arch = "wasm32"))]
#[test]
fn a_limited_pool_computes_the_same() {
    let mut random = Random(7);
    let (rows, cols) = (133, 512);
    let weights = random_rows(Format::Q4_0, rows, cols, &mut random);
    let w = pack(Format::Q4_0, rows, cols, &weights);
    let pool = kernels::Threads::spawn(4).unwrap();
    for m in [1, 6] {
        let x = random.floats(m * cols);
        let alone = product(Isa::best(), &Serial, &w, &x);
        for limit in [4, 1, 3, 2, 4] {
            pool.limit(limit);
            assert_eq!(pool.threads(), limit);
            let what = format!("{m} rows of activations, {limit} of 4 threads");
            assert_same(&product(Isa::best(), &pool, &w, &x), &alone, &what);
        }
    }
}

#[test]
fn prepared_activations_are_replaced_with_the_values() {
    let mut random = Random(7);
    let matrices = Format::ALL.map(|format| {
        let cols = if format.block_len() == 1 {
            256
        } else {
            format.block_len().max(256)
        };
        (format, random_rows(format, 4, cols, &mut random))
    });
    let mut activations = Activations::new();
    for m in [5, 1, 2, 1] {
        let x = random.floats(m * 256);
        activations.reset(m, 256).copy_from_slice(&x);
        for (format, bytes) in &matrices {
            let w = pack(*format, 4, 256, bytes);
            let mut out = vec![0.0; m * 4];
            matmul(&Serial, &w, &mut activations, &mut out);
            assert_same(&out, &products(*format, bytes, 256, &x), format.name());
        }
    }
}

#[test]
fn several_products_at_once_are_those_of_each() {
    let mut random = Random(15);
    for format in Format::ALL {
        let cols = if format.block_len() == 1 { 256 } else { 512 };
        // Another format beside it, whose activations may be prepared differently, and one group of rows.
        let shapes = [
            (format, 133),
            (Format::Q4_0, 4),
            (format, 22),
            (Format::Q8_0, 37),
        ];
        let matrices = shapes.map(|(format, rows)| {
            pack(
                format,
                rows,
                cols,
                &random_rows(format, rows, cols, &mut random),
            )
        });
        for m in [1, 6] {
            let x = random.floats(m * cols);
            let alone = matrices
                .each_ref()
                .map(|w| product(Isa::best(), &Serial, w, &x));
            for threads in [1, 2, 3, 8] {
                let mut activations = Activations::new();
                activations.reset(m, cols).copy_from_slice(&x);
                let mut outs = alone.each_ref().map(|out| vec![f32::NAN; out.len()]);
                let mut products: Vec<_> = matrices
                    .iter()
                    .zip(&mut outs)
                    .map(|(w, out)| Product::new(w, out))
                    .collect();
                matmul_each(&Cut(threads), &mut products, &mut activations);
                for (got, expected) in outs.iter().zip(&alone) {
                    assert_same(
                        got,
                        expected,
                        &format!("{format}, {m} rows, {threads} threads"),
                    );
                }
            }
        }
    }
}

#[test]
fn what_follows_a_pair_of_products_sees_each_result_once() {
    let mut random = Random(16);
    let cols = 256;
    // The second reads the rest of a matrix.
    let (first, second) = (Format::Q4_K, Format::F16);
    let w = [
        pack(
            first,
            150,
            cols,
            &random_rows(first, 150, cols, &mut random),
        ),
        pack(
            second,
            190,
            cols,
            &random_rows(second, 190, cols, &mut random),
        ),
    ];
    // Of many rows of activations some are handed out at a time.
    for m in [0, 1, 6, 120] {
        let x = random.floats(m * cols);
        let [gate, up] = w.each_ref().map(|w| product(Isa::best(), &Serial, w, &x));
        let up: Vec<_> = up
            .chunks_exact(190)
            .flat_map(|row| &row[40..])
            .copied()
            .collect();
        let expected: Vec<_> = gate
            .iter()
            .zip(&up)
            .enumerate()
            .map(|(i, (x, y))| x * y + i as f32)
            .collect();
        for threads in [1, 2, 3, 8] {
            let mut activations = Activations::new();
            activations.reset(m, cols).copy_from_slice(&x);
            let (mut out, mut other) = (vec![f32::NAN; m * 150], vec![f32::NAN; m * 150]);
            let pair = [
                Product::new(&w[0], &mut out),
                Product::of_rows(&w[1], 40..190, &mut other),
            ];
            matmul_pair(
                &Cut(threads),
                pair,
                &mut activations,
                &|start, out, other| {
                    for (i, (x, y)) in out.iter_mut().zip(other).enumerate() {
                        *x = *x * *y + (start + i) as f32;
                    }
                },
            );
            assert_same(&out, &expected, &format!("{m} rows, {threads} threads"));
        }
    }
}
