//! One vector instruction set behind one trait: kernels are written once, generic over [`Simd`].
//!
//! Every implementation gives the same bits: integer operations are exact (and wrap), float operations are single
//! IEEE operations rounded to nearest even, never fused. The scalar implementation is the specification.
//!
//! A value of an implementing type is the proof that this machine has the instructions; [`Isa::run`] makes one.

#[cfg(any(test, not(all(target_arch = "wasm32", target_feature = "simd128"))))]
mod scalar;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm;
#[cfg(target_arch = "x86_64")]
mod x86;

#[allow(unused_imports, reason = "each build uses those that suit it")]
use crate::dot::{Arrangement, ByteDot, WordDot};

#[cfg(any(test, not(all(target_arch = "wasm32", target_feature = "simd128"))))]
use scalar::Scalar;

/// The bytes of one 128-bit vector.
pub(crate) type Bytes16 = [u8; 16];

/// The bytes of a 32-bit lane.
pub(crate) type Lane = [u8; 4];

/// A 128-bit vector without a fixed lane type. Names say which lanes an operation sees; lanes are little-endian.
#[allow(dead_code, reason = "some builds have no use for some operations")]
pub(crate) trait Simd: Copy + Send + Sync {
    /// The vector.
    type V: Copy;
    /// The arrangement of activations that this instruction set multiplies fastest with unsigned weights.
    type Dot: Arrangement;

    /// `self`, of which constants (splats and [`Self::constant`]) are made once outside of a loop where they would be made anew in
    /// every round of it otherwise, of several instructions each.
    #[inline(always)]
    fn hold_constants(self) -> Self {
        self
    }

    fn load(self, from: &Bytes16) -> Self::V;
    /// A vector that the compiler knows.
    #[inline(always)]
    fn constant(self, bytes: &Bytes16) -> Self::V {
        self.load(bytes)
    }
    fn store(self, v: Self::V, to: &mut Bytes16);
    /// Four `i16`, sign-extended to `i32`.
    fn load_i16(self, from: &[u8; 8]) -> Self::V;
    /// Eight `i8`, sign-extended to `i16`.
    fn load_i8(self, from: &[u8; 8]) -> Self::V;

    /// `lane`, from memory, in all four.
    #[inline(always)]
    fn splat(self, lane: &Lane) -> Self::V {
        self.splat_i32(i32::from_le_bytes(*lane))
    }
    fn splat_u8(self, x: u8) -> Self::V;
    fn splat_i16(self, x: i16) -> Self::V;
    fn splat_i32(self, x: i32) -> Self::V;
    fn splat_f32(self, x: f32) -> Self::V;
    /// The 32-bit lane `LANE` in all four.
    fn broadcast<const LANE: usize>(self, v: Self::V) -> Self::V;

    fn and(self, a: Self::V, b: Self::V) -> Self::V;
    fn or(self, a: Self::V, b: Self::V) -> Self::V;
    fn xor(self, a: Self::V, b: Self::V) -> Self::V;
    fn shl_i16<const N: i32>(self, v: Self::V) -> Self::V;
    fn shr_u16<const N: i32>(self, v: Self::V) -> Self::V;
    fn shr_i16<const N: i32>(self, v: Self::V) -> Self::V;
    fn shl_i32<const N: i32>(self, v: Self::V) -> Self::V;
    fn shr_i32<const N: i32>(self, v: Self::V) -> Self::V;

    fn sub_i8(self, a: Self::V, b: Self::V) -> Self::V;
    fn add_i16(self, a: Self::V, b: Self::V) -> Self::V;
    fn sub_i16(self, a: Self::V, b: Self::V) -> Self::V;
    /// The lower halves of the products.
    fn mul_i16(self, a: Self::V, b: Self::V) -> Self::V;
    fn add_i32(self, a: Self::V, b: Self::V) -> Self::V;
    fn sub_i32(self, a: Self::V, b: Self::V) -> Self::V;
    fn mul_i32(self, a: Self::V, b: Self::V) -> Self::V;
    fn add_f32(self, a: Self::V, b: Self::V) -> Self::V;
    fn mul_f32(self, a: Self::V, b: Self::V) -> Self::V;
    /// The larger of two. Instruction sets differ in what they make of zeros of both signs, and of what is not a number: compilers turn
    /// any form of it into `relaxed_max`.
    fn max_f32(self, a: Self::V, b: Self::V) -> Self::V;
    /// `i32` lanes to `f32`, rounded to nearest even.
    fn to_f32(self, v: Self::V) -> Self::V;

