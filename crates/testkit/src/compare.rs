//! How close two vectors are.

/// Largest absolute difference between elements; infinite where one is NaN.
///
/// # Panics
/// If the lengths differ.
pub fn max_abs_diff(actual: &[f32], expected: &[f32]) -> f64 {
    pairs(actual, expected).fold(0.0, |largest, (a, e)| {
        largest.max(or_infinite((a - e).abs()))
    })
}

/// Root mean square of the difference over that of the expected values: 0 is equality, 1 is no likeness at all.
/// Infinite where one is NaN. Where all expected values are zero, the root mean square of the difference.
///
/// # Panics
/// If the lengths differ.
pub fn normalized_rms_error(actual: &[f32], expected: &[f32]) -> f64 {
    let (difference, scale) = pairs(actual, expected).fold((0.0, 0.0), |(d, s), (a, e)| {
        (d + (a - e).powi(2), s + e.powi(2))
    });
    let scale = if scale == 0.0 {
        expected.len().max(1) as f64
    } else {
        scale
    };
    or_infinite((difference / scale).sqrt())
}

/// Position of the largest element, the first of equals.
///
/// # Panics
/// If there are no elements.
pub fn argmax(values: &[f32]) -> usize {
    (1..values.len()).fold(0, |best, i| if values[i] > values[best] { i } else { best })
}

/// Asserts that the normalized root-mean-square error is at most `tolerance`.
///
/// # Panics
/// If it is not, with both errors and the worst element.
#[track_caller]
pub fn assert_close(actual: &[f32], expected: &[f32], tolerance: f64) {
    let error = normalized_rms_error(actual, expected);
    if error > tolerance {
        let worst = pairs(actual, expected)
            .enumerate()
            .max_by(|(_, (a, b)), (_, (c, d))| {
                or_infinite((a - b).abs()).total_cmp(&or_infinite((c - d).abs()))
            });
        let (index, (a, e)) = worst.unwrap_or_default();
        panic!(
            "normalized error {error:.3e} exceeds {tolerance:.3e}; worst of {} elements is {index}: {a} instead of {e}",
            actual.len()
        );
    }
}

fn pairs(actual: &[f32], expected: &[f32]) -> impl Iterator<Item = (f64, f64)> {
    assert_eq!(actual.len(), expected.len(), "lengths differ");
    let widen = |&x: &f32| f64::from(x);
    actual.iter().map(widen).zip(expected.iter().map(widen))
}

fn or_infinite(difference: f64) -> f64 {
    if difference.is_nan() {
        f64::INFINITY
    } else {
        difference
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_measured() {
        assert_eq!(max_abs_diff(&[1.0, 2.0], &[1.0, 2.5]), 0.5);
        assert_eq!(normalized_rms_error(&[3.0, 0.0], &[3.0, 4.0]), 0.8);
        assert_eq!(normalized_rms_error(&[0.0, 2.0], &[0.0, 0.0]), 2f64.sqrt());
        assert_eq!(normalized_rms_error(&[], &[]), 0.0);
        assert_eq!(argmax(&[1.0, 3.0, 3.0]), 1);
    }

    #[test]
    fn nan_is_never_close() {
        assert_eq!(normalized_rms_error(&[f32::NAN], &[1.0]), f64::INFINITY);
        assert_eq!(max_abs_diff(&[1.0], &[f32::NAN]), f64::INFINITY);
    }

    #[test]
    #[should_panic(expected = "worst of 2 elements is 1: 3 instead of 2")]
    fn a_difference_is_reported() {
        assert_close(&[1.0, 3.0], &[1.0, 2.0], 1e-3);
    }
}
