//! Types without blocks.

/// Single precision, as it is.
pub fn f32(values: &[f32], bytes: &mut [u8]) {
    super::each_block(values, bytes, |[x], bytes| *bytes = x.to_le_bytes());
}

/// Half precision, to nearest, ties to even.
pub fn f16(values: &[f32], bytes: &mut [u8]) {
    super::each_block(values, bytes, |&[x], bytes| {
        *bytes = half::f16::from_f32(x).to_le_bytes();
    });
}

/// The upper half of single precision, to nearest, ties to even.
pub fn bf16(values: &[f32], bytes: &mut [u8]) {
    super::each_block(values, bytes, |&[x], bytes| {
        *bytes = half::bf16::from_f32(x).to_le_bytes();
    });
}