    /// `i32` lane `i` = a₂ᵢ·b₂ᵢ + a₂ᵢ₊₁·b₂ᵢ₊₁ of `i16` lanes.
    fn dot_i16(self, a: Self::V, b: Self::V) -> Self::V;
    /// `i16` lane `i` = w₂ᵢ·a₂ᵢ + w₂ᵢ₊₁·a₂ᵢ₊₁ of 8-bit lanes. Weights are 0…127 and activations signed; the
    /// caller sees to it that no sum exceeds `i16` (weights up to 63 are safe with any activation), where
    /// instruction sets differ.
    fn dot_u7_i8(self, w: Self::V, a: Self::V) -> Self::V;
    /// `i32` lane `i` = accᵢ + the sum of the four products w₄ᵢ·a₄ᵢ … of 8-bit lanes. Weights are signed and activations
    /// 0…127, where all instruction sets agree.
    fn add_dot_i8_u7(self, acc: Self::V, w: Self::V, a: Self::V) -> Self::V;

    /// Byte `i` of the result is byte `indices[i]` of `v`, or 0 where the index is [`ZERO`]. There are no other indices
    /// than 0…15 and [`ZERO`]: instruction sets differ in what they do with them.
    fn lookup(self, v: Self::V, indices: Self::V) -> Self::V;
    /// [`Self::lookup`] with indices that the compiler knows.
    #[inline(always)]
    fn swizzle(self, v: Self::V, indices: &Bytes16) -> Self::V {
        self.lookup(v, self.constant(indices))
    }
    /// 32-bit lanes `a₀ b₀ a₁ b₁`.
    fn zip_low_32(self, a: Self::V, b: Self::V) -> Self::V;
    /// 32-bit lanes `a₂ b₂ a₃ b₃`.
    fn zip_high_32(self, a: Self::V, b: Self::V) -> Self::V;
    /// 64-bit lanes `a₀ b₀`.
    fn zip_low_64(self, a: Self::V, b: Self::V) -> Self::V;
    /// 64-bit lanes `a₁ b₁`.
    fn zip_high_64(self, a: Self::V, b: Self::V) -> Self::V;

    /// The first `f32` lane.
    #[inline(always)]
    fn first_f32(self, v: Self::V) -> f32 {
        let mut bytes = [0; size_of::<Bytes16>()];
        self.store(v, &mut bytes);
        let [a, b, c, d, ..] = bytes;
        f32::from_le_bytes([a, b, c, d])
    }
    /// The largest `f32` of eight vectors, as [`Self::max_f32`] has it.
    #[inline(always)]
    fn largest_f32(self, [a, b, c, d, e, f, g, h]: [Self::V; 8]) -> f32 {
        let four = |a, b, c, d| self.max_f32(self.max_f32(a, b), self.max_f32(c, d));
        let lanes = self.max_f32(four(a, b, c, d), four(e, f, g, h));
        let two = self.max_f32(lanes, self.zip_high_64(lanes, lanes));
        self.first_f32(self.max_f32(two, self.broadcast::<1>(two)))
    }

    /// The 4 × 4 matrix of 32-bit lanes with rows and columns exchanged.
    #[inline(always)]
    fn transpose(self, rows: [Self::V; 4]) -> [Self::V; 4] {
        let [a, b, c, d] = rows;
        let (ab, cd) = (self.zip_low_32(a, b), self.zip_low_32(c, d));
        let (ab_high, cd_high) = (self.zip_high_32(a, b), self.zip_high_32(c, d));
        [
            self.zip_low_64(ab, cd),
            self.zip_high_64(ab, cd),
            self.zip_low_64(ab_high, cd_high),
            self.zip_high_64(ab_high, cd_high),
        ]
    }
}

/// The index of [`Simd::lookup`] that gives 0.
pub(crate) const ZERO: u8 = 0x80;

/// Work that can be done with any instruction set.
pub(crate) trait Task {
    type Output;
    /// Implementations must be `#[inline(always)]`, so that the body is compiled for the caller's instructions.
    fn run<S: Simd>(self, s: S) -> Self::Output;
}

