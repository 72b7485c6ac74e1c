//! How fast the kernels are, as a share of what the same machine could do at most in the same run.
//!
//! Natively: `cargo run --release -p kernels --example bench`, with `-- attention` for that alone. As wasm in Chromium: `cargo xtask bench --only kernels`,
//! which turns the lines into a table.
//!
//! Every line is a JSON object: first the peaks of reading (GB/s), then the attention of one token (µs a layer, and GB/s of
//! keys and values), then for each instruction set its peak of multiplying (10⁹ multiplications a second) and for each of its
//! formats: packing (GB/s of the file's bytes), a
//! product of four rows (µs: nearly all of it goes into the preparation of the activations), matrix–vector products
//! with weights streamed from memory and from the cache (GB/s of packed bytes, and 10⁹ multiplications a second),
//! matrix–matrix products (10⁹ multiplications a second).

mod attention;
mod host;

use std::hint::black_box;

use host::{best_ms, print};
use kernels::{Activations, Format, Isa, Matrix, Packer, Serial, matmul_with, peak};

/// Columns of every matrix.
const COLS: usize = 1024;

/// Bytes of weights far larger than any cache …
const STREAMED: usize = 192 << 20;

/// … in matrices of so many rows, as a model has them: in some the distance of the streams that decode reads suits a processor,
/// in others it does not.
const LAYER_ROWS: usize = 3072;

/// Bytes of weights that stay in the second- or third-level cache.
const CACHED: usize = 768 << 10;

/// Rows of weights and of activations of the matrix–matrix product.
const PREFILL: (usize, usize) = (512, 128);

/// Some rows of the file with moderate scales.
fn file_rows(format: Format, rows: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut bytes = vec![0; rows * format.row_bytes(COLS).expect("whole blocks")];
    bytes.fill_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    let numbers: &[usize] = match format {
        Format::Q4_1 | Format::Q5_1 | Format::Q4_K | Format::Q5_K => &[1, 3],
        Format::Q2_K => &[81, 83],
        Format::Q3_K => &[109],
        Format::Q6_K => &[209],
        Format::TQ1_0 => &[53],
        Format::TQ2_0 => &[65],
        Format::MXFP4 => &[0],
        // In I2_S the beginning of the file is written again for its one scale.
        Format::F32 | Format::I2_S => &[3],
        _ => &[1],
    };
    for block in bytes.chunks_exact_mut(format.block_bytes()) {
        // The sign and exponent of a number around 0.01 in half precision, or a small one in single precision.
        numbers.iter().for_each(|&at| block[at] = 0x21);
    }
    bytes
}

fn packer_of(format: Format, rows: usize, file: &[u8]) -> Packer {
    let mut packer = Packer::new(format, rows, COLS).expect("enough memory");
    while packer.remaining() > 0 {
        packer
            .write(&file[..file.len().min(packer.remaining())])
            .expect("finite scales");
    }
    packer
}

fn matrix(format: Format, rows: usize, file: &[u8]) -> Matrix {
    packer_of(format, rows, file).finish().expect("complete")
}

/// Milliseconds of the products of some matrices of the same shape with `m` rows of activations.
fn product_ms(isa: Isa, matrices: &[Matrix], m: usize) -> f64 {
    let mut x = Activations::new();
    let mut out = vec![0.0; m * matrices[0].rows()];
    best_ms(|| {
        for w in matrices {
            let values = x.reset(m, COLS).iter_mut().enumerate();
            values.for_each(|(i, value)| *value = (i % 251) as f32 - 125.0);
            matmul_with(isa, &Serial, w, &mut x, &mut out);
            black_box(&out);
        }
    })
}

fn main() {
    let data = vec![1_u64; STREAMED / 8];
    let memory = STREAMED as f64 / best_ms(|| _ = black_box(peak::read(&data))) / 1e6;
    let cache = CACHED as f64 / best_ms(|| _ = black_box(peak::read(&data[..CACHED / 8]))) / 1e6;
    drop(data);
    print(&format!(
        r#"{{"columns": {COLS}, "read_memory": {memory:.2}, "read_cache": {cache:.2}}}"#
    ));
    attention::measure();
    // In a page there are no arguments.
    if std::env::args().any(|argument| argument == "attention") {
        return;
    }
    let vectors = Isa::available()
        .into_iter()
        .filter(|isa| !isa.name().starts_with("scalar"));
    for isa in vectors {
        measure(isa);
    }
}

/// Prints the peak of one instruction set and a line for each format.
fn measure(isa: Isa) {
    let rounds = 1000;
    let macs = (rounds * peak::ROUND) as f64;
    let multiply = macs / best_ms(|| _ = black_box(peak::multiply(isa, rounds))) / 1e6;
    let (name, chosen) = (isa.name(), isa == Isa::best());
    print(&format!(
        r#"{{"isa": "{name}", "chosen": {chosen}, "multiply": {multiply:.2}}}"#
    ));
    for format in Format::ALL {
        let group = file_rows(format, 64);
        let row_bytes = group.len() / 64;
        let pack_rows = 4096;
        let pack_ms = best_ms(|| drop(black_box(packer_of(format, pack_rows, &group))));
        let pack = (pack_rows * row_bytes) as f64 / pack_ms / 1e6;

        let few_us = product_ms(isa, &[matrix(format, 4, &group)], 1) * 1e3;

        let w = [matrix(format, CACHED / row_bytes, &group)];
        let ms = product_ms(isa, &w, 1);
        let cache = w[0].packed_bytes() as f64 / ms / 1e6;
        let cache_macs = (w[0].rows() * COLS) as f64 / ms / 1e6;

        // After the cached one, by which the engine has compiled the kernel.
        let layers = STREAMED / (LAYER_ROWS * row_bytes);
        let w: Vec<_> = (0..layers)
            .map(|_| matrix(format, LAYER_ROWS, &group))
            .collect();
        let bytes = layers * w[0].packed_bytes();
        let memory = bytes as f64 / product_ms(isa, &w, 1) / 1e6;
        drop(w);

        let (rows, m) = PREFILL;
        let w = [matrix(format, rows, &group)];
        let prefill = (rows * COLS * m) as f64 / product_ms(isa, &w, m) / 1e6;
        print(&format!(
            r#"{{"isa": "{name}", "format": "{}", "pack": {pack:.2}, "few_us": {few_us:.2}, "memory": {memory:.2}, "cache": {cache:.2}, "cache_macs": {cache_macs:.2}, "prefill": {prefill:.2}}}"#,
            format.name(),
        ));
    }
}
