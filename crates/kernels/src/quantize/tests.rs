//! Blocks equal ggml's to the byte (tests/fixtures/quantize), and hold what they should.

use crate::quantize;

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
    let trits: Vec<i8> = (0..2 * quantize::I2_S_GROUP)
        .map(|i| (i * i % 7 % 3) as i8 - 1)
        .collect();
    let values: Vec<f32> = trits.iter().map(|&t| f32::from(t) * scale).collect();
    let mut bytes = vec![0xa5; values.len() / 4 + quantize::I2_S_TAIL];
    quantize::i2_s(&values, &mut bytes);
    for (i, &trit) in trits.iter().enumerate() {
        let (group, run, m) = (i / 128, i % 128 / 32, i % 32);
        let bits = bytes[group * 32 + m] >> (6 - 2 * run) & 3;
        assert_eq!(bits as i8 - 1, trit, "value {i}");
    }
    assert_eq!(bytes[64..68], scale.to_le_bytes());
    assert_eq!(bytes[68..], [0; 28]);
}
