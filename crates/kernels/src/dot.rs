//! How integer products are formed: arrangements of the same sum.
//!
//! A packed weight vector holds four rows × four consecutive columns of 8 bits, so an accumulator has a 32-bit lane
//! for each of four rows and no sum ever crosses lanes. Accumulators are decreased by products: written as a sum,
//! LLVM re-associates the additions into a wide tree, whose intermediate values an engine with 16 vector registers
//! then spills. The sign is taken back by a negative scale at the end, which is exact.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::isa::{Bytes16, Simd, ZERO};

/// Plain data without alignment: every bit pattern is a value.
pub(crate) trait Pod:
    FromBytes + IntoBytes + KnownLayout + Immutable + Unaligned + Copy
{
}

impl<T: FromBytes + IntoBytes + KnownLayout + Immutable + Unaligned + Copy> Pod for T {}

/// What an arrangement makes of four consecutive columns of four weight rows, or of four consecutive activations of one
/// row, which are repeated for four weight rows.
pub(crate) trait Step: Pod + AsRef<[Self::Part]> + Send + Sync + 'static {
    /// What one multiplication takes.
    type Part: Pod;

    /// How many there are.
    const PARTS: usize;
}

impl<P: Pod + Send + Sync + 'static, const PARTS: usize> Step for [P; PARTS] {
    type Part = P;
    const PARTS: usize = PARTS;
}

/// A step of activations.
pub(crate) trait ActStep: Step {
    /// The arrangement that makes and sums such steps.
    type Dot: DotForm<Step = Self>;
}

impl ActStep for [Bytes16; 1] {
    type Dot = ByteDot;
}

impl ActStep for [Bytes16; 2] {
    type Dot = WordDot;
}

impl ActStep for [Flipped; 1] {
    type Dot = FlippedDot;
}

/// Puts the parts of a step in their places among the steps of `N` rows that lie side by side: the first parts of all
/// come before the second ones, so that a tile can finish with the former before it turns to the latter.
#[inline(always)]
pub(crate) fn set_row<T: Step, const N: usize>(row: usize, step: T, to: &mut [T; N]) {
    let parts = <[T::Part]>::mut_from_bytes(to.as_mut_bytes()).expect("steps are parts");
    let parts = parts.as_chunks_mut::<N>().0;
    for (part, to) in step.as_ref().iter().zip(parts) {
        to[row] = *part;
    }
}

/// The parts of `N` rows' steps, as [`set_row`] puts them.
#[inline(always)]
pub(crate) fn parts<T: Step, const N: usize>(steps: &[[T; N]]) -> &[[T::Part; N]] {
    let parts = <[T::Part]>::ref_from_bytes(steps.as_bytes());
    parts.expect("steps are parts").as_chunks().0
}

/// An arrangement of activations, and the products of weight vectors with it.
///
/// An *accumulator* holds, for each of four rows, minus a sum of products. At most 16 products of weights up to 15,
/// 8 of weights up to 31, or 64 of weights up to 3, may go into one before it is widened; a start value that centres the weights
/// (`centre · sum of activations`) allows 16 of |weight − centre| ≤ 16, or 8 of ≤ 32 (the arithmetic wraps, only
/// the final value has to fit 16 bits).
pub(crate) trait DotForm: Copy + Send + Sync + 'static {
    /// What it reads of the activations.
    type Step: ActStep;

    /// What it reads of weights that were unpacked for many rows of activations: as many parts.
    type Weights: Step<Part = Bytes16>;

    /// The arrangement for signed bytes that goes with it.
    type Signed: SignedDotForm;

    /// Minus the products of activations with this weight are stored as their sum.
    const SUMMED: u8;

    /// The steps of sixteen consecutive quantized activations.
    fn steps<S: Simd>(s: S, q: S::V) -> [Self::Step; 4];

    /// The step that a vector of unpacked weights makes.
    fn weights<S: Simd>(s: S, w: S::V) -> Self::Weights;

    /// `acc − w · a` for each row, for one part of a step of weights and the same of activations.
    fn sub_part<S: Simd>(s: S, acc: S::V, w: S::V, a: &PartOf<Self>) -> S::V;

    /// `acc − w · a` for each row, for a vector of unpacked weights.
    fn sub<S: Simd>(s: S, acc: S::V, w: S::V, a: &Self::Step) -> S::V;

    /// Minus the accumulator.
    fn negate<S: Simd>(s: S, acc: S::V) -> S::V;

    /// The accumulator times 2ᴺ.
    fn shl<S: Simd, const N: i32>(s: S, acc: S::V) -> S::V;

    /// The accumulator as one `i32` per row.
    fn widen<S: Simd>(s: S, acc: S::V) -> S::V;

    /// The accumulator times a scale per row (as [`Self::scale_u8`] gives it), as one `i32` per row.
    fn scaled<S: Simd>(s: S, acc: S::V, scale: S::V) -> S::V;

    /// Byte `j` of each 32-bit lane, unsigned, as the scale of its row.
    fn scale_u8<S: Simd>(s: S, scales: S::V, j: usize) -> S::V;

    /// Byte `j` of each 32-bit lane, signed, as the scale of its row.
    fn scale_i8<S: Simd>(s: S, scales: S::V, j: usize) -> S::V;
}

