//! When to try again.

/// Failures in a row, without a chunk gained between them, that end a load.
pub const MAX_ATTEMPTS: u32 = 6;

/// Failures in a row that end a load whose server has never answered: most likely the address is wrong, the server forbids
/// other origins, or the device is offline, and somebody is waiting to be told.
pub(crate) const MAX_FIRST_ATTEMPTS: u32 = 3;

/// Wait before the second attempt, in milliseconds; it doubles with each further failure.
const FIRST_DELAY_MS: u64 = 500;

/// Longest wait of our own choosing, in milliseconds.
const MAX_DELAY_MS: u64 = 30_000;

/// Longest wait a server may ask for, in milliseconds. Beyond it a person should decide.
const MAX_RETRY_AFTER_MS: u64 = 300_000;

/// Exponential back-off with jitter: the wait is drawn from the upper half of a doubling interval, so that
/// many pages that failed together do not come back together.
#[derive(Debug, Clone)]
pub struct Retry {
    failures: u32,
    limit: u32,
    state: u64,
}

impl Retry {
    /// A schedule whose jitter comes from `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            failures: 0,
            limit: MAX_FIRST_ATTEMPTS,
            state: seed,
        }
    }

    /// Notes a failure; gives the wait before the next attempt in milliseconds, or `None` to give up.
    ///
    /// `retry_after_ms` is what the server asked for; it is waited for in full.
    pub fn failed(&mut self, retry_after_ms: Option<u64>) -> Option<u64> {
        self.failures += 1;
        if self.failures >= self.limit || retry_after_ms.is_some_and(|ms| ms > MAX_RETRY_AFTER_MS) {
            return None;
        }
        let interval = (FIRST_DELAY_MS << (self.failures - 1)).min(MAX_DELAY_MS);
        let delay = interval / 2 + self.draw() % (interval / 2);
        Some(delay.max(retry_after_ms.unwrap_or(0)))
    }

    /// Failures in a row so far.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Notes that the server has answered, be it with a refusal: it exists.
    pub fn answered(&mut self) {
        self.limit = MAX_ATTEMPTS;
    }

    /// Begins to count anew, for a server that has not answered yet.
    pub(crate) fn turn_to_another(&mut self) {
        self.failures = 0;
        self.limit = MAX_FIRST_ATTEMPTS;
    }

    /// Notes that something was gained.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
    fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_within_their_interval_and_end() {
        let mut retry = Retry::new(1);
        retry.answered();
        let delays: Vec<_> = std::iter::from_fn(|| retry.failed(None)).collect();
        assert_eq!(delays.len() as u32, MAX_ATTEMPTS - 1);
        for (i, delay) in delays.iter().enumerate() {
            let interval = FIRST_DELAY_MS << i;
            assert!((interval / 2..interval).contains(delay), "{delays:?}");
        }
        assert_ne!(Retry::new(2).failed(None), Retry::new(1).failed(None));
    }

    #[test]
    fn a_server_that_never_answered_is_given_up_sooner() {
        let mut retry = Retry::new(1);
        let waits = std::iter::from_fn(|| retry.failed(None)).count();
        assert_eq!(waits as u32, MAX_FIRST_ATTEMPTS - 1);
    }

    #[test]
    fn success_starts_the_count_again() {
        let mut retry = Retry::new(1);
        for _ in 0..3 * MAX_ATTEMPTS {
            assert!(retry.failed(None).is_some());
            retry.succeeded();
        }
    }

    #[test]
    fn the_server_is_obeyed_within_reason() {
        assert_eq!(Retry::new(1).failed(Some(7_000)), Some(7_000));
        assert_eq!(Retry::new(1).failed(Some(3_600_000)), None);
    }
}
