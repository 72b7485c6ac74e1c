//! The exponential function, and the softmax made with it.

use crate::isa::{Isa, Simd, Task};
use crate::sum::Partial;

/// Below this, e^x is smaller than the smallest normal number and [`exp`] returns 0.
const SMALLEST: f32 = -87.336_54;

/// Above this, e^x would not be finite; [`exp`] stops growing.
const LARGEST: f32 = 88.376_26;

/// Adding and subtracting it rounds a number of moderate size to the nearest integer, the even one of two.
const ROUND: f32 = 12_582_912.0;

/// ln 2 in two parts: products of the first with integers up to 128 are exact.
const LN_2_HIGH: f32 = 355.0 / 512.0;
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
#[inline(always)]
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

/// Elements compared side by side.
const LANES: usize = 8;

/// The largest element; `NEG_INFINITY` if there is none.
#[inline(always)]
pub(crate) fn max(x: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let (chunks, rest) = x.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = larger(*lane, x);
        }
    }
    let four: [f32; 4] = std::array::from_fn(|i| larger(lanes[i], lanes[i + 4]));
    let two = [larger(four[0], four[2]), larger(four[1], four[3])];
    rest.iter()
        .fold(larger(two[0], two[1]), |max, &x| larger(max, x))
}

/// Turns `x` into probabilities in proportion to e^x. The largest element is subtracted first, so that nothing
/// overflows.
pub fn softmax(x: &mut [f32]) {
    softmax_with(Isa::best(), x);
}

fn softmax_with(isa: Isa, x: &mut [f32]) {
    isa.run(Softmax { x });
}

struct Softmax<'a> {
    x: &'a mut [f32],
}

impl Task for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let largest = max(self.x);
        for x in self.x.iter_mut() {
            *x = exp(*x - largest);
        }
        let mut sum = Partial::default();
        sum.add(self.x, |x| x);
        let scale = 1.0 / sum.total();
        for x in self.x {
            *x *= scale;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Random, assert_same_bits};
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn the_exponential_is_within_one_unit_in_the_last_place() {
        // Every 401st float between the limits, of both signs.
        let steps = |limit: f32| (0..=limit.to_bits()).step_by(401).map(f32::from_bits);
        let arguments = steps(LARGEST)
            .chain(steps(-SMALLEST).map(|x| -x))
            .chain([LARGEST, SMALLEST]);
        let worst = arguments
            .map(|x| (f64::from(exp(x)) / f64::from(x).exp() - 1.0).abs())
            .fold(0.0, f64::max);
        assert!(worst < 2f64.powi(-23), "relative error {worst:e}");
    }

    #[test]
    fn the_exponential_at_its_limits() {
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(-0.0), 1.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(SMALLEST.next_down()), 0.0);
        assert!(exp(SMALLEST) > 0.0);
        assert_eq!(exp(f32::INFINITY), exp(LARGEST));
        assert!(exp(LARGEST).is_finite());
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn softmax_agrees_with_the_formula_in_64_bits() {
        let mut random = Random::new(5);
        for (len, scale) in [(1, 1.0), (3, 80.0), (100, 5.0), (1000, 3e4), (5000, 0.1)] {
            let x = random.floats(len, scale);
            let largest = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let terms: Vec<f64> = x.iter().map(|&x| f64::from(x - largest).exp()).collect();
            let sum: f64 = terms.iter().sum();
            let mut out = x.clone();
            softmax(&mut out);
            for (out, term) in out.iter().zip(terms) {
                assert!((f64::from(*out) - term / sum).abs() <= 1e-6 * (term / sum) + 1e-37);
            }
        }
    }

    #[test]
    fn is_the_same_on_every_instruction_set() {
        let x = Random::new(6).floats(1003, 20.0);
        let mut expected = x.clone();
        softmax_with(Isa::SCALAR, &mut expected);
        for isa in Isa::available() {
            let mut out = x.clone();
            softmax_with(isa, &mut out);
            assert_same_bits(&out, &expected);
        }
    }
}
