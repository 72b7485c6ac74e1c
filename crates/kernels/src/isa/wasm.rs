//! WebAssembly's 128-bit vectors, with relaxed-simd where the build enables it.

use std::arch::wasm32::*;
use std::hint::black_box;
use std::marker::PhantomData;

use super::{Bytes16, Lane, Simd};
use crate::dot::Arrangement;

/// `simd128`, and `relaxed-simd` if the module was compiled for it: an engine without them would have refused to
/// compile the module. `D` is the arrangement of activations.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Simd128<D> {
    /// Zero. The compiler may know that, or not; then it cannot make a constant that was combined with this anew in every round
    /// of a loop, as it would because it takes one instruction of WebAssembly: engines make two or three of it.
    zero: v128,
    arrangement: PhantomData<fn() -> D>,
}

impl<D> Simd128<D> {
    pub(super) const fn new() -> Self {
        Self {
            zero: i32x4(0, 0, 0, 0),
            arrangement: PhantomData,
        }
    }

    #[inline(always)]
    fn held(self, constant: v128) -> v128 {
        v128_or(constant, self.zero)
    }
}

impl<D: Arrangement> Simd for Simd128<D> {
    type V = v128;
    type Dot = D;

    #[inline(always)]
    fn hold_constants(self) -> Self {
        Self {
            zero: i32x4_splat(black_box(0)),
            ..self
        }
    }

    #[inline(always)]
    fn load(self, from: &Bytes16) -> v128 {
        // SAFETY: the reference covers the 16 bytes read, and v128.load needs no alignment.
        unsafe { v128_load(from.as_ptr().cast()) }
    }
    #[inline(always)]
    fn constant(self, bytes: &Bytes16) -> v128 {
        self.held(self.load(bytes))
    }
    #[inline(always)]
    fn store(self, v: v128, to: &mut Bytes16) {
        // SAFETY: the reference covers the 16 bytes written, and v128.store needs no alignment.
        unsafe { v128_store(to.as_mut_ptr().cast(), v) }
    }
    #[inline(always)]
    fn load_i16(self, from: &[u8; 8]) -> v128 {
        // SAFETY: the reference covers the 8 bytes read, and v128.load16x4_s needs no alignment.
        unsafe { i32x4_load_extend_i16x4(from.as_ptr().cast()) }
    }

    #[inline(always)]
    fn load_i8(self, from: &[u8; 8]) -> v128 {
        // SAFETY: the reference covers the 8 bytes read, and v128.load8x8_s needs no alignment.
        unsafe { i16x8_load_extend_i8x8(from.as_ptr().cast()) }
    }

    #[inline(always)]
    fn splat(self, lane: &Lane) -> v128 {
        i32x4_splat(i32::from_le_bytes(*lane))
    }
    #[inline(always)]
    fn splat_u8(self, x: u8) -> v128 {
        self.held(u8x16_splat(x))
    }
    #[inline(always)]
    fn splat_i16(self, x: i16) -> v128 {
        self.held(i16x8_splat(x))
    }
    #[inline(always)]
    fn splat_i32(self, x: i32) -> v128 {
        self.held(i32x4_splat(x))
    }
    #[inline(always)]
    fn splat_f32(self, x: f32) -> v128 {
        self.held(f32x4_splat(x))
    }
    #[inline(always)]
    fn broadcast<const LANE: usize>(self, v: v128) -> v128 {
        i32x4_splat(match LANE {
            0 => i32x4_extract_lane::<0>(v),
            1 => i32x4_extract_lane::<1>(v),
            2 => i32x4_extract_lane::<2>(v),
            _ => i32x4_extract_lane::<3>(v),
        })
    }

    #[inline(always)]
    fn and(self, a: v128, b: v128) -> v128 {
        v128_and(a, b)
    }
    #[inline(always)]
    fn or(self, a: v128, b: v128) -> v128 {
        v128_or(a, b)
    }
    #[inline(always)]
    fn xor(self, a: v128, b: v128) -> v128 {
        v128_xor(a, b)
    }
    #[inline(always)]
    fn shl_i16<const N: i32>(self, v: v128) -> v128 {
        i16x8_shl(v, N as u32)
    }
    #[inline(always)]
    fn shr_u16<const N: i32>(self, v: v128) -> v128 {
        u16x8_shr(v, N as u32)
    }
    #[inline(always)]
    fn shr_i16<const N: i32>(self, v: v128) -> v128 {
        i16x8_shr(v, N as u32)
    }
    #[inline(always)]
    fn shl_i32<const N: i32>(self, v: v128) -> v128 {
        i32x4_shl(v, N as u32)
    }
    #[inline(always)]
    fn shr_i32<const N: i32>(self, v: v128) -> v128 {
        i32x4_shr(v, N as u32)
    }

