//! The exponential function, and the softmax made with it.

use crate::sum::Partial;

/// Below this, e^x is smaller than the smallest normal number and [`exp`] returns 0.
const SMALLEST: f32 = -87.336_54;

/// Above this, e^x would not be finite; [`exp`] stops growing.
const LARGEST: f32 = 88.376_26;

/// Adding and subtracting it rounds a number of moderate size to the nearest integer, the even one of two.
const ROUND: f32 = 12_582_912.0;

/// ln 2 in two parts: products of the first with integers up to 128 are exact.
const LN_2_HIGH: f32 = 0.693_359_375;
const LN_2_LOW: f32 = -2.121_944_4e-4;

/// e^r for |r| ≤ ln 2 / 2 is 1 + r + r² · P(r), with these coefficients of P, highest power first
/// (Moshier, *Cephes Mathematical Library*, `expf`).
const EXP_POLYNOMIAL: [f32; 6] = [
    1.987_569_1e-4,
    1.398_199_9e-3,
    8.333_452e-3,
    4.166_579_6e-2,
    1.666_666_5e-1,
    5e-1,
];

/// e^x with a relative error below 2⁻²³ (one unit in the last place), 0 below −87.34 and e^88.38 above 88.38. NaN stays
/// NaN.
///
/// Free of branches and of tables, so that it is the same in every lane of a vector.
#[inline]
pub fn exp(x: f32) -> f32 {
    let clamped = if x > LARGEST { LARGEST } else { x };
    let clamped = if clamped < SMALLEST {
        SMALLEST
    } else {
        clamped
    };
    let shifted = clamped * std::f32::consts::LOG2_E + ROUND;
    let power = shifted - ROUND;
    let r = clamped - power * LN_2_HIGH - power * LN_2_LOW;
    let mut p = EXP_POLYNOMIAL[0];
    for coefficient in &EXP_POLYNOMIAL[1..] {
        p = p * r + coefficient;
    }
    let mantissa = p * (r * r) + r + 1.0;
    // The low bits of `shifted` hold the power as an integer.
    let exponent = shifted
        .to_bits()
        .wrapping_sub(ROUND.to_bits())
        .wrapping_add(F32_EXPONENT_BIAS);
    let result = mantissa * f32::from_bits(exponent << F32_MANTISSA_BITS);
    if x < SMALLEST { 0.0 } else { result }
}

const F32_EXPONENT_BIAS: u32 = 127;
const F32_MANTISSA_BITS: u32 = 23;

/// The largest element; `NEG_INFINITY` if there is none.
#[inline]
pub(crate) fn max(x: &[f32]) -> f32 {
    x.iter()
        .fold(f32::NEG_INFINITY, |max, &x| if x > max { x } else { max })
}

/// Turns `x` into probabilities in proportion to e^x. The largest element is subtracted first, so that nothing
/// overflows.
pub fn softmax(x: &mut [f32]) {
    let largest = max(x);
    for x in x.iter_mut() {
        *x = exp(*x - largest);
    }
    let mut sum = Partial::default();
    sum.add(x, |x| x);
    let scale = 1.0 / sum.total();
    for x in x {
        *x *= scale;
    }
}
