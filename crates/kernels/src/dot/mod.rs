//! How integer products are formed: several arrangements of the same sum.
//!
//! A packed weight vector holds four rows × four consecutive columns of 8 bits, so an accumulator has a 32-bit lane
//! for each of four rows and no sum ever crosses lanes. Accumulators are decreased by products: written as a sum,
//! LLVM re-associates the additions into a wide tree, whose intermediate values an engine with 16 vector registers
//! then spills. The sign is taken back by a negative scale at the end, which is exact.

mod bytes;
mod flipped;
mod signed;
mod words;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::isa::{Bytes16, Lane, Simd, ZERO};
use crate::prepared::STEPS;

pub(crate) use bytes::{ByteDot, as_bytes};
pub(crate) use flipped::FlippedDot;
pub(crate) use signed::SignedWordDot;
pub(crate) use words::WordDot;

/// Plain data without alignment: every bit pattern is a value.
pub(crate) trait Pod:
    FromBytes + IntoBytes + KnownLayout + Immutable + Unaligned + Copy
{
}

impl<T: FromBytes + IntoBytes + KnownLayout + Immutable + Unaligned + Copy> Pod for T {}

/// What an arrangement makes of four consecutive columns of four weight rows, or of four consecutive activations of one
/// row, which are for all four weight rows: a lane, in most arrangements, that is repeated over a vector when it is loaded.
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

/// An arrangement of activations, and the products of weights with it.
///
/// An *accumulator* holds, for each of four rows, minus a sum of products: one `i32` in the arrangements for signed bytes, to
/// which the following limits do not apply, and in the others two `i16` that are to be added. At most 16
/// products of weights up to 15, 8 of weights up to 31, or 64 of weights up to 3, may go into one before it is widened; a
/// start value that centres the weights (`centre · sum of activations`) allows 16 of |weight − centre| ≤ 16, or 8 of
/// ≤ 32: the arithmetic wraps, only the final value has to fit 16 bits.
pub(crate) trait DotForm: Copy + Send + Sync + 'static {
    /// What it reads of the activations.
    type Step: ActStep<Dot = Self>;

    /// What it reads of weights that were unpacked for many rows of activations: as many parts.
    type Weights: Step<Part = Bytes16>;

    /// The steps of 32 consecutive quantized activations.
    fn steps<S: Simd>(s: S, q: [S::V; 2]) -> [Self::Step; STEPS];

    /// `sum`, which begins as 0, and the sum of sixteen activations, as an accumulator: of all of them, for unsigned weights.
    #[inline(always)]
    fn add_sum<S: Simd>(s: S, sum: S::V, q: S::V) -> S::V {
        let [even, odd] = columns(s, q);
        let pairs = s.add_i16(even, odd);
        let first = s.add_i16(s.broadcast::<0>(pairs), s.broadcast::<1>(pairs));
        let second = s.add_i16(s.broadcast::<2>(pairs), s.broadcast::<3>(pairs));
        s.add_i16(sum, s.add_i16(first, second))
    }

    /// `acc − w · a` for each row, for one part of a step of weights and the same of activations.
    fn sub_part<S: Simd>(s: S, acc: S::V, w: S::V, a: &PartOf<Self>) -> S::V;

    /// The accumulator as one `i32` per row.
    #[inline(always)]
    fn widen<S: Simd>(s: S, acc: S::V) -> S::V {
        widen_pairs(s, acc)
    }

    /// The accumulator times a scale per row (as [`Self::scale_u8`] gives it), as one `i32` per row.
    #[inline(always)]
    fn scaled<S: Simd>(s: S, acc: S::V, scale: S::V) -> S::V {
        s.dot_i16(acc, scale)
    }

    /// Byte `j` of each 32-bit lane, unsigned, as the scale of its row.
    #[inline(always)]
    fn scale_u8<S: Simd>(s: S, scales: S::V, j: usize) -> S::V {
        const LOW_BYTES: [Bytes16; 4] = bytes_of_lane([true, false, true, false]);
        s.swizzle(scales, &LOW_BYTES[j])
    }

    /// Byte `j` of each 32-bit lane, signed, as the scale of its row.
    #[inline(always)]
    fn scale_i8<S: Simd>(s: S, scales: S::V, j: usize) -> S::V {
        const HIGH_BYTES: [Bytes16; 4] = bytes_of_lane([false, true, false, true]);
        s.shr_i16::<8>(s.swizzle(scales, &HIGH_BYTES[j]))
    }
}

