//! The one order in which floats are summed.

/// Partial sums that are kept side by side: four 128-bit vectors, or two of 256.
const LANES: usize = 16;

/// A sum under way. Element i of what is added goes to lane i mod 16, and [`Partial::total`] adds the upper half
/// of the lanes to the lower until one is left: an order that vectors of any length up to 16 reproduce to the bit.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Partial {
    lanes: [f32; LANES],
}

impl Partial {
    /// Adds `term` of each element, starting with lane 0.
    #[inline(always)]
    pub(crate) fn add(&mut self, x: &[f32], term: impl Fn(f32) -> f32) {
        let (chunks, rest) = x.as_chunks::<LANES>();
        for chunk in chunks {
            for (lane, &x) in self.lanes.iter_mut().zip(chunk) {
                *lane += term(x);
            }
        }
        for (lane, &x) in self.lanes.iter_mut().zip(rest) {
            *lane += term(x);
        }
    }

    /// The sum of all lanes.
    #[inline(always)]
    pub(crate) fn total(self) -> f32 {
        let eight: [f32; 8] = std::array::from_fn(|i| self.lanes[i] + self.lanes[i + 8]);
        let four: [f32; 4] = std::array::from_fn(|i| eight[i] + eight[i + 4]);
        let two = [four[0] + four[2], four[1] + four[3]];
        two[0] + two[1]
    }
}