    #[inline(always)]
    fn sub_i8(self, a: v128, b: v128) -> v128 {
        i8x16_sub(a, b)
    }
    #[inline(always)]
    fn add_i16(self, a: v128, b: v128) -> v128 {
        i16x8_add(a, b)
    }
    #[inline(always)]
    fn sub_i16(self, a: v128, b: v128) -> v128 {
        i16x8_sub(a, b)
    }
    #[inline(always)]
    fn mul_i16(self, a: v128, b: v128) -> v128 {
        i16x8_mul(a, b)
    }
    #[inline(always)]
    fn add_i32(self, a: v128, b: v128) -> v128 {
        i32x4_add(a, b)
    }
    #[inline(always)]
    fn sub_i32(self, a: v128, b: v128) -> v128 {
        i32x4_sub(a, b)
    }
    #[inline(always)]
    fn mul_i32(self, a: v128, b: v128) -> v128 {
        i32x4_mul(a, b)
    }
    #[inline(always)]
    fn add_f32(self, a: v128, b: v128) -> v128 {
        f32x4_add(a, b)
    }
    #[inline(always)]
    fn mul_f32(self, a: v128, b: v128) -> v128 {
        f32x4_mul(a, b)
    }
    #[inline(always)]
    fn max_f32(self, a: v128, b: v128) -> v128 {
        f32x4_pmax(a, b)
    }
    #[inline(always)]
    fn to_f32(self, v: v128) -> v128 {
        f32x4_convert_i32x4(v)
    }

    #[inline(always)]
    fn dot_i16(self, a: v128, b: v128) -> v128 {
        i32x4_dot_i16x8(a, b)
    }
    #[cfg(target_feature = "relaxed-simd")]
    #[inline(always)]
    fn dot_u7_i8(self, w: v128, a: v128) -> v128 {
        i16x8_relaxed_dot_i8x16_i7x16(a, w)
    }
    #[cfg(not(target_feature = "relaxed-simd"))]
    #[inline(always)]
    fn dot_u7_i8(self, w: v128, a: v128) -> v128 {
        let low = i16x8_extmul_low_i8x16(w, a);
        let high = i16x8_extmul_high_i8x16(w, a);
        i16x8_add(
            i16x8_shuffle::<0, 2, 4, 6, 8, 10, 12, 14>(low, high),
            i16x8_shuffle::<1, 3, 5, 7, 9, 11, 13, 15>(low, high),
        )
    }

    #[cfg(target_feature = "relaxed-simd")]
    #[inline(always)]
    fn add_dot_i8_u7(self, acc: v128, w: v128, a: v128) -> v128 {
        i32x4_relaxed_dot_i8x16_i7x16_add(w, a, acc)
    }
    #[cfg(not(target_feature = "relaxed-simd"))]
    #[inline(always)]
    fn add_dot_i8_u7(self, acc: v128, w: v128, a: v128) -> v128 {
        i32x4_add(acc, i32x4_extadd_pairwise_i16x8(self.dot_u7_i8(a, w)))
    }

    #[cfg(target_feature = "relaxed-simd")]
    #[inline(always)]
    fn lookup(self, v: v128, indices: v128) -> v128 {
        // Indices are below 16 or have the top bit set: there the relaxed instruction is not relaxed.
        i8x16_relaxed_swizzle(v, indices)
    }
    #[cfg(not(target_feature = "relaxed-simd"))]
    #[inline(always)]
    fn lookup(self, v: v128, indices: v128) -> v128 {
        i8x16_swizzle(v, indices)
    }
    #[inline(always)]
    fn zip_low_32(self, a: v128, b: v128) -> v128 {
        i32x4_shuffle::<0, 4, 1, 5>(a, b)
    }
    #[inline(always)]
    fn zip_high_32(self, a: v128, b: v128) -> v128 {
        i32x4_shuffle::<2, 6, 3, 7>(a, b)
    }
    #[inline(always)]
    fn zip_low_64(self, a: v128, b: v128) -> v128 {
        i64x2_shuffle::<0, 2>(a, b)
    }
    #[inline(always)]
    fn zip_high_64(self, a: v128, b: v128) -> v128 {
        i64x2_shuffle::<1, 3>(a, b)
    }
}