/// A part of the activations of a [`DotForm`].
pub(crate) type PartOf<D> = <<D as DotForm>::Step as Step>::Part;

/// An arrangement for signed bytes.
pub(crate) trait SignedDotForm: DotForm {
    /// Where an accumulator starts, given what is stored as the activations' sum.
    fn start<S: Simd>(s: S, sum: &Bytes16) -> S::V;

    /// A lane of each of the two vectors of a step of activations, whose lanes are equal.
    fn lanes(step: &Self::Step) -> Lanes;

    /// `acc − w · a` for each row, for a vector of weights and the two vectors of a step of activations.
    fn sub_vectors<S: Simd>(s: S, acc: S::V, w: S::V, a: [S::V; 2]) -> S::V;
}

/// A step of activations for signed weights, one lane of it.
pub(crate) type Lanes = [[u8; 4]; 2];

/// The [`SignedDotForm`] of an instruction set.
pub(crate) type SignedDot<S> = <<S as Simd>::Dot as DotForm>::Signed;

/// Splats each 32-bit lane of `v` into a vector of its own.
#[inline(always)]
fn splat_lanes<S: Simd>(s: S, v: S::V) -> [Bytes16; 4] {
    [
        stored(s, s.broadcast::<0>(v)),
        stored(s, s.broadcast::<1>(v)),
        stored(s, s.broadcast::<2>(v)),
        stored(s, s.broadcast::<3>(v)),
    ]
}

/// A vector in memory.
#[inline(always)]
fn stored<S: Simd>(s: S, v: S::V) -> Bytes16 {
    let mut bytes = [0; 16];
    s.store(v, &mut bytes);
    bytes
}

/// Swizzle indices that put byte `j` of each 32-bit lane at the bytes of the lane that `places` names.
const fn byte_of_lane(j: u8, places: [bool; 4]) -> Bytes16 {
    let mut indices = [ZERO; 16];
    let mut i = 0;
    while i < 16 {
        if places[i % 4] {
            indices[i] = (i / 4 * 4) as u8 + j;
        }
        i += 1;
    }
    indices
}

/// [`byte_of_lane`] for each byte.
const fn bytes_of_lane(places: [bool; 4]) -> [Bytes16; 4] {
    [
        byte_of_lane(0, places),
        byte_of_lane(1, places),
        byte_of_lane(2, places),
        byte_of_lane(3, places),
    ]
}

/// Activations as bytes, for instruction sets that multiply unsigned by signed bytes and add pairs: accumulators
/// are two `i16` per row.
#[derive(Clone, Copy)]
#[allow(
    dead_code,
    reason = "without relaxed-simd, WebAssembly has no use for it"
)]
pub(crate) struct ByteDot;

impl DotForm for ByteDot {
    type Step = [Bytes16; 1];
    type Weights = [Bytes16; 1];
    type Signed = FlippedDot;
    const SUMMED: u8 = 1;

    #[inline(always)]
    fn steps<S: Simd>(s: S, q: S::V) -> [Self::Step; 4] {
        splat_lanes(s, q).map(|step| [step])
    }

