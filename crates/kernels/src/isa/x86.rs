//! x86-64 with AVX2, used for its three-operand 128-bit instructions: the same shapes as WebAssembly's.

use std::arch::x86_64::*;

use super::{Bytes16, Simd, Task};
use crate::dot::ByteDot;

/// Proof that this processor has AVX2. Every `unsafe` block below rests on it: a value exists only if
/// [`Avx2::detect`] found the instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Avx2(());

impl Avx2 {
    /// Asks the processor.
    pub(crate) fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Self(()))
    }

    /// Runs `task` in a function compiled for AVX2.
    #[inline]
    pub(crate) fn run<T: Task>(self, task: T) -> T::Output {
        #[target_feature(enable = "avx2")]
        fn with_avx2<T: Task>(avx2: Avx2, task: T) -> T::Output {
            task.run(avx2)
        }
        // SAFETY: `self` proves that the processor has AVX2.
        unsafe { with_avx2(self, task) }
    }
}

/// Implements one trait method by one intrinsic (or an expression of some).
macro_rules! ops {
    ($($name:ident $(<$n:ident>)? ($($arg:ident: $ty:ty),*) $body:expr;)*) => {
        $(
            #[inline(always)]
            fn $name $(<const $n: i32>)? (self, $($arg: $ty),*) -> __m128i {
                // SAFETY: `self` proves that the processor has AVX2.
                unsafe { $body }
            }
        )*
    };
}

impl Simd for Avx2 {
    type V = __m128i;
    type Dot = ByteDot;

    #[inline(always)]
    fn store(self, v: __m128i, to: &mut Bytes16) {
        // SAFETY: the reference covers the 16 bytes written; the unaligned store needs no alignment.
        unsafe { _mm_storeu_si128(to.as_mut_ptr().cast(), v) }
    }

    // The loads read the 16 (8) bytes their reference covers and need no alignment.
    ops! {
        load(from: &Bytes16) _mm_loadu_si128(from.as_ptr().cast());
        load_i16(from: &[u8; 8]) _mm_cvtepi16_epi32(_mm_loadl_epi64(from.as_ptr().cast()));
        load_i8(from: &[u8; 8]) _mm_cvtepi8_epi16(_mm_loadl_epi64(from.as_ptr().cast()));
        splat_u8(x: u8) _mm_set1_epi8(x as i8);
        splat_i16(x: i16) _mm_set1_epi16(x);
        splat_i32(x: i32) _mm_set1_epi32(x);
        splat_f32(x: f32) _mm_castps_si128(_mm_set1_ps(x));
        and(a: __m128i, b: __m128i) _mm_and_si128(a, b);
        or(a: __m128i, b: __m128i) _mm_or_si128(a, b);
        xor(a: __m128i, b: __m128i) _mm_xor_si128(a, b);
        shl_i16<N>(v: __m128i) _mm_slli_epi16::<N>(v);
        shr_u16<N>(v: __m128i) _mm_srli_epi16::<N>(v);
        shr_i16<N>(v: __m128i) _mm_srai_epi16::<N>(v);
        shl_i32<N>(v: __m128i) _mm_slli_epi32::<N>(v);
        shr_i32<N>(v: __m128i) _mm_srai_epi32::<N>(v);
        sub_i8(a: __m128i, b: __m128i) _mm_sub_epi8(a, b);
        add_i16(a: __m128i, b: __m128i) _mm_add_epi16(a, b);
        sub_i16(a: __m128i, b: __m128i) _mm_sub_epi16(a, b);
        mul_i16(a: __m128i, b: __m128i) _mm_mullo_epi16(a, b);
        add_i32(a: __m128i, b: __m128i) _mm_add_epi32(a, b);
        sub_i32(a: __m128i, b: __m128i) _mm_sub_epi32(a, b);
        mul_i32(a: __m128i, b: __m128i) _mm_mullo_epi32(a, b);
        add_f32(a: __m128i, b: __m128i)
            _mm_castps_si128(_mm_add_ps(_mm_castsi128_ps(a), _mm_castsi128_ps(b)));
        mul_f32(a: __m128i, b: __m128i)
            _mm_castps_si128(_mm_mul_ps(_mm_castsi128_ps(a), _mm_castsi128_ps(b)));
        max_f32(a: __m128i, b: __m128i)
            _mm_castps_si128(_mm_max_ps(_mm_castsi128_ps(b), _mm_castsi128_ps(a)));
        to_f32(v: __m128i) _mm_castps_si128(_mm_cvtepi32_ps(v));
        dot_i16(a: __m128i, b: __m128i) _mm_madd_epi16(a, b);
        dot_u7_i8(w: __m128i, a: __m128i) _mm_maddubs_epi16(w, a);
        add_dot_i8_u7(acc: __m128i, w: __m128i, a: __m128i)
            _mm_add_epi32(acc, _mm_madd_epi16(_mm_maddubs_epi16(a, w), _mm_set1_epi16(1)));
        lookup(v: __m128i, indices: __m128i) _mm_shuffle_epi8(v, indices);
        zip_low_32(a: __m128i, b: __m128i) _mm_unpacklo_epi32(a, b);
        zip_high_32(a: __m128i, b: __m128i) _mm_unpackhi_epi32(a, b);
        zip_low_64(a: __m128i, b: __m128i) _mm_unpacklo_epi64(a, b);
        zip_high_64(a: __m128i, b: __m128i) _mm_unpackhi_epi64(a, b);
    }

    #[inline(always)]
    fn broadcast<const LANE: usize>(self, v: __m128i) -> __m128i {
        // SAFETY: `self` proves that the processor has AVX2.
        unsafe {
            match LANE {
                0 => _mm_shuffle_epi32::<0x00>(v),
                1 => _mm_shuffle_epi32::<0x55>(v),
                2 => _mm_shuffle_epi32::<0xaa>(v),
                _ => _mm_shuffle_epi32::<0xff>(v),
            }
        }
    }
}
