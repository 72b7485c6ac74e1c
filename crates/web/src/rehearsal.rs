//! What comes before the first request: kernels run until the browser has made fast code of them.

use std::sync::Arc;

use engine::Clock;
use kernels::Threads;
use kernels::kv::KvType;
use model::{Builder, Config, Model, Rehearsal};

use crate::clock::Performance;

/// Rows of the pretend prompt: two tiles of the prefill kernels, and enough for the attention of prompts.
const PROMPT_TOKENS: usize = 8;

/// Most milliseconds that are spent on warming up: by then everything has run often enough to be compiled.
const WARM_UP_MS: f64 = 40.0;

/// Pretend tokens, one block of the model at a time, for moments in which there is nothing else to do.
pub(crate) struct WarmUp {
    answer: Rehearsal,
    prompt: Rehearsal,
    pool: Arc<Threads>,
    /// Blocks it has run through.
    blocks: usize,
    spent_ms: f64,
}

impl WarmUp {
    /// Nothing for models that generate no text.
    pub(crate) fn new(config: &Config, kv: KvType, pool: &Arc<Threads>) -> Option<Self> {
        Some(Self {
            answer: Rehearsal::new(config, kv, 1).ok()?,
            prompt: Rehearsal::new(config, kv, PROMPT_TOKENS).ok()?,
            pool: Arc::clone(pool),
            blocks: 0,
            spent_ms: 0.0,
        })
    }

    /// Runs through the next block of a model that is arriving, if it has landed.
    pub(crate) fn advance(&mut self, builder: &Builder) {
        self.run(&mut |rehearsal, block, pool| rehearsal.run(builder, block, pool));
    }

    /// Runs through the next block of a model that is there. Says whether that was of use: if not, all is done.
    pub(crate) fn advance_in(&mut self, model: &Model) -> bool {
        self.run(&mut |rehearsal, block, pool| rehearsal.run_in(model, block, pool))
    }

    fn run(&mut self, run: &mut dyn FnMut(&mut Rehearsal, usize, &Threads) -> bool) -> bool {
        let began = Performance.now_ms();
        let ran = self.spent_ms < WARM_UP_MS
            && run(&mut self.answer, self.blocks, &self.pool)
            && run(&mut self.prompt, self.blocks, &self.pool);
        self.blocks += usize::from(ran);
        self.spent_ms += Performance.now_ms() - began;
        ran
    }
}
