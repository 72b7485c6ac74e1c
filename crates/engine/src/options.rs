//! How large the engine may grow.

use kernels::kv::KvType;
use model::ContextOptions;

use crate::Error;

/// Limits of an engine, fixed when it is made.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Tokens one sequence may have, prompt and answer together.
    pub context_length: usize,
    /// Tokens the key-value cache holds, all sequences and the prefix cache together; at least `context_length`.
    pub cache_tokens: usize,
    /// Tokens computed in one step: one of each answering request, the rest for prompts. Large values compute prompts
    /// faster, small ones return to the caller sooner. Must be more than `max_sequences`.
    pub max_batch_tokens: usize,
    /// Requests worked on at once; more wait in line.
    pub max_sequences: usize,
    /// Finished sequences whose state is kept for requests that begin alike; 0 keeps none.
    pub prefix_entries: usize,
    /// Number format of the key-value cache.
    pub kv: KvType,
    /// Tokens of one cache page.
    pub page: usize,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            context_length: DEFAULT_CONTEXT,
            cache_tokens: DEFAULT_CONTEXT,
            max_batch_tokens: DEFAULT_BATCH,
            max_sequences: DEFAULT_SEQUENCES,
            prefix_entries: DEFAULT_PREFIX_ENTRIES,
            kv: KvType::F16,
            page: DEFAULT_PAGE,
        }
    }
}

impl EngineOptions {
    /// Default options with this context length, and a cache that holds it once.
    #[must_use]
    pub fn with_context(context_length: usize) -> Self {
        Self {
            context_length,
            cache_tokens: context_length,
            ..Self::default()
        }
    }

    /// The model's part of them.
    pub(crate) fn cache(&self) -> ContextOptions {
        ContextOptions {
            capacity: self.cache_tokens,
            kv: self.kv,
            context_length: self.context_length,
            page: self.page,
        }
    }

    /// Checks the options against each other and against the model. The page size is the model's to check.
    pub(crate) fn validate(&self, config: &model::Config) -> Result<(), Error> {
        let &Self {
            context_length,
            cache_tokens,
            max_batch_tokens,
            max_sequences,
            ..
        } = self;
        let trained = config.context_length;
        let problem = if context_length < SHORTEST_CONTEXT {
            format!(
                "context_length is {context_length}, but a prompt and an answer need {SHORTEST_CONTEXT} at least"
            )
        } else if context_length > trained {
            format!(
                "context_length is {context_length}, but the model was made for {trained} at most"
            )
        } else if cache_tokens < context_length {
            format!(
                "cache_tokens is {cache_tokens}, but must hold one context_length, {context_length}"
            )
        } else if max_sequences == 0 {
            "max_sequences is 0, but must be 1 at least".into()
        } else if max_batch_tokens <= max_sequences {
            format!(
                "max_batch_tokens is {max_batch_tokens}, but must be more than max_sequences, {max_sequences}"
            )
        } else {
            return Ok(());
        };
        Err(Error::InvalidOptions(problem))
    }
}

/// One token of a prompt and one of an answer.
const SHORTEST_CONTEXT: usize = 2;

const DEFAULT_CONTEXT: usize = 4096;
/// Long enough that weights are read for many tokens at once, short enough for tens of steps a second.
const DEFAULT_BATCH: usize = 128;
const DEFAULT_SEQUENCES: usize = 8;
const DEFAULT_PREFIX_ENTRIES: usize = 8;
const DEFAULT_PAGE: usize = 32;
