//! Every operation of every instruction set against the scalar one.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::{Bytes16, Isa, Simd, Task, ZERO};

/// All operations on two vectors, in some order.
struct Operations {
    a: Bytes16,
    b: Bytes16,
    indices: Bytes16,
}

impl Task for Operations {
    type Output = Vec<(&'static str, Bytes16)>;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Self::Output {
        let (a, b) = (s.load(&self.a), s.load(&self.b));
        let first = *self.a.first_chunk().expect("8 of 16 bytes");
        let (word, int) = (i16::from_le_bytes([self.a[0], self.a[1]]), 0x1234_5678);
        let weights = s.and(a, s.splat_u8(0x3f));
        let activations = s.and(a, s.splat_u8(0x7f));
        let floats = [a, b, weights, activations].map(|v| s.to_f32(v));
        let eight = std::array::from_fn(|i| s.add_f32(floats[i % 4], floats[i / 4]));
        let largest = s.largest_f32(eight);
        let transposed = s.transpose([a, b, weights, s.splat_i32(int)]);
        let results = [
            ("load_i16", s.load_i16(&first)),
            ("load_i8", s.load_i8(&first)),
            ("splat_u8", s.splat_u8(self.a[0])),
            ("splat_i16", s.splat_i16(word)),
            ("splat_i32", s.splat_i32(int)),
            ("splat_f32", s.splat_f32(-1.5)),
            ("broadcast 0", s.broadcast::<0>(a)),
            ("broadcast 1", s.broadcast::<1>(a)),
            ("broadcast 2", s.broadcast::<2>(a)),
            ("broadcast 3", s.broadcast::<3>(a)),
            ("and", s.and(a, b)),
            ("or", s.or(a, b)),
            ("xor", s.xor(a, b)),
            ("shl_i16", s.shl_i16::<3>(a)),
            ("shr_u16", s.shr_u16::<5>(a)),
            ("shr_i16", s.shr_i16::<8>(a)),
            ("shl_i32", s.shl_i32::<13>(a)),
            ("shr_i32", s.shr_i32::<3>(a)),
            ("sub_i8", s.sub_i8(a, b)),
            ("add_i16", s.add_i16(a, b)),
            ("sub_i16", s.sub_i16(a, b)),
            ("mul_i16", s.mul_i16(a, b)),
            ("add_i32", s.add_i32(a, b)),
            ("sub_i32", s.sub_i32(a, b)),
            ("mul_i32", s.mul_i32(a, b)),
            ("to_f32", s.to_f32(a)),
            ("add_f32", s.add_f32(s.to_f32(a), s.to_f32(b))),
            ("mul_f32", s.mul_f32(s.to_f32(a), s.to_f32(b))),
            ("max_f32", s.max_f32(s.to_f32(a), s.to_f32(b))),
            ("largest_f32", s.splat_f32(largest)),
            ("dot_i16", s.dot_i16(a, b)),
            ("dot_u7_i8", s.dot_u7_i8(weights, b)),
            ("add_dot_i8_u7", s.add_dot_i8_u7(a, b, activations)),
            ("swizzle", s.swizzle(a, &self.indices)),
            ("zip_low_32", s.zip_low_32(a, b)),
            ("zip_high_32", s.zip_high_32(a, b)),
            ("zip_low_64", s.zip_low_64(a, b)),
            ("zip_high_64", s.zip_high_64(a, b)),
            ("transpose 0", transposed[0]),
            ("transpose 1", transposed[1]),
            ("transpose 2", transposed[2]),
            ("transpose 3", transposed[3]),
        ];
        let stored = results.map(|(name, v)| {
            let mut bytes = [0; 16];
            s.store(v, &mut bytes);
            (name, bytes)
        });
        stored.to_vec()
    }
}

#[test]
fn operations_are_the_scalar_ones() {
    let mut random = testkit::Rng::new(1);
    let mut bytes = || -> Bytes16 {
        // Extreme bytes as often as all others together.
        std::array::from_fn(|_| match random.next_u64() {
            x if x & 1 == 0 => [0x00, 0x7f, 0x80, 0xff][(x >> 1) as usize % 4],
            x => (x >> 8) as u8,
        })
    };
    for _ in 0..200 {
        let (a, b) = (bytes(), bytes());
        let indices = bytes().map(|i| if i < 128 { i % 16 } else { ZERO });
        let of = |isa: Isa| isa.run(Operations { a, b, indices });
        for isa in Isa::available() {
            assert_eq!(
                of(isa),
                of(Isa::SCALAR),
                "{} on {a:?} and {b:?}",
                isa.name()
            );
        }
    }
}
