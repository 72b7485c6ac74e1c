//! How many requests are open at once: four, until the network says otherwise.
//!
//! A request that fails halves the number; each that ends well adds one, up to a ceiling. The ceiling follows what is
//! measured: every sample of two seconds it is tried whether one connection more brings a tenth more bytes. If it does, it
//! stays and the next is tried; if not, as where the line is full or the store cannot take more, it goes, and is tried again
//! only some samples later. A server that refuses (429, 503) lowers the ceiling below what it refused.

/// Connections at the beginning.
pub(super) const DEFAULT: usize = 4;

/// Most connections: browsers open six to a host of HTTP/1.1, one of which is left to the page itself.
const MOST: usize = 5;

/// Shortest sample, in milliseconds: a connection takes about a second to become as fast as it can.
const SAMPLE_MS: f64 = 2000.0;

/// What one connection more must gain, as a factor, to be kept.
const GAIN: f64 = 1.1;

/// Samples until a connection that brought nothing is tried again.
const PATIENCE: u32 = 8;

/// How many requests may be open, and what is known of the network.
#[derive(Debug)]
pub(super) struct Connections {
    limit: usize,
    ceiling: usize,
    /// When the sample began, in milliseconds; `None` before the first byte.
    began_ms: Option<f64>,
    /// Bytes since.
    bytes: u64,
    /// Bytes per millisecond before the connection on trial was added.
    before: Option<f64>,
    /// Samples to wait before the next trial.
    rest: u32,
}

impl Connections {
    pub(super) fn new() -> Self {
        Self {
            limit: DEFAULT,
            ceiling: DEFAULT,
            began_ms: None,
            bytes: 0,
            before: None,
            rest: 0,
        }
    }

    /// Requests that may be open.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// The server does not want as many.
    pub(super) fn refused(&mut self) {
        self.ceiling = (self.limit - 1).max(1);
    }

    /// A request failed.
    pub(super) fn failed(&mut self) {
        self.limit = (self.limit / 2).max(1);
        // What is measured now says little.
        (self.began_ms, self.before, self.rest) = (None, None, PATIENCE);
    }

    /// A request has brought all that it was for.
    pub(super) fn succeeded(&mut self) {
        self.limit = (self.limit + 1).min(self.ceiling);
    }

    /// Bytes have come, at this time.
    pub(super) fn received(&mut self, bytes: u32, now_ms: f64) {
        let Some(began_ms) = self.began_ms else {
            (self.began_ms, self.bytes) = (Some(now_ms), 0);
            return;
        };
        self.bytes += u64::from(bytes);
        let elapsed = now_ms - began_ms;
        if elapsed < SAMPLE_MS || self.limit < self.ceiling {
            return;
        }
        // Bytes of some seconds fit a double.
        let rate = self.bytes as f64 / elapsed;
        (self.began_ms, self.bytes) = (Some(now_ms), 0);
        if self
            .before
            .take()
            .is_some_and(|before| rate < before * GAIN)
        {
            self.ceiling -= 1;
            self.rest = PATIENCE;
        } else if self.rest > 0 {
            self.rest -= 1;
        } else if self.ceiling < MOST {
            self.ceiling += 1;
            self.before = Some(rate);
        }
        self.limit = self.ceiling;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Downloads for `seconds` from a network that gives `rate(connections)` bytes per millisecond; gives the most connections
    /// that were open, and those at the end.
    fn run(
        connections: &mut Connections,
        seconds: u32,
        rate: impl Fn(usize) -> u32,
    ) -> (usize, usize) {
        let mut most = 0;
        for tick in 0..seconds * 10 {
            let open = connections.limit();
            most = most.max(open);
            connections.received(rate(open) * 100, f64::from(tick) * 100.0);
        }
        (most, connections.limit())
    }

    #[test]
    fn a_connection_that_brings_more_stays_and_one_that_does_not_goes() {
        let mut limited_each = Connections::new();
        assert_eq!(
            run(&mut limited_each, 60, |open| open as u32 * 500),
            (MOST, MOST)
        );
        let mut full_line = Connections::new();
        assert_eq!(full_line.limit(), DEFAULT);
        assert_eq!(run(&mut full_line, 19, |_| 2000), (DEFAULT + 1, DEFAULT));
    }

    #[test]
    fn one_that_brought_nothing_is_tried_again_later() {
        let mut connections = Connections::new();
        run(&mut connections, 10, |_| 2000);
        assert_eq!(connections.limit(), DEFAULT);
        // The line has become another.
        let (_, limit) = run(&mut connections, 60, |open| open as u32 * 500);
        assert_eq!(limit, MOST);
    }

    #[test]
    fn failures_halve_the_number_and_successes_bring_it_back() {
        let mut connections = Connections::new();
        let mut limits = Vec::new();
        for _ in 0..3 {
            connections.failed();
            limits.push(connections.limit());
        }
        for _ in 0..4 {
            connections.succeeded();
            limits.push(connections.limit());
        }
        assert_eq!(limits, [2, 1, 1, 2, 3, 4, 4]);
    }

    #[test]
    fn a_server_that_refuses_is_not_asked_for_as_many_again() {
        let mut connections = Connections::new();
        connections.refused();
        connections.failed();
        for _ in 0..5 {
            connections.succeeded();
        }
        assert_eq!(connections.limit(), DEFAULT - 1);
        for _ in 0..9 {
            connections.refused();
            connections.failed();
        }
        connections.succeeded();
        assert_eq!(connections.limit(), 1);
    }
}