    #[inline(always)]
    fn weights<S: Simd>(s: S, w: S::V) -> Self::Weights {
        [stored(s, w)]
    }

    #[inline(always)]
    fn sub_part<S: Simd>(s: S, acc: S::V, w: S::V, a: &Bytes16) -> S::V {
        s.sub_i16(acc, s.dot_u7_i8(w, s.load(a)))
    }

    #[inline(always)]
    fn sub<S: Simd>(s: S, acc: S::V, w: S::V, a: &Self::Step) -> S::V {
        Self::sub_part(s, acc, w, &a[0])
    }

    #[inline(always)]
    fn negate<S: Simd>(s: S, acc: S::V) -> S::V {
        s.sub_i16(s.splat_i32(0), acc)
    }

    #[inline(always)]
    fn shl<S: Simd, const N: i32>(s: S, acc: S::V) -> S::V {
        s.shl_i16::<N>(acc)
    }

    #[inline(always)]
    fn widen<S: Simd>(s: S, acc: S::V) -> S::V {
        s.dot_i16(acc, s.splat_i16(1))
    }

    #[inline(always)]
    fn scaled<S: Simd>(s: S, acc: S::V, scale: S::V) -> S::V {
        s.dot_i16(acc, scale)
    }

    #[inline(always)]
    fn scale_u8<S: Simd>(s: S, scales: S::V, j: usize) -> S::V {
        const LOW_BYTES: [Bytes16; 4] = bytes_of_lane([true, false, true, false]);
        s.swizzle(scales, &LOW_BYTES[j])
    }

    #[inline(always)]
    fn scale_i8<S: Simd>(s: S, scales: S::V, j: usize) -> S::V {
        const HIGH_BYTES: [Bytes16; 4] = bytes_of_lane([false, true, false, true]);
        s.shr_i16::<8>(s.swizzle(scales, &HIGH_BYTES[j]))
    }
}

/// Activations as 16-bit words, even columns apart from odd ones, for instruction sets that only multiply words:
/// accumulators are one `i32` per row, and any number of products fits.
#[derive(Clone, Copy)]
pub(crate) struct WordDot;

impl DotForm for WordDot {
    /// Columns 0 and 2, columns 1 and 3.
    type Step = [Bytes16; 2];
    type Weights = [Bytes16; 2];
    type Signed = SignedWordDot;
    const SUMMED: u8 = 1;

    #[inline(always)]
    fn steps<S: Simd>(s: S, q: S::V) -> [Self::Step; 4] {
        let even = splat_lanes(s, s.shr_i16::<8>(s.shl_i16::<8>(q)));
        let odd = splat_lanes(s, s.shr_i16::<8>(q));
        std::array::from_fn(|i| [even[i], odd[i]])
    }

    #[inline(always)]
    fn weights<S: Simd>(s: S, w: S::V) -> Self::Weights {
        Self::unsigned(s, w).map(|w| stored(s, w))
    }

    #[inline(always)]
    fn sub_part<S: Simd>(s: S, acc: S::V, w: S::V, a: &Bytes16) -> S::V {
        s.sub_i32(acc, s.dot_i16(w, s.load(a)))
    }

    #[inline(always)]
    fn sub<S: Simd>(s: S, acc: S::V, w: S::V, a: &Self::Step) -> S::V {
        Self::sub_both(s, acc, Self::unsigned(s, w), a)
    }

    #[inline(always)]
    fn negate<S: Simd>(s: S, acc: S::V) -> S::V {
        s.sub_i32(s.splat_i32(0), acc)
    }

    #[inline(always)]
    fn shl<S: Simd, const N: i32>(s: S, acc: S::V) -> S::V {
        s.shl_i32::<N>(acc)
    }

    #[inline(always)]
    fn widen<S: Simd>(_: S, acc: S::V) -> S::V {
        acc
    }

    #[inline(always)]
    fn scaled<S: Simd>(s: S, acc: S::V, scale: S::V) -> S::V {
        s.mul_i32(acc, scale)
    }

    #[inline(always)]
    fn scale_u8<S: Simd>(s: S, scales: S::V, j: usize) -> S::V {
        const LOW_BYTE: [Bytes16; 4] = bytes_of_lane([true, false, false, false]);
        s.swizzle(scales, &LOW_BYTE[j])
    }

