//! Compute threads.

use std::thread::available_parallelism;

use anyhow::{Context, Result};
use kernels::{Pool, Serial, Threads};

/// A pool of this many threads; 0 takes as many as the machine offers.
pub(crate) fn pool(threads: usize) -> Result<Box<dyn Pool>> {
    let threads = match threads {
        0 => available_parallelism().map_or(1, usize::from),
        given => given,
    };
    if threads == 1 {
        return Ok(Box::new(Serial));
    }
    let pool = Threads::spawn(threads);
    Ok(Box::new(pool.with_context(|| {
        format!("{threads} threads can't be started")
    })?))
}