/// An instruction set the kernels can use, with an arrangement of activations that suits it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Isa(Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Left out of WebAssembly builds, where it could not be chosen and would only make the module larger.
    #[cfg(any(test, not(all(target_arch = "wasm32", target_feature = "simd128"))))]
    Scalar(Dot),
    #[cfg(target_arch = "x86_64")]
    Avx2(x86::Avx2),
    #[cfg(all(
        target_arch = "wasm32",
        target_feature = "simd128",
        not(target_feature = "relaxed-simd")
    ))]
    Simd128,
    #[cfg(all(target_arch = "wasm32", target_feature = "relaxed-simd"))]
    Relaxed,
}

/// An arrangement of activations: [`ByteDot`] or [`WordDot`].
#[cfg(any(test, not(all(target_arch = "wasm32", target_feature = "simd128"))))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dot {
    Bytes,
    Words,
}

impl Isa {
    /// No vector instructions: slow, and the specification of the others.
    #[cfg(any(test, not(all(target_arch = "wasm32", target_feature = "simd128"))))]
    pub const SCALAR: Self = Self(Kind::Scalar(Dot::Bytes));

    /// The fastest this machine has.
    #[must_use]
    pub fn best() -> Self {
        #[cfg(all(target_arch = "wasm32", target_feature = "relaxed-simd"))]
        return Self(Kind::Relaxed);
        #[cfg(all(
            target_arch = "wasm32",
            target_feature = "simd128",
            not(target_feature = "relaxed-simd")
        ))]
        return Self(Kind::Simd128);
        #[cfg(target_arch = "x86_64")]
        if let Some(avx2) = x86::Avx2::detect() {
            return Self(Kind::Avx2(avx2));
        }
        #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
        Self::SCALAR
    }

    /// Everything this machine has and this build can use.
    #[must_use]
    pub fn available() -> Vec<Self> {
        let all = [
            #[cfg(any(test, not(all(target_arch = "wasm32", target_feature = "simd128"))))]
            Kind::Scalar(Dot::Bytes),
            #[cfg(any(test, not(all(target_arch = "wasm32", target_feature = "simd128"))))]
            Kind::Scalar(Dot::Words),
            #[cfg(all(
                target_arch = "wasm32",
                target_feature = "simd128",
                not(target_feature = "relaxed-simd")
            ))]
            Kind::Simd128,
            #[cfg(all(target_arch = "wasm32", target_feature = "relaxed-simd"))]
            Kind::Relaxed,
        ];
        #[allow(unused_mut, reason = "only some machines have more")]
        let mut all = all.map(Self).to_vec();
        #[cfg(target_arch = "x86_64")]
        all.extend(x86::Avx2::detect().map(|avx2| Self(Kind::Avx2(avx2))));
        all
    }

    /// `scalar`, `avx2`, `simd128` or `relaxed-simd`, followed by the arrangement of activations if there are several.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(any(test, not(all(target_arch = "wasm32", target_feature = "simd128"))))]
            Kind::Scalar(dot) => match dot {
                Dot::Bytes => "scalar",
                Dot::Words => "scalar (words)",
            },
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(_) => "avx2",
            #[cfg(all(
                target_arch = "wasm32",
                target_feature = "simd128",
                not(target_feature = "relaxed-simd")
            ))]
            Kind::Simd128 => "simd128",
            #[cfg(all(target_arch = "wasm32", target_feature = "relaxed-simd"))]
            Kind::Relaxed => "relaxed-simd",
        }
    }

    /// Runs `task` compiled for this instruction set.
    pub(crate) fn run<T: Task>(self, task: T) -> T::Output {
        match self.0 {
            #[cfg(any(test, not(all(target_arch = "wasm32", target_feature = "simd128"))))]
            Kind::Scalar(dot) => match dot {
                Dot::Bytes => task.run(Scalar::<ByteDot>::new()),
                Dot::Words => task.run(Scalar::<WordDot>::new()),
            },
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(avx2) => avx2.run(task),
            #[cfg(all(
                target_arch = "wasm32",
                target_feature = "simd128",
                not(target_feature = "relaxed-simd")
            ))]
            Kind::Simd128 => task.run(wasm::Simd128::<WordDot>::new()),
            #[cfg(all(target_arch = "wasm32", target_feature = "relaxed-simd"))]
            Kind::Relaxed => task.run(wasm::Simd128::<ByteDot>::new()),
        }
    }
}

#[cfg(test)]
mod tests;
