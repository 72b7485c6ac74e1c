//! How many threads help: found out while answers are written.
//!
//! More threads are not always faster: processors may be second threads of the same core, be small, share the bandwidth
//! of the memory, or be at work for others, now and then. So numbers of threads are compared where it counts and costs next
//! to nothing: steps that generate a token take turns on more and on fewer threads from time to time, which the results do
//! not depend on. Who computes has a clock; what to try and what to make of it is here.

/// Steps before the first comparison: by then kernels have run often enough to be compiled.
const FIRST_WAIT: usize = 4;
/// Steps between two comparisons at first; twice as many each time that nothing changes, …
const SHORTEST_WAIT: usize = 64;
/// … up to this.
const LONGEST_WAIT: usize = 512;

/// Steps of each of the two numbers of threads in a comparison.
const SAMPLES: usize = 4;
/// After so many of each, a number ends the comparison whose best step took …
const FEW_SAMPLES: usize = 2;
/// … so many times what the other's worst did.
const CLEARLY: f64 = 1.2;
/// The larger number has to be so many times as fast as the smaller: what does not help shall sleep.
const GAIN: f64 = 1.05;

/// So many steps in a row …
const SLOW_STEPS: usize = 4;
/// … that take so many times what they took in the last comparison are reason for another.
const SLOWER: f64 = 1.3;

/// Chooses the number of threads for each step of generating tokens.
#[derive(Debug, Clone)]
pub struct Tuning {
    /// What may be chosen, ascending.
    counts: Vec<usize>,
    /// Which is.
    chosen: usize,
    /// Whether to try a smaller number next, where there is one.
    down: bool,
    comparison: Option<Comparison>,
    /// Steps until the next comparison.
    wait: usize,
    longest: usize,
    /// Tokens in a step: only steps of as many are compared.
    rows: usize,
    /// What a step took in the last comparison.
    usual: f64,
    /// Steps in a row that took much longer.
    slow: usize,
}

/// Times of steps on the chosen number of threads, and on another.
#[derive(Debug, Clone)]
struct Comparison {
    other: usize,
    times: [Vec<f64>; 2],
}

impl Tuning {
    /// Begins with all of `threads` threads.
    #[must_use]
    pub fn new(threads: usize) -> Self {
        let powers = (0..usize::BITS).map(|power| 1 << power);
        let mut counts: Vec<usize> = powers.take_while(|&count| count < threads).collect();
        counts.push(threads);
        Self {
            chosen: counts.len() - 1,
            counts,
            down: true,
            comparison: None,
            wait: FIRST_WAIT,
            longest: SHORTEST_WAIT,
            rows: 0,
            usual: f64::INFINITY,
            slow: 0,
        }
    }

    /// Threads that the next step is to be computed on.
    #[must_use]
    pub fn threads(&self) -> usize {
        let index = match &self.comparison {
            Some(comparison) if comparison.is_others_turn() => comparison.other,
            _ => self.chosen,
        };
        self.counts[index]
    }

    /// Takes note of a step on [`Self::threads`] threads that generated `rows` tokens, and nothing else, in `time`, whatever
    /// its unit.
    pub fn record(&mut self, rows: usize, time: f64) {
        if self.rows != rows {
            self.rows = rows;
            self.usual = f64::INFINITY;
            self.comparison = self
                .comparison
                .take()
                .map(|comparison| Comparison::with(comparison.other));
            return;
        }
        match &mut self.comparison {
            Some(comparison) => {
                comparison.record(time);
                if let Some(times) = comparison.result() {
                    let other = comparison.other;
                    self.decide(other, times);
                }
            }
            None => self.wait(time),
        }
    }

    fn wait(&mut self, time: f64) {
        self.slow = if time > self.usual * SLOWER {
            self.slow + 1
        } else {
            0
        };
        self.wait = self.wait.saturating_sub(1);
        if (self.wait == 0 || self.slow == SLOW_STEPS) && self.counts.len() > 1 {
            let down = self.chosen > 0 && (self.down || self.chosen + 1 == self.counts.len());
            let other = if down {
                self.chosen - 1
            } else {
                self.chosen + 1
            };
            self.comparison = Some(Comparison::with(other));
        }
    }

    /// Chooses between two numbers of threads by what steps took on each.
    fn decide(&mut self, other: usize, [chosen_time, other_time]: [f64; 2]) {
        let is_better = if other < self.chosen {
            other_time <= chosen_time * GAIN
        } else {
            other_time * GAIN < chosen_time
        };
        self.comparison = None;
        self.slow = 0;
        if is_better {
            // Perhaps one further is better still.
            self.down = other < self.chosen;
            self.chosen = other;
            self.usual = other_time;
            self.longest = SHORTEST_WAIT;
            self.wait = FIRST_WAIT;
        } else {
            self.down = !self.down;
            self.usual = chosen_time;
            self.wait = self.longest;
            self.longest = (2 * self.longest).min(LONGEST_WAIT);
        }
    }
}

impl Comparison {
    fn with(other: usize) -> Self {
        Self {
            other,
            times: Default::default(),
        }
    }

    /// The two take turns as in A B B A, so that what changes steadily concerns both alike.
    fn is_others_turn(&self) -> bool {
        let steps = self.times[0].len() + self.times[1].len();
        matches!(steps % 4, 1 | 2)
    }

    fn record(&mut self, time: f64) {
        self.times[usize::from(self.is_others_turn())].push(time);
    }

