//! What comes before the first request: kernels run until the browser has made fast code of them, and a measurement of how
//! many threads help.

use std::fmt::Write;

use engine::Clock;
use kernels::kv::KvType;
use kernels::{Pool, Threads, fewest_threads, thread_counts, typical};
use model::{Builder, Config, Rehearsal};

use crate::clock::Performance;

/// Rows of the pretend prompt: two tiles of the prefill kernels, and enough for the attention of prompts.
const PROMPT_TOKENS: usize = 8;

/// Most milliseconds that a load spends on warming up: by then everything has run often enough to be compiled.
const WARM_UP_MS: f64 = 40.0;

/// Milliseconds of one sample on one thread: some dozens of kernels, so that what handing them out costs is in it.
const SAMPLE_MS: f64 = 1.5;
/// Samples of each count of threads, taken in turn.
const SAMPLES: usize = 6;
/// Fewer are taken of a model so large that all of them take longer than so many milliseconds, …
const MEASURE_MS: f64 = 40.0;
/// … but not fewer than this.
const FEWEST_SAMPLES: usize = 3;

/// How many threads compute, and why.
#[derive(Debug, Clone)]
pub(crate) struct Tuned {
    pub(crate) threads: usize,
    pub(crate) reason: String,
}

/// Pretend tokens for a model that is arriving.
pub(crate) struct WarmUp {
    answer: Rehearsal,
    prompt: Rehearsal,
    /// Blocks it has run through.
    blocks: usize,
    spent_ms: f64,
}

impl WarmUp {
    /// Nothing for models that generate no text.
    pub(crate) fn new(config: &Config, kv: KvType) -> Option<Self> {
        Some(Self {
            answer: Rehearsal::new(config, kv, 1).ok()?,
            prompt: Rehearsal::new(config, kv, PROMPT_TOKENS).ok()?,
            blocks: 0,
            spent_ms: 0.0,
        })
    }

    /// Runs through the blocks that have landed since the last time.
    pub(crate) fn advance(&mut self, builder: &Builder, pool: &dyn Pool) {
        let began = Performance.now_ms();
        let mut spent = self.spent_ms;
        while spent < WARM_UP_MS
            && self.answer.run(builder, self.blocks, pool)
            && self.prompt.run(builder, self.blocks, pool)
        {
            self.blocks += 1;
            spent = self.spent_ms + Performance.now_ms() - began;
        }
        self.spent_ms = spent;
    }

    /// Measures pretend tokens of an answer, once all blocks have landed, and limits `pool` to the threads that help.
    pub(crate) fn tune(mut self, builder: &Builder, pool: &Threads) -> Option<Tuned> {
        let available = pool.threads();
        if available == 1 {
            return None;
        }
        let layers = builder.config().layers;
        let mut run = |blocks: usize| {
            let began = Performance.now_ms();
            for block in 0..blocks {
                self.answer.run(builder, block % layers, pool);
            }
            Performance.now_ms() - began
        };
        pool.limit(1);
        run(1);
        // A clock may be too coarse for one block; no block takes less than some microseconds.
        let block_ms = run(1).max(0.02);
        let blocks = ((SAMPLE_MS / block_ms).ceil() as usize).clamp(1, layers);

        let mut samples: Vec<_> = thread_counts(available)
            .into_iter()
            .map(|count| (count, Vec::with_capacity(SAMPLES)))
            .collect();
        let began = Performance.now_ms();
        for round in 0..SAMPLES {
            if round >= FEWEST_SAMPLES && Performance.now_ms() - began > MEASURE_MS {
                break;
            }
            for (count, times) in &mut samples {
                pool.limit(*count);
                // Wakes those who slept.
                run(1);
                times.push(run(blocks));
            }
        }
        let times: Vec<_> = samples
            .iter()
            .map(|(count, times)| (*count, typical(times)))
            .collect();
        let threads = fewest_threads(&times);
        pool.limit(threads);
        Some(Tuned {
            threads,
            reason: reason(&times),
        })
    }
}

/// Says what was measured, as multiples of the speed on one thread, which `times` begin with.
fn reason(times: &[(usize, f64)]) -> String {
    let one = times.first().map_or(0.0, |&(_, time)| time);
    let mut reason = String::from("measured speeds are");
    for (index, (count, time)) in times.iter().enumerate() {
        let separator = if index > 0 { "," } else { "" };
        // Writing to a string cannot fail.
        let _ = write!(reason, "{separator} {:.1} on {count}", one / time);
    }
    reason
}
