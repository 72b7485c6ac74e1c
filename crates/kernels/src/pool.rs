//! Who runs the parts of a kernel: this thread, or several.
//!
//! A kernel cuts its output into parts that no two workers share and that are computed in the same order of
//! operations whoever runs them, so its result depends neither on the number of threads nor on their timing.

use std::sync::{Arc, Mutex, PoisonError};

use crate::shared::Shared;

/// Runs the parts of one kernel call and returns when all are done.
///
/// A kernel never asks which pool it was given; it only uses [`Pool::threads`] to decide how finely to cut.
///
/// # Safety
/// [`Pool::run`] calls each part once, neither twice nor after it has returned: parts write to places of their own, which
/// nothing else keeps apart.
pub unsafe trait Pool: Send + Sync {
    /// How many parts can be in progress at a time; at least 1.
    fn threads(&self) -> usize;

    /// Calls `job(0)`, `job(1)`, … `job(parts - 1)`, each exactly once, in any order and on any thread, and
    /// returns after the last has returned.
    fn run(&self, parts: usize, job: &(dyn Fn(usize) + Sync));
}

/// Everything on the calling thread, in order.
#[derive(Debug, Clone, Copy, Default)]
pub struct Serial;

// SAFETY: the loop calls each part once.
unsafe impl Pool for Serial {
    fn threads(&self) -> usize {
        1
    }

    fn run(&self, parts: usize, job: &(dyn Fn(usize) + Sync)) {
        for part in 0..parts {
            job(part);
        }
    }
}

/// A pool that somebody else has a hand on too, to limit it.
// SAFETY: that of `P`.
unsafe impl<P: Pool> Pool for Arc<P> {
    fn threads(&self) -> usize {
        (**self).threads()
    }

    fn run(&self, parts: usize, job: &(dyn Fn(usize) + Sync)) {
        (**self).run(parts, job);
    }
}

/// Hands each `chunk`-long piece of `data` (the last may be shorter) to `job` with the piece's number, from the
/// threads of `pool`. Workers take the next piece when they are done with one, so uneven work balances itself.
///
/// # Panics
/// If `chunk` is 0.
pub fn for_each_chunk<T: Send>(
    pool: &dyn Pool,
    data: &mut [T],
    chunk: usize,
    job: &(dyn Fn(usize, &mut [T]) + Sync),
) {
    let chunks = data.len().div_ceil(chunk);
    let data = Shared::new(data);
    pool.run(chunks, &|index| {
        let start = index * chunk;
        // SAFETY: the pool calls each part once, and chunks do not overlap.
        let piece = unsafe { data.range(start..data.len().min(start + chunk)) };
        job(index, piece);
    });
}

/// Elements of a row-wise operation that a thread takes at a time: some microseconds of work, a multiple of what it costs to
/// hand out. A batch of one token is not handed out at all.
const ELEMENTS_PER_CHUNK: usize = 8192;

/// Hands the rows of `values`, `width` long, to `job` from the threads of `pool`, some whole rows at a time with the place of
/// their first element; what is little stays on this thread.
pub fn for_rows(
    pool: &dyn Pool,
    values: &mut [f32],
    width: usize,
    job: &(dyn Fn(usize, &mut [f32]) + Sync),
) {
    let chunk = (ELEMENTS_PER_CHUNK / width).max(1) * width;
    if values.len() <= chunk {
        return job(0, values);
    }
    for_each_chunk(pool, values, chunk, &|index, rows| job(index * chunk, rows));
}

/// Hands every item of `items` to `job` from the threads of `pool`. Items are drawn one at a time, under a lock,
/// so an item should be worth some microseconds of work.
pub fn for_each_item<I>(pool: &dyn Pool, items: I, job: &(dyn Fn(I::Item) + Sync))
where
    I: Iterator + Send,
    I::Item: Send,
{
    let queue = Mutex::new(items);
    pool.run(pool.threads(), &|_| {
        loop {
            let item = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some(item) = item else { break };
            job(item);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn serial_runs_each_part_once_and_in_order() {
        let seen = Mutex::new(Vec::new());
        Serial.run(4, &|part| seen.lock().unwrap().push(part));
        assert_eq!(seen.into_inner().unwrap(), [0, 1, 2, 3]);
    }

    #[test]
    fn chunks_cover_the_data_once() {
        let mut data = vec![0usize; 10];
        for_each_chunk(&Serial, &mut data, 4, &|index, piece| {
            for value in piece {
                *value += index + 1;
            }
        });
        assert_eq!(data, [1, 1, 1, 1, 2, 2, 2, 2, 3, 3]);
    }
}
