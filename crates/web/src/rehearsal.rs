//! What comes before the first request: kernels run until the browser has made fast code of them.

use engine::Clock;
use kernels::Pool;
use kernels::kv::KvType;
use model::{Builder, Config, Rehearsal};

use crate::clock::Performance;

/// Rows of the pretend prompt: two tiles of the prefill kernels, and enough for the attention of prompts.
const PROMPT_TOKENS: usize = 8;

/// Most milliseconds that a load spends on warming up: by then everything has run often enough to be compiled.
const WARM_UP_MS: f64 = 40.0;

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
}