    #[inline(always)]
    fn scale_i8<S: Simd>(s: S, scales: S::V, j: usize) -> S::V {
        const HIGH_BYTE: [Bytes16; 4] = bytes_of_lane([false, false, false, true]);
        s.shr_i32::<24>(s.swizzle(scales, &HIGH_BYTE[j]))
    }
}

impl WordDot {
    /// Even and odd columns of unsigned weights.
    #[inline(always)]
    fn unsigned<S: Simd>(s: S, w: S::V) -> [S::V; 2] {
        [s.and(w, s.splat_i16(0x00ff)), s.shr_u16::<8>(w)]
    }

    #[inline(always)]
    fn sub_both<S: Simd>(s: S, acc: S::V, w: [S::V; 2], a: &[Bytes16; 2]) -> S::V {
        let acc = Self::sub_part(s, acc, w[0], &a[0]);
        Self::sub_part(s, acc, w[1], &a[1])
    }
}

/// [`WordDot`] with signed weights.
///
/// A weight is the upper byte of its word, where signs need no operation. Accumulators therefore hold 256 times the
/// sum, which up to 512 products of weights fit.
#[derive(Clone, Copy)]
pub(crate) struct SignedWordDot;

impl SignedWordDot {
    /// Even and odd columns, times 256.
    #[inline(always)]
    fn upper_bytes<S: Simd>(s: S, w: S::V) -> [S::V; 2] {
        const UPPER: i16 = 0xff00_u16 as i16;
        [s.shl_i16::<8>(w), s.and(w, s.splat_i16(UPPER))]
    }
}

impl DotForm for SignedWordDot {
    type Step = <WordDot as DotForm>::Step;
    type Weights = <WordDot as DotForm>::Weights;
    type Signed = Self;
    const SUMMED: u8 = 1;

    #[inline(always)]
    fn steps<S: Simd>(s: S, q: S::V) -> [Self::Step; 4] {
        WordDot::steps(s, q)
    }

    #[inline(always)]
    fn weights<S: Simd>(s: S, w: S::V) -> Self::Weights {
        Self::upper_bytes(s, w).map(|w| stored(s, w))
    }

    #[inline(always)]
    fn sub_part<S: Simd>(s: S, acc: S::V, w: S::V, a: &Bytes16) -> S::V {
        WordDot::sub_part(s, acc, w, a)
    }

    #[inline(always)]
    fn sub<S: Simd>(s: S, acc: S::V, w: S::V, a: &Self::Step) -> S::V {
        WordDot::sub_both(s, acc, Self::upper_bytes(s, w), a)
    }

    #[inline(always)]
    fn negate<S: Simd>(s: S, acc: S::V) -> S::V {
        WordDot::negate(s, acc)
    }

    #[inline(always)]
    fn shl<S: Simd, const N: i32>(s: S, acc: S::V) -> S::V {
        WordDot::shl::<S, N>(s, acc)
    }

    #[inline(always)]
    fn widen<S: Simd>(s: S, acc: S::V) -> S::V {
        s.shr_i32::<8>(acc)
    }

    #[inline(always)]
    fn scaled<S: Simd>(s: S, acc: S::V, scale: S::V) -> S::V {
        WordDot::scaled(s, Self::widen(s, acc), scale)
    }

    #[inline(always)]
    fn scale_u8<S: Simd>(s: S, scales: S::V, j: usize) -> S::V {
        WordDot::scale_u8(s, scales, j)
    }

    #[inline(always)]
    fn scale_i8<S: Simd>(s: S, scales: S::V, j: usize) -> S::V {
        WordDot::scale_i8(s, scales, j)
    }
}

impl SignedDotForm for SignedWordDot {
    #[inline(always)]
    fn start<S: Simd>(s: S, _: &Bytes16) -> S::V {
        s.splat_i32(0)
    }

    #[inline(always)]
    fn lanes(step: &Self::Step) -> Lanes {
        step.map(|vector| vector.as_chunks().0[0])
    }

