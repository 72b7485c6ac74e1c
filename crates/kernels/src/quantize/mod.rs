//! Floats to file blocks: the way back from [`crate::dequantize`], for tools that make models.
//!
//! Every function takes the values of whole rows, one after another, and fills the blocks that they take in the file. The
//! results are those of ggml's quantizers without an importance matrix, to the byte
//! (`ggml/src/ggml-quants.c` in llama.cpp: `quantize_row_*_ref`, and `quantize_iq4_nl`): operations are therefore done in
//! ggml's order, in single precision, and never fused. Values must be finite.
//!
//! The functions panic if `values` are not whole blocks, or `blocks` have another length than these take.

mod floats;
mod k_asymmetric;
mod k_symmetric;
mod legacy;
mod mxfp4;
mod non_linear;
mod search;
mod ternary;

pub use floats::{bf16, f16, f32};
pub use k_asymmetric::{q2_k, q4_k, q5_k};
pub use k_symmetric::{q3_k, q6_k};
pub use legacy::{q4_0, q4_1, q5_0, q5_1, q8_0};
pub use mxfp4::mxfp4;
pub use non_linear::{iq4_nl, iq4_xs};
pub use ternary::{i2_s, tq1_0, tq2_0};

/// Groups smaller than this are stored as zeros: `GROUP_MAX_EPS`.
const SMALLEST_GROUP: f32 = 1e-15;

/// Runs `one` on each block of `LEN` values and its `BYTES` bytes.
fn each_block<const LEN: usize, const BYTES: usize>(
    values: &[f32],
    blocks: &mut [u8],
    one: impl Fn(&[f32; LEN], &mut [u8; BYTES]),
) {
    let (values, rest) = values.as_chunks::<LEN>();
    assert!(rest.is_empty(), "values are whole blocks of {LEN}");
    let (blocks, rest) = blocks.as_chunks_mut::<BYTES>();
    assert!(
        rest.is_empty() && blocks.len() == values.len(),
        "{} blocks of {BYTES} bytes",
        values.len()
    );
    for (x, block) in values.iter().zip(blocks) {
        one(x, block);
    }
}

/// Writes a half-precision number at byte `at` of a block, and gives back what a reader will find there.
fn put_half(block: &mut [u8], at: usize, value: f32) -> f32 {
    let half = half::f16::from_f32(value);
    block[at..at + 2].copy_from_slice(&half.to_le_bytes());
    half.to_f32()
}

/// The value of largest magnitude, the first of equals; zero if there is none but zeros.
fn extreme(values: &[f32]) -> f32 {
    values.iter().fold(
        0.0,
        |extreme: f32, &x| {
            if extreme.abs() < x.abs() { x } else { extreme }
        },
    )
}

/// The largest magnitude.
fn largest(values: &[f32]) -> f32 {
    extreme(values).abs()
}

/// `1 / x`, and 0 for 0.
fn reciprocal(x: f32) -> f32 {
    if x == 0.0 { 0.0 } else { 1.0 / x }
}

/// The nearest integer, ties to even, by adding a number so large that the fraction is rounded off. For magnitudes from
/// 2²² on the result is what ggml's `nearest_int` gives: bits without a meaning, which callers clamp.
fn nearest(x: f32) -> i32 {
    /// 1.5 · 2²³.
    const SHIFT: f32 = 12_582_912.0;
    const MANTISSA: u32 = 0x007f_ffff;
    const HALF: i32 = 0x0040_0000;
    ((x + SHIFT).to_bits() & MANTISSA) as i32 - HALF
}

// What makes models runs natively only.
#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests;
