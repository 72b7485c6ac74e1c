//! Super-blocks of 2-bit numbers: in each half of 128 values, a byte of the file holds values 32 apart, and so does
//! a packed byte.

use crate::isa::{Bytes16, Simd};

/// Quarters of a super-block: 16 bytes of a row of the file, 64 values.
pub(super) const QUARTERS: usize = 4;

/// The sub-block of 16 consecutive values that bits `2j`, `2j + 1` of quarter `i` belong to.
pub(super) const fn sub_block(i: usize, j: usize) -> usize {
    i / 2 * 8 + 2 * j + i % 2
}

/// The four numbers of each byte, lowest bits first.
#[inline(always)]
pub(super) fn unpack<S: Simd>(s: S, values: &Bytes16) -> [S::V; 4] {
    let (values, mask) = (s.load(values), s.splat_u8(0x03));
    [
        s.and(values, mask),
        s.and(s.shr_u16::<2>(values), mask),
        s.and(s.shr_u16::<4>(values), mask),
        s.and(s.shr_u16::<6>(values), mask),
    ]
}
