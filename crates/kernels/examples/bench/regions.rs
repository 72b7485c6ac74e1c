//! What it costs to hand a kernel to several threads and to wait for them: the kernel here does nothing.

use std::hint::black_box;

use kernels::{Pool, Threads};

use crate::host::{best_ms, print};

/// Prints microseconds of one call with as many parts as threads.
pub(crate) fn measure() {
    let most = std::thread::available_parallelism().map_or(1, usize::from);
    for threads in 2..=most {
        let pool = Threads::spawn(threads).expect("threads can be started");
        let us = 1e3 * best_ms(|| pool.run(threads, &|part| _ = black_box(part)));
        print(&format!(
            r#"{{"threads": {threads}, "region_us": {us:.3}}}"#
        ));
    }
}
