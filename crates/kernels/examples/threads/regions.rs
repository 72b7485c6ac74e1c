//! What it costs to hand a kernel to several threads and to wait for them.

use std::hint::black_box;
use std::thread::available_parallelism;

use kernels::{Pool, Threads, for_each_chunk};

use crate::crew::THREADS;
use crate::host::{best_ms, print};

/// Multiplications that a part of a busy kernel does, one after the other: some microseconds.
const WORK: u32 = 5000;

/// Small pieces of a kernel that threads draw one by one.
const PIECES: usize = 64;

/// Prints for each number of threads the microseconds of a kernel with an empty part for each, of one with many empty parts,
/// and what a kernel with some microseconds of work for each thread takes longer than that work.
pub(crate) fn measure(pool: &Threads) {
    // A page does not tell.
    let processors = available_parallelism().map_or(2, usize::from);
    pool.limit(1);
    let work = 1e3 * best_ms(|| pool.run(1, &busy));
    for threads in 2..=processors.min(THREADS) {
        pool.limit(threads);
        let empty = 1e3 * best_ms(|| pool.run(threads, &|part| _ = black_box(part)));
        let mut data = [0_u8; PIECES];
        let pieces =
            1e3 * best_ms(|| for_each_chunk(pool, &mut data, 1, &|_, piece| _ = black_box(piece)));
        let handed = 1e3 * best_ms(|| pool.run(threads, &busy)) - work;
        print(&format!(
            r#"{{"threads": {threads}, "region_us": {empty:.3}, "pieces": {PIECES}, "pieces_us": {pieces:.3}, "work_us": {work:.3}, "handed_us": {handed:.3}}}"#
        ));
    }
}

fn busy(part: usize) {
    let mut x = black_box(part as u32);
    for _ in 0..WORK {
        x = black_box(x.wrapping_mul(747_796_405));
    }
}
