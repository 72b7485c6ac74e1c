//! The time that the engine is given.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since it was made.
#[derive(Debug)]
pub(crate) struct Monotonic(Instant);

impl Monotonic {
    pub(crate) fn new() -> Self {
        Self(Instant::now())
    }
}

impl engine::Clock for Monotonic {
    fn now_ms(&self) -> f64 {
        const MS_PER_SECOND: f64 = 1000.0;
        self.0.elapsed().as_secs_f64() * MS_PER_SECOND
    }
}

/// Seconds since 1970, for templates that show the date; `None` on a machine whose clock is set before that.
pub(crate) fn unix_seconds() -> Option<i64> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok()
}