/// A part of the activations of a [`DotForm`].
pub(crate) type PartOf<D> = <<D as DotForm>::Step as Step>::Part;

/// An arrangement for weights of a byte each.
pub(crate) trait ByteForm: DotForm {
    /// The step that a vector of unpacked weights makes.
    fn weights<S: Simd>(s: S, w: S::V) -> Self::Weights;

    /// `acc − w · a` for each row, for a vector of unpacked weights.
    fn sub<S: Simd>(s: S, acc: S::V, w: S::V, a: &Self::Step) -> S::V;
}

/// An arrangement for vectors of nibbles: the lower ones are weights of a step, the upper ones of the step that has columns 16
/// further on.
pub(crate) trait NibbleForm: DotForm {
    /// The steps that lower and upper nibbles make.
    fn weights<S: Simd>(s: S, nibbles: S::V) -> [Self::Weights; 2];

    /// `acc − w · a` for each row, for the weights of both steps.
    fn sub<S: Simd>(s: S, acc: S::V, nibbles: S::V, a: [&Self::Step; 2]) -> S::V;
}

/// What an instruction set multiplies unsigned weights with.
pub(crate) trait Arrangement: ByteForm {
    /// The arrangement for nibbles that goes with it.
    type Nibbles: NibbleForm;

    /// The arrangement for signed bytes that goes with it.
    type Signed: SignedDotForm;
}

/// An arrangement for signed bytes: accumulators are one `i32` for each row.
pub(crate) trait SignedDotForm: ByteForm {
    /// Where an accumulator starts, given what is stored as the activations' sum.
    fn start<S: Simd>(s: S, sum: &Bytes16) -> S::V;

    /// A lane of each of the two vectors of a step of activations, whose lanes are equal.
    fn lanes(step: &Self::Step) -> Lanes;

    /// `acc − w · a` for each row, for a vector of weights and the two vectors of a step of activations.
    fn sub_vectors<S: Simd>(s: S, acc: S::V, w: S::V, a: [S::V; 2]) -> S::V;
}

/// A step of activations for signed weights, one lane of it.
pub(crate) type Lanes = [Lane; 2];

/// The [`SignedDotForm`] of an instruction set.
pub(crate) type SignedDot<S> = <<S as Simd>::Dot as Arrangement>::Signed;

/// Two `i16` for each row as one `i32`.
#[inline(always)]
pub(crate) fn widen_pairs<S: Simd>(s: S, acc: S::V) -> S::V {
    s.dot_i16(acc, s.splat_i16(1))
}

/// Even and odd columns of signed bytes.
#[inline(always)]
fn columns<S: Simd>(s: S, q: S::V) -> [S::V; 2] {
    [s.shr_i16::<8>(s.shl_i16::<8>(q)), s.shr_i16::<8>(q)]
}

/// Both halves of the steps of 32 columns.
#[inline(always)]
fn halves<T: Copy>(first: [T; 4], second: [T; 4]) -> [T; STEPS] {
    std::array::from_fn(|i| if i < 4 { first[i] } else { second[i - 4] })
}

/// The 32-bit lanes of `v`.
#[inline(always)]
fn lanes<S: Simd>(s: S, v: S::V) -> [Lane; 4] {
    let bytes = stored(s, v);
    let (lanes, _) = bytes.as_chunks();
    [lanes[0], lanes[1], lanes[2], lanes[3]]
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
