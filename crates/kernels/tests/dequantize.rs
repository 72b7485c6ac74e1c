//! Values equal gguf-py's to the bit (tests/fixtures/dequantize).

use kernels::{Format, dequantize};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Values of each format in the fixtures.
const VALUES: usize = 512;

macro_rules! golden_tests {
    ($($name:ident $format:ident)*) => {$(
        #[test]
        fn $name() {
            check(
                Format::$format,
                include_bytes!(concat!("../../../tests/fixtures/dequantize/", stringify!($name), ".bin")),
            );
        }
    )*};
}

golden_tests! {
    q4_0 Q4_0
    q4_1 Q4_1
    q5_0 Q5_0
    q5_1 Q5_1
    q8_0 Q8_0
    q2_k Q2_K
    q3_k Q3_K
    q4_k Q4_K
    q5_k Q5_K
    q6_k Q6_K
    iq4_nl IQ4_NL
    iq4_xs IQ4_XS
    tq1_0 TQ1_0
    tq2_0 TQ2_0
    i2_s I2_S
    mxfp4 MXFP4
}

fn check(format: Format, golden: &[u8]) {
    let bytes = format.row_bytes(VALUES).expect("whole blocks") + format.tail_bytes();
    let (blocks, expected) = golden.split_at(bytes);
    let mut values = [0.0; VALUES];
    dequantize(format, blocks, &mut values).expect("whole blocks");
    let (expected, rest) = expected.as_chunks();
    assert!(rest.is_empty() && expected.len() == VALUES);
    for (i, (value, expected)) in values.into_iter().zip(expected).enumerate() {
        let expected = f32::from_le_bytes(*expected);
        assert_eq!(
            value.to_bits(),
            expected.to_bits(),
            "value {i} is {value:e}, not {expected:e}"
        );
    }
}
