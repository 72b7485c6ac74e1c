//! Packing: any chunking, the way back, and what is refused.

use crate::data::{Random, file, numbers_at, pack, put_number, random_rows, split};
use kernels::{Error, Format, Packer, dequantize};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn cols_of(format: Format) -> usize {
    match format.block_len() {
        1 => 13,
        len => 3 * len,
    }
}

fn dequantized(format: Format, bytes: &[u8], cols: usize) -> Vec<u32> {
    let rows = split(format, bytes).0.len() / format.row_bytes(cols).unwrap();
    let mut out = vec![0.0; rows * cols];
    dequantize(format, bytes, &mut out).unwrap();
    out.into_iter().map(f32::to_bits).collect()
}

#[test]
fn a_matrix_can_be_taken_apart() {
    let mut random = Random(5);
    for format in Format::ALL {
        let cols = cols_of(format);
        let bytes = random_rows(format, 22, cols, &mut random);
        let whole = pack(format, 22, cols, &bytes);
        for kept in [0, 4, 20] {
            let mut first = pack(format, 22, cols, &bytes);
            let rest = first.split_off(kept);
            assert_eq!((first.rows(), rest.rows()), (kept, 22 - kept));
            assert_eq!(
                first.packed_bytes() + rest.packed_bytes(),
                whole.packed_bytes()
            );
            for row in 0..22 {
                let mut expected = vec![0.0; cols];
                whole.dequantize_row(row, &mut expected);
                let mut out = vec![0.0; cols];
                match row.checked_sub(kept) {
                    None => first.dequantize_row(row, &mut out),
                    Some(row) => rest.dequantize_row(row, &mut out),
                }
                assert_eq!(out, expected, "{format}, row {row} of {kept} and the rest");
            }
        }
    }
}

#[test]
fn rows_come_back_as_they_were() {
    let mut random = Random(1);
    for format in Format::ALL {
        for rows in [1, 2, 4, 7] {
            let cols = cols_of(format);
            let bytes = random_rows(format, rows, cols, &mut random);
            let w = pack(format, rows, cols, &bytes);
            assert_eq!((w.format(), w.rows(), w.cols()), (format, rows, cols));
            let mut out = vec![0.0; rows * cols];
            for (r, row) in out.chunks_exact_mut(cols).enumerate() {
                w.dequantize_row(r, row);
            }
            let got: Vec<u32> = out.into_iter().map(f32::to_bits).collect();
            assert_eq!(
                got,
                dequantized(format, &bytes, cols),
                "{format}, {rows} rows"
            );
        }
    }
}

#[test]
fn chunks_of_any_size() {
    let mut random = Random(2);
    for format in Format::ALL {
        let (rows, cols) = (9, cols_of(format));
        let bytes = random_rows(format, rows, cols, &mut random);
        let mut rest = bytes.as_slice();
        let mut packer = Packer::new(format, rows, cols).unwrap();
        while !rest.is_empty() {
            assert_eq!(packer.remaining(), rest.len());
            let len = (random.next() as usize % (2 * bytes.len() / 3)).min(rest.len());
            packer.write(&rest[..len]).unwrap();
            rest = &rest[len..];
        }
        let w = packer.finish().unwrap();
        let mut row = vec![0.0; cols];
        w.dequantize_row(8, &mut row);
        let got: Vec<u32> = row.into_iter().map(f32::to_bits).collect();
        let expected = dequantized(format, &bytes, cols);
        assert_eq!(got, expected[8 * cols..], "{format}");
    }
}

#[test]
fn packed_weights_are_hardly_larger_than_the_file() {
    for format in Format::ALL {
        let (rows, cols) = (8, 512);
        let file = rows * format.row_bytes(cols).unwrap();
        let packed = pack(format, rows, cols, &vec![0; file + format.tail_bytes()]).packed_bytes();
        let most = match format {
            // Five values to a byte become four.
            Format::TQ1_0 => file + file * 4 / 15,
            // Two numbers in single precision beside 84 bytes; one for 256 values, of which the file has one at all.
            Format::Q2_K | Format::I2_S => file + file / 16,
            _ => file + file / 32,
        };
        assert!(
            packed >= file && packed <= most,
            "{format}: {packed} for {file}"
        );
    }
}

#[test]
fn infinite_and_undefined_numbers_are_refused() {
    let mut random = Random(3);
    for format in Format::ALL {
        for odd in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
            for &at in numbers_at(format) {
                let (rows, cols) = (6, cols_of(format));
                let mut bytes = random_rows(format, rows, cols, &mut random);
                let block_bytes = format.block_bytes();
                let block = &mut bytes[format.row_bytes(cols).unwrap() * 5 + 2 * block_bytes..];
                put_number(format, block, at, odd);
                let mut packer = Packer::new(format, rows, cols).unwrap();
                let error = match packer.write(&bytes) {
                    Err(error) => error,
                    Ok(()) => packer.finish().unwrap_err(),
                };
                let Error::NotFinite {
                    row: 5,
                    block: 2,
                    value,
                    ..
                } = error
                else {
                    panic!("{format}: {error}");
                };
                // Exponents have no infinity.
                assert_eq!(value.is_nan(), odd.is_nan() || format == Format::MXFP4);
            }
        }
    }
}

#[test]
fn infinite_and_undefined_scales_of_a_tensor_are_refused() {
    for odd in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
        let bytes = file(Format::I2_S, 6, 256, || 0, || odd);
        let mut packer = Packer::new(Format::I2_S, 6, 256).unwrap();
        packer.write(&bytes).unwrap();
        let error = packer.finish().unwrap_err();
        let Error::ScaleNotFinite { value, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(value.to_bits(), odd.to_bits());
    }
}

#[test]
fn wrong_sizes_are_refused() {
    let partial = Packer::new(Format::Q4_K, 4, 128).unwrap_err();
    assert!(
        matches!(partial, Error::PartialBlock { cols: 128, .. }),
        "{partial}"
    );
    let empty = Packer::new(Format::F32, 0, 4).unwrap_err();
    assert!(matches!(empty, Error::Empty { .. }), "{empty}");
    let large = Packer::new(Format::F32, usize::MAX / 8, 4).unwrap_err();
    assert!(matches!(large, Error::TooLarge { .. }), "{large}");

    let mut packer = Packer::new(Format::Q8_0, 1, 32).unwrap();
    let many = packer.write(&[0; 35]).unwrap_err();
    assert!(
        matches!(
            many,
            Error::TooManyBytes {
                expected: 34,
                excess: 1,
                ..
            }
        ),
        "{many}"
    );
    packer.write(&[0; 33]).unwrap();
    let few = packer.finish().unwrap_err();
    assert!(
        matches!(
            few,
            Error::MissingBytes {
                expected: 34,
                missing: 1,
                ..
            }
        ),
        "{few}"
    );

    let length = dequantize(Format::Q8_0, &[0; 33], &mut [0.0; 32]).unwrap_err();
    assert!(
        matches!(
            length,
            Error::Length {
                expected: 34,
                got: 33,
                ..
            }
        ),
        "{length}"
    );
}
