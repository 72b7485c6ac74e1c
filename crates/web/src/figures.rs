//! What the engine counts and measures, as the page receives it.

use serde::Serialize;
use tsify::Tsify;

/// Declares a boundary type with exactly the fields of an `engine` type: a field that the engine
/// gains or loses fails to compile here, instead of missing from the TypeScript types.
macro_rules! mirror {
    ($(#[$about:meta])* $name:ident of $source:ident { $($(#[$field_about:meta])* $field:ident: $type:ty,)* }) => {
        #[derive(Debug, Clone, Copy, Serialize, Tsify)]
        $(#[$about])*
        pub struct $name { $($(#[$field_about])* pub $field: $type,)* }

        impl From<engine::$source> for $name {
            fn from(source: engine::$source) -> Self {
                let engine::$source { $($field),* } = source;
                Self { $($field),* }
            }
        }
    };
}

mirror! {
    /// Durations and speeds of one request, by llama-server's names; 0 where nothing was measured.
    Timings of Timings {
        /// Tokens of the prompt taken from the cache.
        cache_n: usize,
        /// Tokens of the prompt that were computed.
        prompt_n: usize,
        /// From the first prompt token's step to the first chosen token, in milliseconds.
        prompt_ms: f64,
        /// `prompt_ms / prompt_n`.
        prompt_per_token_ms: f64,
        /// Prompt tokens a second.
        prompt_per_second: f64,
        /// Tokens that were generated.
        predicted_n: usize,
        /// From the first chosen token to the last, in milliseconds.
        predicted_ms: f64,
        /// `predicted_ms / predicted_n`.
        predicted_per_token_ms: f64,
        /// Generated tokens a second.
        predicted_per_second: f64,
    }
}

mirror! {
    /// Token counts of one request.
    TokenCounts of Usage {
        /// Tokens of the prompt.
        prompt_tokens: usize,
        /// Tokens that were generated, the end-of-generation token included.
        completion_tokens: usize,
        /// Tokens of the prompt whose state was reused from earlier work.
        cached_tokens: usize,
    }
}

mirror! {
    /// Counters since the model was loaded, and its present load.
    #[serde(rename_all = "camelCase")]
    Metrics of Metrics {
        /// Steps that computed something.
        steps: u64,
        /// Prompt tokens computed, recomputed ones included.
        prompt_tokens: u64,
        /// Prompt tokens taken from the prefix cache instead.
        cached_tokens: u64,
        /// Tokens generated.
        generated_tokens: u64,
        /// Requests that reused a prefix.
        cache_hits: u64,
        /// Requests that could reuse nothing.
        cache_misses: u64,
        /// Prefix cache entries dropped to make room.
        evictions: u64,
        /// Requests put back in line because the cache was full.
        preemptions: u64,
        /// Requests that ended, for whatever reason.
        finished: u64,
        /// Requests that wait now.
        waiting: usize,
        /// Requests that are worked on now.
        running: usize,
        /// Prefix cache entries now.
        prefix_entries: usize,
        /// Tokens for which the key-value cache has room now.
        free_tokens: usize,
        /// Bytes of the key-value cache now.
        kv_bytes: usize,
        /// Bytes of intermediate results now.
        scratch_bytes: usize,
    }
}
