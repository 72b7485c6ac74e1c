//! Blocks equal ggml's to the byte (tests/fixtures/quantize), and hold what they should.

use crate::{Format, dequantize, quantize};

macro_rules! golden {
    ($($name:tt)+) => {
        include_bytes!(concat!("../../../../tests/fixtures/quantize/", $($name)+))
    };
}

fn values() -> Vec<f32> {
    let (bytes, rest) = golden!("values.f32").as_chunks();
    assert!(rest.is_empty());
    bytes
        .iter()
        .map(|&bytes| f32::from_le_bytes(bytes))
        .collect()
}

fn check(quantize: fn(&[f32], &mut [u8]), golden: &[u8], per_super_block: usize) {
    let mut blocks = vec![0xa5; golden.len()];
    quantize(&values(), &mut blocks);
    let pairs = blocks
        .chunks(per_super_block)
        .zip(golden.chunks(per_super_block));
    let wrong: Vec<_> = pairs
        .enumerate()
        .filter(|(_, (a, b))| a != b)
        .map(|(i, _)| i)
        .collect();
    assert!(wrong.is_empty(), "super-blocks {wrong:?} differ");
}

macro_rules! golden_tests {
    ($($name:ident: $bytes:literal bytes;)*) => {$(
        #[test]
        fn $name() {
            check(quantize::$name, golden!(stringify!($name), ".bin"), $bytes);
        }
    )*};
}

mod as_ggml {
    use super::{check, quantize};

    // Bytes of 256 values.
    golden_tests! {
        f16: 512 bytes;
        bf16: 512 bytes;
        q4_0: 144 bytes;
        q4_1: 160 bytes;
        q5_0: 176 bytes;
        q5_1: 192 bytes;
        q8_0: 272 bytes;
        q2_k: 84 bytes;
        q3_k: 110 bytes;
        q4_k: 144 bytes;
        q5_k: 176 bytes;
        q6_k: 210 bytes;
        iq4_nl: 144 bytes;
        iq4_xs: 136 bytes;
        tq1_0: 54 bytes;
        tq2_0: 66 bytes;
        mxfp4: 136 bytes;
    }
}

#[test]
fn i2_s_holds_ternary_values() {
    let scale = 0.75;
    let values: Vec<f32> = (0..512)
        .map(|i| f32::from((i * i % 7 % 3) as i8 - 1) * scale)
        .collect();
    let mut bytes = vec![0xa5; values.len() / 4 + Format::I2_S.tail_bytes()];
    quantize::i2_s(&values, &mut bytes);
    let mut read = vec![0.0; values.len()];
    dequantize(Format::I2_S, &bytes, &mut read).unwrap();
    assert_eq!(read, values);
    assert_eq!(bytes[132..], [0; 28], "what follows the scale");
}
