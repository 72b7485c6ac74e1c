//! Counters since the engine was made, and its present load.

use serde::Serialize;

/// A snapshot; counters only ever grow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Metrics {
    /// Steps that computed something.
    pub steps: u64,
    /// Prompt tokens computed, recomputed ones included.
    pub prompt_tokens: u64,
    /// Prompt tokens taken from the prefix cache instead.
    pub cached_tokens: u64,
    /// Tokens generated.
    pub generated_tokens: u64,
    /// Requests that reused a prefix.
    pub cache_hits: u64,
    /// Requests that could reuse nothing.
    pub cache_misses: u64,
    /// Prefix cache entries dropped to make room.
    pub evictions: u64,
    /// Requests put back in line because the cache was full.
    pub preemptions: u64,
    /// Requests that ended, for whatever reason.
    pub finished: u64,
    /// Requests that wait now.
    pub waiting: usize,
    /// Requests that are worked on now.
    pub running: usize,
    /// Prefix cache entries now.
    pub prefix_entries: usize,
    /// Tokens for which the key-value cache has room now.
    pub free_tokens: usize,
    /// Bytes of the key-value cache now.
    pub kv_bytes: usize,
    /// Bytes of intermediate results now.
    pub scratch_bytes: usize,
}
