//! The specification: every operation lane by lane.

use std::marker::PhantomData;

use super::{Bytes16, Simd, ZERO};
use crate::dot::Arrangement;

/// No vector instructions; `D` is the arrangement of activations.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scalar<D>(PhantomData<fn() -> D>);

impl<D> Scalar<D> {
    pub(super) const fn new() -> Self {
        Self(PhantomData)
    }
}

macro_rules! lanes {
    ($get:ident, $set:ident, $lane:ty, $count:literal) => {
        #[inline(always)]
        fn $get(v: Bytes16) -> [$lane; $count] {
            const SIZE: usize = size_of::<$lane>();
            std::array::from_fn(|i| {
                let mut bytes = [0; SIZE];
                bytes.copy_from_slice(&v[i * SIZE..][..SIZE]);
                <$lane>::from_le_bytes(bytes)
            })
        }

        #[inline(always)]
        fn $set(lanes: [$lane; $count]) -> Bytes16 {
            const SIZE: usize = size_of::<$lane>();
            let mut v = [0; 16];
            for (to, lane) in v.chunks_exact_mut(SIZE).zip(lanes) {
                to.copy_from_slice(&lane.to_le_bytes());
            }
            v
        }
    };
}

lanes!(i16s, from_i16s, i16, 8);
lanes!(u16s, from_u16s, u16, 8);
lanes!(i32s, from_i32s, i32, 4);
lanes!(u64s, from_u64s, u64, 2);
lanes!(f32s, from_f32s, f32, 4);

/// Combines two vectors lane by lane.
#[inline(always)]
fn zip<T: Copy, const N: usize>(a: [T; N], b: [T; N], f: impl Fn(T, T) -> T) -> [T; N] {
    std::array::from_fn(|i| f(a[i], b[i]))
}

impl<D: Arrangement> Simd for Scalar<D> {
    type V = Bytes16;
    type Dot = D;

    fn load(self, from: &Bytes16) -> Bytes16 {
        *from
    }
    fn store(self, v: Bytes16, to: &mut Bytes16) {
        *to = v;
    }
    fn load_i16(self, from: &[u8; 8]) -> Bytes16 {
        from_i32s(std::array::from_fn(|i| {
            i32::from(i16::from_le_bytes([from[2 * i], from[2 * i + 1]]))
        }))
    }

    fn load_i8(self, from: &[u8; 8]) -> Bytes16 {
        from_i16s(from.map(|byte| i16::from(byte.cast_signed())))
    }
    fn splat_u8(self, x: u8) -> Bytes16 {
        [x; 16]
    }
    fn splat_i16(self, x: i16) -> Bytes16 {
        from_i16s([x; 8])
    }
    fn splat_i32(self, x: i32) -> Bytes16 {
        from_i32s([x; 4])
    }
    fn splat_f32(self, x: f32) -> Bytes16 {
        from_f32s([x; 4])
    }
    fn broadcast<const LANE: usize>(self, v: Bytes16) -> Bytes16 {
        from_i32s([i32s(v)[LANE]; 4])
    }

    fn and(self, a: Bytes16, b: Bytes16) -> Bytes16 {
        zip(a, b, |a, b| a & b)
    }
    fn or(self, a: Bytes16, b: Bytes16) -> Bytes16 {
        zip(a, b, |a, b| a | b)
    }
    fn xor(self, a: Bytes16, b: Bytes16) -> Bytes16 {
        zip(a, b, |a, b| a ^ b)
    }
    fn shl_i16<const N: i32>(self, v: Bytes16) -> Bytes16 {
        from_i16s(i16s(v).map(|x| x << N))
    }
    fn shr_u16<const N: i32>(self, v: Bytes16) -> Bytes16 {
        from_u16s(u16s(v).map(|x| x >> N))
    }
    fn shr_i16<const N: i32>(self, v: Bytes16) -> Bytes16 {
        from_i16s(i16s(v).map(|x| x >> N))
    }
    fn shl_i32<const N: i32>(self, v: Bytes16) -> Bytes16 {
        from_i32s(i32s(v).map(|x| x << N))
    }
    fn shr_i32<const N: i32>(self, v: Bytes16) -> Bytes16 {
        from_i32s(i32s(v).map(|x| x >> N))
    }