    #[inline(always)]
    fn sub_vectors<S: Simd>(s: S, acc: S::V, w: S::V, a: [S::V; 2]) -> S::V {
        let w = Self::upper_bytes(s, w);
        let acc = s.sub_i32(acc, s.dot_i16(w[0], a[0]));
        s.sub_i32(acc, s.dot_i16(w[1], a[1]))
    }
}

/// Four activations for [`FlippedDot`], repeated.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct Flipped {
    magnitudes: Bytes16,
    /// All bits where the activation is not negative.
    flips: Bytes16,
}

/// Signed weights for instruction sets that multiply signed bytes by ones of 7 bits and add four: accumulators are one
/// `i32` per row.
///
/// An activation's magnitude has 7 bits, and its sign is moved to the weight. For minus the sum, weights are negated where the
/// activation is not negative, by flipping their bits, which makes −w − 1 of w: `−Σwa = Σ flipped(w) |a| + Σ a`, the last sum
/// over these activations alone. That sum is where accumulators start.
#[derive(Clone, Copy)]
#[allow(
    dead_code,
    reason = "without relaxed-simd, WebAssembly has no use for it"
)]
pub(crate) struct FlippedDot;

impl DotForm for FlippedDot {
    type Step = [Flipped; 1];
    type Weights = [Bytes16; 1];
    type Signed = Self;
    const SUMMED: u8 = 0;

    #[inline(always)]
    fn steps<S: Simd>(s: S, q: S::V) -> [Self::Step; 4] {
        let odd = s.and(s.shr_i16::<15>(q), s.splat_i16(0xff00_u16.cast_signed()));
        let even = s.shr_u16::<8>(s.shr_i16::<15>(s.shl_i16::<8>(q)));
        let negative = s.or(odd, even);
        let magnitudes = splat_lanes(s, s.sub_i8(s.xor(q, negative), negative));
        let flips = splat_lanes(s, s.xor(negative, s.splat_u8(0xff)));
        std::array::from_fn(|i| {
            [Flipped {
                magnitudes: magnitudes[i],
                flips: flips[i],
            }]
        })
    }

    #[inline(always)]
    fn weights<S: Simd>(s: S, w: S::V) -> Self::Weights {
        [stored(s, w)]
    }

    #[inline(always)]
    fn sub_part<S: Simd>(s: S, acc: S::V, w: S::V, a: &Flipped) -> S::V {
        let flipped = s.xor(w, s.load(&a.flips));
        s.add_dot_i8_u7(acc, flipped, s.load(&a.magnitudes))
    }

    #[inline(always)]
    fn sub<S: Simd>(s: S, acc: S::V, w: S::V, a: &Self::Step) -> S::V {
        Self::sub_part(s, acc, w, &a[0])
    }

    #[inline(always)]
    fn negate<S: Simd>(s: S, acc: S::V) -> S::V {
        WordDot::negate(s, acc)
    }

    #[inline(always)]
    fn shl<S: Simd, const N: i32>(s: S, acc: S::V) -> S::V {
        WordDot::shl::<S, N>(s, acc)
    }

    #[inline(always)]
    fn widen<S: Simd>(_: S, acc: S::V) -> S::V {
        acc
    }

    #[inline(always)]
    fn scaled<S: Simd>(s: S, acc: S::V, scale: S::V) -> S::V {
        WordDot::scaled(s, acc, scale)
    }

    #[inline(always)]
    fn scale_u8<S: Simd>(s: S, scales: S::V, j: usize) -> S::V {
        WordDot::scale_u8(s, scales, j)
    }

    #[inline(always)]
    fn scale_i8<S: Simd>(s: S, scales: S::V, j: usize) -> S::V {
        WordDot::scale_i8(s, scales, j)
    }
}

impl SignedDotForm for FlippedDot {
    #[inline(always)]
    fn start<S: Simd>(s: S, sum: &Bytes16) -> S::V {
        s.load(sum)
    }

    #[inline(always)]
    fn lanes([step]: &Self::Step) -> Lanes {
        [step.magnitudes, step.flips].map(|vector| vector.as_chunks().0[0])
    }

    #[inline(always)]
    fn sub_vectors<S: Simd>(s: S, acc: S::V, w: S::V, a: [S::V; 2]) -> S::V {
        s.add_dot_i8_u7(acc, s.xor(w, a[1]), a[0])
    }
}