    /// What a step takes on the chosen number of threads and on the other, once that is known.
    fn result(&self) -> Option<[f64; 2]> {
        let [chosen, other] = &self.times;
        let samples = chosen.len().min(other.len());
        let clear = samples == FEW_SAMPLES
            && (least(chosen) > CLEARLY * most(other) || least(other) > CLEARLY * most(chosen));
        (samples == SAMPLES || clear && chosen.len() == other.len())
            .then(|| [typical(chosen), typical(other)])
    }
}

/// The mean of all but the slowest, which something may have come in between of. Not the fastest: on a busy machine threads
/// wait for each other in most steps, and are lucky in one.
fn typical(times: &[f64]) -> f64 {
    let sum: f64 = times.iter().sum();
    (sum - most(times)) / (times.len() - 1) as f64
}

fn least(times: &[f64]) -> f64 {
    times.iter().copied().fold(f64::INFINITY, f64::min)
}

fn most(times: &[f64]) -> f64 {
    times.iter().copied().fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// Milliseconds of a token on one thread.
    const ONE: f64 = 6.0;

    /// Runs `steps` steps that take `time(threads, step)`, and says on how many threads each was.
    fn run(tuning: &mut Tuning, steps: usize, time: impl Fn(usize, usize) -> f64) -> Vec<usize> {
        (0..steps)
            .map(|step| {
                let threads = tuning.threads();
                tuning.record(1, time(threads, step));
                threads
            })
            .collect()
    }

    fn share(threads: &[usize], count: usize) -> f64 {
        threads.iter().filter(|&&threads| threads == count).count() as f64 / threads.len() as f64
    }

    /// A processor for each thread.
    fn quiet(threads: usize, _: usize) -> f64 {
        ONE / (0.85 * threads as f64 + 0.15)
    }

    /// Threads wait for those that do not get a processor.
    fn busy(threads: usize, step: usize) -> f64 {
        match threads {
            1 => ONE,
            // Lucky now and then.
            _ if step.is_multiple_of(5) => ONE / 1.8,
            _ => ONE * 2.0,
        }
    }

    /// Noise between 0 and 1.
    fn noise(step: usize) -> f64 {
        let mixed = (step as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 40) as f64 / f64::from(1 << 24)
    }

    #[test]
    fn a_quiet_machine_computes_on_all_and_hardly_tries_anything_else() {
        for threads in [2, 3, 4, 8] {
            let all = run(&mut Tuning::new(threads), 2000, quiet);
            assert!(share(&all, threads) > 0.99, "{}", share(&all, threads));
            let first = &all[..128];
            assert!(share(first, threads) > 0.95, "{}", share(first, threads));
        }
    }

    #[test]
    fn one_thread_stays_one() {
        assert_eq!(share(&run(&mut Tuning::new(1), 1000, quiet), 1), 1.0);
    }

    #[test]
    fn noise_and_interruptions_do_not_matter() {
        for seed in 0..200 {
            let time = |threads: usize, step: usize| {
                let at = seed * 10_000 + step;
                let interrupted = noise(at + 5000) < 0.04;
                quiet(threads, step) * (1.0 + 0.2 * noise(at))
                    + if interrupted { 10.0 } else { 0.0 }
            };
            let all = run(&mut Tuning::new(2), 1000, time);
            assert!(share(&all, 2) > 0.9, "{seed}: {}", share(&all, 2));
        }
    }

    #[test]
    fn a_busy_machine_computes_on_one_and_on_all_again_when_it_is_quiet() {
        let mut tuning = Tuning::new(2);
        let under_load = run(&mut tuning, 400, busy);
        assert!(
            share(&under_load[20..], 1) > 0.95,
            "{}",
            share(&under_load[20..], 1)
        );
        let after = run(&mut tuning, 2 * LONGEST_WAIT, quiet);
        assert_eq!(after.last(), Some(&2));
        // It becomes busy again, which is noticed soon.
        let again = run(&mut tuning, 40, busy);
        assert_eq!(again.last(), Some(&1));
    }

    #[test]
    fn what_disturbs_only_the_beginning_is_forgotten() {
        let time = |threads: usize, step: usize| {
            if step < 40 {
                busy(threads, step)
            } else {
                quiet(threads, step)
            }
        };
        let all = run(&mut Tuning::new(2), 400, time);
        assert!(share(&all[150..], 2) > 0.95, "{}", share(&all[150..], 2));
    }

    #[test]
    fn threads_that_do_not_help_sleep() {
        // Bandwidth is used up by four; two are half as fast.
        let time = |threads: usize, _: usize| ONE / threads.min(4) as f64;
        let all = run(&mut Tuning::new(8), 1000, time);
        assert!(share(&all[100..], 4) > 0.95, "{}", share(&all[100..], 4));
        // Three processors of the four are small.
        let time = |threads: usize, _: usize| if threads == 1 { ONE } else { ONE * 1.5 };
        let all = run(&mut Tuning::new(4), 1000, time);
        assert!(share(&all[100..], 1) > 0.95, "{}", share(&all[100..], 1));
    }

    #[test]
    fn steps_of_other_sizes_are_not_compared() {
        let mut tuning = Tuning::new(2);
        for step in 0..3000 {
            // Requests come and go: a step of two tokens takes longer whatever the threads.
            let rows = 1 + step / 7 % 2;
            let time = quiet(tuning.threads(), step) * rows as f64;
            tuning.record(rows, time);
        }
        assert_eq!(tuning.counts[tuning.chosen], 2);
    }

    #[test]
    fn a_context_that_grows_is_no_reason_to_change() {
        let all = run(&mut Tuning::new(2), 4000, |threads, step| {
            quiet(threads, step) * (1.0 + step as f64 / 1000.0)
        });
        assert!(share(&all, 2) > 0.98, "{}", share(&all, 2));
    }
}
