//! Types for weights that are −d, 0 or d: TQ1_0, TQ2_0, I2_S.

use super::{each_block, largest, put_half, reciprocal};
use crate::Format;
use crate::format::{I2_S_BLOCK, SUPER_BLOCK};

/// −1, 0, 1 as 0, 1, 2.
fn trit(x: f32, inverse: f32) -> u8 {
    ((x * inverse).round() as i32 + 1) as u8
}

/// `five trits each: [u8; 48], four trits each: [u8; 4], d: f16`. A byte is a fraction of 3⁵ in 256ths, so that each
/// multiplication by 3 carries a trit out, the first value first.
pub fn tq1_0(values: &[f32], blocks: &mut [u8]) {
    /// Where each run of bytes starts, its length, and the trits in each byte; values follow one another through runs.
    const RUNS: [(usize, usize, usize); 3] = [(0, 32, 5), (32, 16, 5), (48, 4, 4)];
    each_block(
        values,
        blocks,
        |x: &[f32; SUPER_BLOCK], block: &mut [u8; 54]| {
            let d = largest(x);
            put_half(block, 52, d);
            let inverse = reciprocal(d);
            let mut x = x.as_slice();
            for (start, len, trits) in RUNS {
                let (run, rest) = x.split_at(len * trits);
                for (m, byte) in block[start..start + len].iter_mut().enumerate() {
                    let number = (0..5).fold(0, |number, n| {
                        let next = if n < trits {
                            trit(run[m + n * len], inverse)
                        } else {
                            0
                        };
                        number * 3 + u16::from(next)
                    });
                    *byte = (number * 256).div_ceil(243) as u8;
                }
                x = rest;
            }
        },
    );
}

/// `quants: [u8; 64], d: f16`: each 32 bytes hold 128 values, bits 2i, 2i + 1 those from 32 i on.
pub fn tq2_0(values: &[f32], blocks: &mut [u8]) {
    each_block(
        values,
        blocks,
        |x: &[f32; SUPER_BLOCK], block: &mut [u8; 66]| {
            let d = largest(x);
            put_half(block, 64, d);
            let inverse = reciprocal(d);
            for (x, bytes) in x.chunks_exact(128).zip(block[..64].chunks_exact_mut(32)) {
                for (m, byte) in bytes.iter_mut().enumerate() {
                    *byte = (0..4).fold(0, |bits, n| {
                        bits | (trit(x[m + n * 32], inverse) & 3) << (2 * n)
                    });
                }
            }
        },
    );
}

/// A whole tensor: 32 bytes for each 128 values, whose bits 6, 7 are the first 32 values, then bits 4, 5 and so on; and
/// after all of them the tensor's one scale as `f32`, padded to 32 bytes.
///
/// Source: `quantize_i2_s` of Microsoft's BitNet (`src/ggml-bitnet-mad.cpp`), its layout for x86.
pub fn i2_s(values: &[f32], bytes: &mut [u8]) {
    /// Smaller magnitudes are zeros.
    const ZERO: f32 = 1e-6;
    let at = values.len() / 4;
    assert_eq!(
        bytes.len(),
        at + Format::I2_S.tail_bytes(),
        "quants and a tail"
    );
    let (quants, tail) = bytes.split_at_mut(at);
    each_block(
        values,
        quants,
        |x: &[f32; I2_S_BLOCK], bytes: &mut [u8; I2_S_BLOCK / 4]| {
            for (m, byte) in bytes.iter_mut().enumerate() {
                *byte = (0..4).fold(0, |bits, n| {
                    let x = x[m + n * 32];
                    let q = if x.abs() < ZERO {
                        1
                    } else {
                        2 * u8::from(x > 0.0)
                    };
                    bits | q << (6 - 2 * n)
                });
            }
        },
    );
    tail.fill(0);
    tail[..4].copy_from_slice(&largest(values).to_le_bytes());
}
