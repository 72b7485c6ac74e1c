//! What the tests of several operations share.

/// Repeatable random floats.
pub(crate) struct Random(testkit::Rng);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(testkit::Rng::new(seed))
    }

    /// `count` floats, evenly distributed in −`scale`..`scale`.
    pub(crate) fn floats(&mut self, count: usize, scale: f32) -> Vec<f32> {
        (0..count).map(|_| self.0.signed_unit() * scale).collect()
    }
}

/// Whether two slices are the same bit for bit.
#[track_caller]
pub(crate) fn assert_same_bits(left: &[f32], right: &[f32]) {
    assert_eq!(left.len(), right.len());
    for (i, (left, right)) in left.iter().zip(right).enumerate() {
        assert_eq!(
            left.to_bits(),
            right.to_bits(),
            "element {i}: {left} and {right}"
        );
    }
}

/// Whether `left` is as close to `right` as `tolerance` times the largest magnitude in `right`.
#[track_caller]
pub(crate) fn assert_close(left: &[f32], right: &[f64], tolerance: f64) {
    assert_eq!(left.len(), right.len());
    let scale = right.iter().fold(0.0, |scale: f64, x| scale.max(x.abs()));
    for (i, (left, right)) in left.iter().zip(right).enumerate() {
        let error = (f64::from(*left) - right).abs();
        assert!(
            error <= tolerance * scale,
            "element {i}: {left} and {right}, {error:e} apart"
        );
    }
}
