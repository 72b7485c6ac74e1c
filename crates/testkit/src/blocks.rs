//! Tensors of any computable type, with random valid blocks.

use gguf::TensorType;
use half::{bf16, f16};

use crate::Rng;

/// The types that models compute with.
pub const COMPUTABLE: [TensorType; 19] = [
    TensorType::F32,
    TensorType::F16,
    TensorType::BF16,
    TensorType::Q4_0,
    TensorType::Q4_1,
    TensorType::Q5_0,
    TensorType::Q5_1,
    TensorType::Q8_0,
    TensorType::Q2_K,
    TensorType::Q3_K,
    TensorType::Q4_K,
    TensorType::Q5_K,
    TensorType::Q6_K,
    TensorType::IQ4_NL,
    TensorType::IQ4_XS,
    TensorType::TQ1_0,
    TensorType::TQ2_0,
    TensorType::I2_S,
    TensorType::MXFP4,
];

/// Bytes of a `[columns, rows]` tensor as they stand in a file: every bit pattern of the quantized values occurs,
/// scales are finite, and elements are of magnitude about `1 / √columns`, so that products keep their size.
///
/// # Panics
/// If `columns` is not a multiple of the block length, or the type is not one that models compute with.
pub fn random_tensor(rng: &mut Rng, kind: TensorType, columns: usize, rows: usize) -> Vec<u8> {
    let block_len = kind.block_len() as usize;
    assert!(
        columns.is_multiple_of(block_len),
        "{columns} columns in blocks of {block_len}"
    );
    let magnitude = (columns as f32).sqrt().recip();
    let blocks = (0..columns / block_len * rows).flat_map(|_| random_block(rng, kind, magnitude));
    let mut bytes: Vec<u8> = blocks.collect();
    if kind == TensorType::I2_S {
        // Its one scale, and padding.
        bytes.extend(magnitude.to_le_bytes());
        bytes.extend([0; 28]);
    }
    bytes
}

fn random_block(rng: &mut Rng, kind: TensorType, magnitude: f32) -> Vec<u8> {
    // Uniform values up to √3 have variance 1.
    let element = rng.signed_unit() * magnitude * 3f32.sqrt();
    let mut block = match kind {
        TensorType::F32 => return element.to_le_bytes().to_vec(),
        TensorType::F16 => return f16::from_f32(element).to_le_bytes().to_vec(),
        TensorType::BF16 => return bf16::from_f32(element).to_le_bytes().to_vec(),
        _ => (0..kind.block_bytes())
            .map(|_| rng.byte())
            .collect::<Vec<u8>>(),
    };
    // Each step is half to one and a half times what gives the magnitude.
    let wobble = 1.0 + rng.signed_unit() / 2.0;
    let mut put = |at: usize, value: f32| {
        block[at..at + 2].copy_from_slice(&f16::from_f32(value * wobble).to_le_bytes());
    };
    // Uniform integers of n steps have standard deviation n / √12.
    let step = |steps: f32| magnitude * 12f32.sqrt() / steps;
    match kind {
        TensorType::Q4_0 => put(0, step(16.0)),
        TensorType::Q4_1 => {
            put(0, step(16.0));
            put(2, -step(16.0) * 7.5);
        }
        TensorType::Q5_0 => put(0, step(32.0)),
        TensorType::Q5_1 => {
            put(0, step(32.0));
            put(2, -step(32.0) * 15.5);
        }
        TensorType::Q8_0 => put(0, step(256.0)),
        // Sub-block scales and minima are random 4-bit numbers, 7.5 on average.
        TensorType::Q2_K => {
            put(80, step(4.0) / 7.5);
            put(82, step(4.0) / 7.5 * 1.5);
        }
        // Sub-block scales are −32…31, of standard deviation 18.5.
        TensorType::Q3_K => put(108, step(8.0) / 18.5),
        // Sub-block scales and minima are random 6-bit numbers, 32 on average.
        TensorType::Q4_K => {
            put(0, step(16.0) / 32.0);
            put(2, step(16.0) / 32.0 * 7.5);
        }
        TensorType::Q5_K => {
            put(0, step(32.0) / 32.0);
            put(2, step(32.0) / 32.0 * 15.5);
        }
        // Sub-block scales are random signed bytes of standard deviation 74; the block's scale stands last.
        TensorType::Q6_K => put(208, step(64.0) / 74.0),
        // The table's steps have standard deviation 69.
        TensorType::IQ4_NL => put(0, magnitude / 69.0),
        TensorType::IQ4_XS => put(0, magnitude / 69.0 / 18.5),
        TensorType::TQ1_0 => put(52, magnitude),
        TensorType::TQ2_0 => put(64, magnitude),
        TensorType::I2_S => {}
        // A power of two times numbers of standard deviation 2.9.
        TensorType::MXFP4 => block[0] = ((magnitude * wobble / 2.9).to_bits() >> 23) as u8,
        other => panic!("no random blocks of type {}", other.name()),
    }
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_the_directory() {
        for kind in COMPUTABLE {
            let bytes = random_tensor(&mut Rng::new(3), kind, 512, 3);
            assert_eq!(
                Ok(bytes.len() as u64),
                kind.tensor_bytes(&[512, 3]),
                "{}",
                kind.name()
            );
        }
    }
}
