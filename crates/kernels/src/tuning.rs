//! How many threads help: a rule over measured times.
//!
//! More threads are not always faster: processors may be second threads of the same core, be small, share the bandwidth
//! of the memory, or be at work for others. Who measures has a clock; what to measure and what to make of it is here.

/// A count of threads is as good as the best one if it takes at most this many times as long.
const AS_GOOD: f64 = 1.05;

/// The counts worth measuring where there are `threads`: powers of two, and all.
pub fn thread_counts(threads: usize) -> Vec<usize> {
    let powers = (0..usize::BITS).map(|power| 1 << power);
    let mut counts: Vec<usize> = powers.take_while(|&count| count < threads).collect();
    counts.push(threads);
    counts
}

/// What one call of several took, in the unit of `times`: the mean of all but the slowest, which something may have come
/// in between of. Not the best: on a busy machine threads wait for each other in most calls, and one may be lucky.
pub fn typical(times: &[f64]) -> f64 {
    let slowest = times.iter().copied().fold(0.0, f64::max);
    let rest = times.len().saturating_sub(1).max(1);
    let sum: f64 = times.iter().sum();
    if times.len() > 1 {
        (sum - slowest) / rest as f64
    } else {
        sum
    }
}

/// The smallest count of threads that is about as good as the best one, of pairs of a count and the time the same work
/// took on so many. 1 where nothing was measured.
pub fn fewest_threads(times: &[(usize, f64)]) -> usize {
    let best = times
        .iter()
        .map(|&(_, time)| time)
        .fold(f64::INFINITY, f64::min);
    times
        .iter()
        .filter(|&&(_, time)| time <= best * AS_GOOD)
        .map(|&(count, _)| count)
        .min()
        .unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn powers_of_two_and_all_are_measured() {
        assert_eq!(thread_counts(1), [1]);
        assert_eq!(thread_counts(2), [1, 2]);
        assert_eq!(thread_counts(3), [1, 2, 3]);
        assert_eq!(thread_counts(8), [1, 2, 4, 8]);
    }

    #[test]
    fn one_interruption_does_not_count_and_several_do() {
        assert_eq!(typical(&[2.0, 30.0, 4.0]), 3.0);
        assert_eq!(typical(&[2.0, 30.0, 30.0]), 16.0);
        assert_eq!(typical(&[7.0]), 7.0);
    }

    #[test]
    fn the_fewest_threads_that_are_about_as_fast_are_chosen() {
        let cases: [(&[(usize, f64)], usize); 6] = [
            (&[(1, 8.0), (2, 4.2), (4, 2.3)], 4),
            // Bandwidth is used up: four are hardly faster than two.
            (&[(1, 8.0), (2, 4.2), (4, 4.1)], 2),
            // A busy machine: threads wait for each other.
            (&[(1, 5.5), (2, 11.0)], 1),
            (&[(1, 5.0), (2, 4.9)], 1),
            (&[(4, 1.0), (1, 1.0)], 1),
            (&[], 1),
        ];
        for (times, chosen) in cases {
            assert_eq!(fewest_threads(times), chosen, "{times:?}");
        }
    }
}