    fn sub_i8(self, a: Bytes16, b: Bytes16) -> Bytes16 {
        zip(a, b, u8::wrapping_sub)
    }
    fn add_i16(self, a: Bytes16, b: Bytes16) -> Bytes16 {
        from_i16s(zip(i16s(a), i16s(b), i16::wrapping_add))
    }
    fn sub_i16(self, a: Bytes16, b: Bytes16) -> Bytes16 {
        from_i16s(zip(i16s(a), i16s(b), i16::wrapping_sub))
    }
    fn mul_i16(self, a: Bytes16, b: Bytes16) -> Bytes16 {
        from_i16s(zip(i16s(a), i16s(b), i16::wrapping_mul))
    }
    fn add_i32(self, a: Bytes16, b: Bytes16) -> Bytes16 {
        from_i32s(zip(i32s(a), i32s(b), i32::wrapping_add))
    }
    fn sub_i32(self, a: Bytes16, b: Bytes16) -> Bytes16 {
        from_i32s(zip(i32s(a), i32s(b), i32::wrapping_sub))
    }
    fn mul_i32(self, a: Bytes16, b: Bytes16) -> Bytes16 {
        from_i32s(zip(i32s(a), i32s(b), i32::wrapping_mul))
    }
    fn add_f32(self, a: Bytes16, b: Bytes16) -> Bytes16 {
        from_f32s(zip(f32s(a), f32s(b), |a, b| a + b))
    }
    fn mul_f32(self, a: Bytes16, b: Bytes16) -> Bytes16 {
        from_f32s(zip(f32s(a), f32s(b), |a, b| a * b))
    }
    fn max_f32(self, a: Bytes16, b: Bytes16) -> Bytes16 {
        from_f32s(zip(f32s(a), f32s(b), |a, b| if b > a { b } else { a }))
    }
    fn to_f32(self, v: Bytes16) -> Bytes16 {
        from_f32s(i32s(v).map(|x| x as f32))
    }

    fn dot_i16(self, a: Bytes16, b: Bytes16) -> Bytes16 {
        let (a, b) = (i16s(a), i16s(b));
        let product = |i: usize| i32::from(a[i]) * i32::from(b[i]);
        from_i32s(std::array::from_fn(|i| {
            product(2 * i).wrapping_add(product(2 * i + 1))
        }))
    }
    fn dot_u7_i8(self, w: Bytes16, a: Bytes16) -> Bytes16 {
        let product = |i: usize| i16::from(w[i]) * i16::from(a[i] as i8);
        from_i16s(std::array::from_fn(|i| {
            product(2 * i).wrapping_add(product(2 * i + 1))
        }))
    }
    fn add_dot_i8_u7(self, acc: Bytes16, w: Bytes16, a: Bytes16) -> Bytes16 {
        let product = |i: usize| i32::from(w[i] as i8) * i32::from(a[i]);
        let sums = std::array::from_fn(|lane| (4 * lane..4 * lane + 4).map(product).sum());
        from_i32s(zip(i32s(acc), sums, i32::wrapping_add))
    }

    fn lookup(self, v: Bytes16, indices: Bytes16) -> Bytes16 {
        indices.map(|i| if i == ZERO { 0 } else { v[usize::from(i)] })
    }
    fn zip_low_32(self, a: Bytes16, b: Bytes16) -> Bytes16 {
        let (a, b) = (i32s(a), i32s(b));
        from_i32s([a[0], b[0], a[1], b[1]])
    }
    fn zip_high_32(self, a: Bytes16, b: Bytes16) -> Bytes16 {
        let (a, b) = (i32s(a), i32s(b));
        from_i32s([a[2], b[2], a[3], b[3]])
    }
    fn zip_low_64(self, a: Bytes16, b: Bytes16) -> Bytes16 {
        from_u64s([u64s(a)[0], u64s(b)[0]])
    }
    fn zip_high_64(self, a: Bytes16, b: Bytes16) -> Bytes16 {
        from_u64s([u64s(a)[1], u64s(b)[1]])
    }
}
