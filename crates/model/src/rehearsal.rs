//! Pretend tokens: what a model will compute, before there is anything to compute.

use kernels::Pool;
use kernels::kv::{BLOCK, KvType};

use crate::{Builder, Config, ContextOptions, Error, Model, Prefill};

/// Runs pretend tokens through single blocks of a model, while it is still arriving or when it is there. Nothing is made of the results: it is for an
/// engine's compiler, which makes fast code only of what has run, and for clocks.
#[derive(Debug)]
pub struct Rehearsal {
    pretend: Prefill,
}

impl Rehearsal {
    /// Prepares `tokens` tokens, at most a page of [`BLOCK`]: one for what an answer's tokens take, several for what a
    /// prompt's do. Keys and values are stored as `kv`.
    ///
    /// # Errors
    /// As [`Prefill::new`] and [`Prefill::add`].
    pub fn new(config: &Config, kv: KvType, tokens: usize) -> Result<Self, Error> {
        let options = ContextOptions {
            capacity: BLOCK,
            kv,
            context_length: BLOCK,
            page: BLOCK,
        };
        let mut pretend = Prefill::new(config, options, tokens)?;
        pretend.add(config, vec![0; tokens])?;
        Ok(Self { pretend })
    }

    /// Computes one block, if it, all before it, and the embedding have landed. Says whether they had.
    pub fn run(&mut self, builder: &Builder, block: usize, pool: &dyn Pool) -> bool {
        self.pretend.restart_at(block);
        // Nothing is asked of it that could fail.
        self.pretend.advance(builder, pool).unwrap_or(false)
    }

    /// Computes one block of a model that is there, if it has as many.
    pub fn run_in(&mut self, model: &Model, block: usize, pool: &dyn Pool) -> bool {
        self.pretend.restart_at(block);
        // As above.
        self.pretend.advance_in(model, pool).unwrap_or(false)
    }
}
