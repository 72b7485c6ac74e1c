//! Durations and speeds of one request, by llama-server's names.

use serde::Serialize;

/// Milliseconds from an arbitrary start; never goes backwards. The engine has no other notion of time.
pub trait Clock {
    /// Now, in milliseconds.
    fn now_ms(&self) -> f64;
}

/// What llama-server reports as `timings`. Speeds are 0 where nothing was measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Timings {
    /// Tokens of the prompt taken from the cache.
    pub cache_n: usize,
    /// Tokens of the prompt that were computed.
    pub prompt_n: usize,
    /// From the first prompt token's step to the first chosen token.
    pub prompt_ms: f64,
    /// `prompt_ms / prompt_n`.
    pub prompt_per_token_ms: f64,
    /// Prompt tokens a second.
    pub prompt_per_second: f64,
    /// Tokens that were generated.
    pub predicted_n: usize,
    /// From the first chosen token to the last.
    pub predicted_ms: f64,
    /// `predicted_ms / (predicted_n - 1)`: the first token comes out of the prompt's last step and costs nothing more.
    pub predicted_per_token_ms: f64,
    /// Generated tokens a second, without the first.
    pub predicted_per_second: f64,
}

/// Collects the instants that [`Timings`] are made of.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stopwatch {
    started: Option<f64>,
    first_token: Option<f64>,
    last_token: Option<f64>,
}

impl Stopwatch {
    /// The request's first step begins.
    pub(crate) fn start(&mut self, now: f64) {
        self.started.get_or_insert(now);
    }

    /// The prompt is computed, or a token has been chosen.
    pub(crate) fn lap(&mut self, now: f64) {
        self.first_token.get_or_insert(now);
        self.last_token = Some(now);
    }

    /// The report, given what was counted and the present time (for a prompt that is still being computed).
    pub(crate) fn timings(
        &self,
        now: f64,
        cache_n: usize,
        prompt_n: usize,
        predicted_n: usize,
    ) -> Timings {
        let prompt_ms = self
            .started
            .map_or(0.0, |start| self.first_token.unwrap_or(now) - start);
        let predicted_ms = match (self.first_token, self.last_token) {
            (Some(first), Some(last)) => last - first,
            _ => 0.0,
        };
        let generation_steps = predicted_n.saturating_sub(1) as f64;
        Timings {
            cache_n,
            prompt_n,
            prompt_ms,
            prompt_per_token_ms: ratio(prompt_ms, prompt_n as f64),
            prompt_per_second: ratio(MS_PER_SECOND * prompt_n as f64, prompt_ms),
            predicted_n,
            predicted_ms,
            predicted_per_token_ms: ratio(predicted_ms, generation_steps),
            predicted_per_second: ratio(MS_PER_SECOND * generation_steps, predicted_ms),
        }
    }
}

const MS_PER_SECOND: f64 = 1000.0;

/// `a / b`, or 0 where there is nothing to divide by (JSON has no infinity).
fn ratio(a: f64, b: f64) -> f64 {
    if b > 0.0 { a / b } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_follow_from_instants() {
        let mut watch = Stopwatch::default();
        watch.start(1000.0);
        watch.start(1100.0);
        watch.lap(1500.0);
        watch.lap(2500.0);
        let timings = watch.timings(9999.0, 3, 50, 11);
        assert_eq!(
            (
                timings.prompt_ms,
                timings.prompt_per_token_ms,
                timings.prompt_per_second
            ),
            (500.0, 10.0, 100.0)
        );
        assert_eq!(
            (timings.predicted_ms, timings.predicted_per_second),
            (1000.0, 10.0)
        );
        assert_eq!(timings.cache_n, 3);
    }

    #[test]
    fn nothing_measured_is_zero_not_infinity() {
        let timings = Stopwatch::default().timings(5.0, 0, 0, 0);
        assert_eq!(timings, Timings::default());
        let mut watch = Stopwatch::default();
        watch.start(5.0);
        watch.lap(5.0);
        assert_eq!(watch.timings(5.0, 0, 9, 1).predicted_per_second, 0.0);
    }
}
