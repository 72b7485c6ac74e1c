//! A pool of threads that stay awake between the kernels of one forward pass.
//!
//! A token takes a few hundred kernel calls of some ten microseconds each, so handing out work must cost about
//! one: no allocation, no message, no lock on the way. The caller publishes a job in shared atomics; workers
//! that are spinning see it at once, workers that have gone to sleep are woken. Everybody, the caller too, draws
//! part numbers from one counter until none is left.
//!
//! The same code serves native threads and Web Workers: [`Threads::spawn`] starts native ones, and a browser
//! binding builds a pool with [`Threads::unstaffed`] and has each Web Worker call [`Crew::work`].

use std::hint;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use crate::Pool;

type Job<'a> = &'a (dyn Fn(usize) + Sync);

/// How often a worker looks for a new job before it goes to sleep: some tenths of a millisecond, longer than the serial
/// work between two kernels and than a turn of a browser's event loop. Waking a worker costs the caller
/// 15 to 20 µs in Chromium. A look takes a quarter of a nanosecond in WebAssembly, which has no instruction to pause, and
/// some tens elsewhere.
const SPINS_BEFORE_SLEEP: u32 = if cfg!(target_arch = "wasm32") {
    1_000_000
} else {
    20_000
};

/// Bits of [`Crew::door`]: how many workers are inside the current job, …
const INSIDE: u32 = 0xff;
/// … whether more may come in, …
const OPEN: u32 = 0x100;
/// … and, above both, the number of the job.
const ONE_JOB: u32 = 0x200;

/// Most threads of a pool, the caller included: what [`INSIDE`] can count.
pub const MAX_THREADS: usize = INSIDE as usize;

/// What the threads of a pool share.
#[derive(Debug)]
pub struct Crew {
    /// Who is inside the current job and whether it is open; see the constants.
    door: AtomicU32,
    /// The current job; only read by threads that are counted in `door`.
    job: AtomicPtr<Job<'static>>,
    /// Number of parts of the current job, and the next one to be drawn.
    parts: AtomicUsize,
    next: AtomicUsize,
    /// A part of the current job panicked on a worker.
    panicked: AtomicBool,
    /// Workers that sleep, or are about to.
    sleepers: AtomicU32,
    dismissed: AtomicBool,
    bell: Condvar,
    bedroom: Mutex<()>,
    /// Threads that take part in jobs, the caller included; see [`Threads::limit`].
    active: AtomicUsize,
    /// Threads that are there or may still come, the caller included.
    places: AtomicUsize,
    /// Workers that have come. They are numbered from 1; the caller is thread 0.
    arrived: AtomicUsize,
    /// Rung when `active` has changed.
    recall: Condvar,
}

impl Crew {
    fn new(threads: usize) -> Self {
        Self {
            door: AtomicU32::new(0),
            job: AtomicPtr::new(std::ptr::null_mut()),
            parts: AtomicUsize::new(0),
            next: AtomicUsize::new(0),
            panicked: AtomicBool::new(false),
            sleepers: AtomicU32::new(0),
            dismissed: AtomicBool::new(false),
            bell: Condvar::new(),
            bedroom: Mutex::new(()),
            active: AtomicUsize::new(threads),
            places: AtomicUsize::new(threads),
            arrived: AtomicUsize::new(0),
            recall: Condvar::new(),
        }
    }

    /// The life of one worker: takes part in every job, as long as it is within the pool's limit, until the pool is
    /// dropped. Blocks the calling thread.
    pub fn work(&self) {
        let number = self.arrived.fetch_add(1, Ordering::Relaxed) + 1;
        let mut last = self.door.load(Ordering::Acquire) & !(INSIDE | OPEN);
        while let Some(job) = self.await_job(last) {
            last = job;
            // Whoever sees a job sees the limit too that was set before it.
            if number >= self.active.load(Ordering::Relaxed) {
                self.rest(number);
            } else if self.enter(job) {
                self.draw_parts();
                self.door.fetch_sub(1, Ordering::Release);
            }
        }
    }

    /// Waits for a job other than `last` and returns its number, or `None` when the crew is dismissed.
    fn await_job(&self, last: u32) -> Option<u32> {
        let newer = || {
            let job = self.door.load(Ordering::SeqCst) & !(INSIDE | OPEN);
            (job != last).then_some(job)
        };
        for _ in 0..SPINS_BEFORE_SLEEP {
            if let Some(job) = newer() {
                return Some(job);
            }
            if self.dismissed.load(Ordering::Relaxed) {
                return None;
            }
            hint::spin_loop();
        }
        let mut bed = self.bedroom.lock().unwrap_or_else(PoisonError::into_inner);
        // Counted before the last look: whoever publishes a job after that look sees a sleeper to wake.
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        let found = loop {
            if self.dismissed.load(Ordering::SeqCst) {
                break None;
            }
            if let Some(job) = newer() {
                break Some(job);
            }
            bed = self.bell.wait(bed).unwrap_or_else(PoisonError::into_inner);
        };
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
        found
    }

    /// Counts this thread in, unless job number `job` has been closed meanwhile.
    fn enter(&self, job: u32) -> bool {
        self.door
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, |door| {
                (door & !INSIDE == job | OPEN).then_some(door + 1)
            })
            .is_ok()
    }

    /// Runs parts of the current job until none is left. The caller is counted in `door`.
    fn draw_parts(&self) {
        // SAFETY: `Threads::run` stored the pointer before it opened the door and does not return, so keeps what
        // it points to alive, before every thread counted in `door` has left.
        let job: Job<'_> = unsafe { *self.job.load(Ordering::Relaxed) };
        let parts = self.parts.load(Ordering::Relaxed);
        loop {
            let part = self.next.fetch_add(1, Ordering::Relaxed);
            if part >= parts {
                break;
            }
            if catch_unwind(AssertUnwindSafe(|| job(part))).is_err() {
                self.panicked.store(true, Ordering::Relaxed);
            }
        }
    }

    /// For a worker that was torn out of [`work`](Self::work) in the middle of a part, by a trap that no code here sees:
    /// takes it out of the job, whose caller then panics instead of waiting for ever.
    pub fn abandon(&self) {
        self.panicked.store(true, Ordering::Relaxed);
        self.door.fetch_sub(1, Ordering::Release);
    }

    /// Gives up a place of a worker that will not come. To be called between jobs, by the thread that publishes them.
    pub fn lose(&self) {
        let places = self.places.load(Ordering::Relaxed).saturating_sub(1).max(1);
        self.places.store(places, Ordering::Relaxed);
        self.active.fetch_min(places, Ordering::SeqCst);
    }

    /// Sleeps until the limit lets worker `number` take part again, or the crew is dismissed.
    fn rest(&self, number: usize) {
        let mut bed = self.bedroom.lock().unwrap_or_else(PoisonError::into_inner);
        while number >= self.active.load(Ordering::SeqCst) && !self.dismissed.load(Ordering::SeqCst)
        {
            bed = self
                .recall
                .wait(bed)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Has those who rest look again whether they are to.
    fn recall(&self) {
        // As in `wake_sleepers`.
        drop(self.bedroom.lock().unwrap_or_else(PoisonError::into_inner));
        self.recall.notify_all();
    }

    fn wake_sleepers(&self) {
        if self.sleepers.load(Ordering::SeqCst) > 0 {
            // Taking the lock once makes sure that a worker past its last look has reached `wait`.
            drop(self.bedroom.lock().unwrap_or_else(PoisonError::into_inner));
            self.bell.notify_all();
        }
    }
}

/// A [`Pool`] of several threads; the caller of [`Pool::run`] is one of them. Workers end when it is dropped.
#[derive(Debug)]
pub struct Threads {
    crew: Arc<Crew>,
    /// Held while a job runs, so that a call from elsewhere falls back to its own thread.
    busy: Mutex<()>,
    handles: Vec<JoinHandle<()>>,
}

impl Threads {
    /// A pool of `threads` threads in all, of which `threads - 1` are started here.
    ///
    /// # Errors
    /// If the operating system refuses a thread.
    pub fn spawn(threads: usize) -> std::io::Result<Self> {
        let (mut pool, crew) = Self::unstaffed(threads);
        for index in 1..pool.threads() {
            let crew = Arc::clone(&crew);
            let name = format!("compute-{index}");
            pool.handles.push(
                thread::Builder::new()
                    .name(name)
                    .spawn(move || crew.work())?,
            );
        }
        Ok(pool)
    }

    /// A pool that will have `threads` threads (at least 1, at most [`MAX_THREADS`]) once `threads - 1` workers have
    /// called [`Crew::work`]. It is usable at once: whoever is there does the work.
    pub fn unstaffed(threads: usize) -> (Self, Arc<Crew>) {
        let threads = threads.clamp(1, MAX_THREADS);
        let crew = Arc::new(Crew::new(threads));
        let pool = Self {
            crew: Arc::clone(&crew),
            busy: Mutex::new(()),
            handles: Vec::new(),
        };
        (pool, crew)
    }

    /// From the next job on, lets `threads` threads take part, the caller included: at least 1, at most all there are.
    /// The others sleep, and no job wakes them.
    pub fn limit(&self, threads: usize) {
        let threads = threads.clamp(1, self.crew.places.load(Ordering::Relaxed));
        self.crew.active.store(threads, Ordering::SeqCst);
        self.crew.recall();
    }
}

// SAFETY: parts are drawn from a counter that is set once for each job, and `run` returns when everybody has left it.
unsafe impl Pool for Threads {
    fn threads(&self) -> usize {
        self.crew.active.load(Ordering::Relaxed)
    }

    /// # Panics
    /// If a part panics, on whichever thread, after all other parts have run.
    fn run(&self, parts: usize, job: &(dyn Fn(usize) + Sync)) {
        let alone = self.threads() == 1 || parts <= 1;
        let turn = if alone {
            None
        } else {
            self.busy.try_lock().ok()
        };
        let Some(_turn) = turn else {
            return crate::Serial.run(parts, job);
        };
        let crew = &*self.crew;
        let job: *const Job<'_> = &job;
        crew.job
            .store(job.cast_mut().cast::<Job<'static>>(), Ordering::Relaxed);
        crew.parts.store(parts, Ordering::Relaxed);
        crew.next.store(0, Ordering::Relaxed);
        // Nobody is inside a closed job, so the whole word may be replaced.
        let number = (crew.door.load(Ordering::Relaxed) & !(INSIDE | OPEN)).wrapping_add(ONE_JOB);
        crew.door.store(number | OPEN, Ordering::SeqCst);
        crew.wake_sleepers();
        crew.draw_parts();
        crew.door.fetch_and(!OPEN, Ordering::Relaxed);
        while crew.door.load(Ordering::Acquire) & INSIDE > 0 {
            hint::spin_loop();
        }
        assert!(
            !crew.panicked.swap(false, Ordering::Relaxed),
            "a part of a kernel panicked"
        );
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.crew.dismissed.store(true, Ordering::SeqCst);
        self.crew.wake_sleepers();
        self.crew.recall();
        for handle in self.handles.drain(..) {
            // A worker cannot panic: parts that do are caught.
            handle.join().ok();
        }
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use super::*;

    /// Each part waits for the other: the job ends only if two threads take part in it.
    fn run_on_two(pool: &Threads) {
        let inside = AtomicUsize::new(0);
        pool.run(2, &|_| {
            inside.fetch_add(1, Ordering::SeqCst);
            while inside.load(Ordering::SeqCst) < 2 {
                thread::yield_now();
            }
        });
    }

    fn await_sleeper(pool: &Threads) {
        while pool.crew.sleepers.load(Ordering::SeqCst) == 0 {
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn sums(pool: &Threads, parts: usize) -> Vec<usize> {
        let counts: Vec<AtomicUsize> = (0..parts).map(|_| AtomicUsize::new(0)).collect();
        pool.run(parts, &|part| {
            counts[part].fetch_add(part + 1, Ordering::Relaxed);
        });
        counts.into_iter().map(AtomicUsize::into_inner).collect()
    }

    #[test]
    fn every_part_runs_exactly_once() {
        for threads in [1, 2, 3, 8] {
            let pool = Threads::spawn(threads).unwrap();
            for round in 0..2000 {
                let parts = round % 17;
                assert_eq!(sums(&pool, parts), (1..=parts).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn sleeping_workers_are_woken() {
        let pool = Threads::spawn(2).unwrap();
        for _ in 0..5 {
            await_sleeper(&pool);
            run_on_two(&pool);
        }
    }

    #[test]
    fn no_more_threads_than_the_limit_take_part() {
        let pool = Threads::spawn(4).unwrap();
        for limit in [1, 2, 3, 2, 1, 4] {
            pool.limit(limit);
            assert_eq!(pool.threads(), limit);
            for _ in 0..500 {
                let seen = Mutex::new(HashSet::new());
                pool.run(16, &|_| {
                    seen.lock().unwrap().insert(thread::current().id());
                });
                let seen = seen.into_inner().unwrap();
                assert!(seen.len() <= limit, "{} of {limit}", seen.len());
            }
        }
        pool.limit(0);
        assert_eq!(pool.threads(), 1);
        pool.limit(9);
        assert_eq!(pool.threads(), 4);
    }

    #[test]
    fn workers_beyond_the_limit_are_recalled_when_it_rises() {
        let pool = Threads::spawn(2).unwrap();
        // One that comes during a job takes part from the next one on.
        await_sleeper(&pool);
        for _ in 0..5 {
            pool.limit(1);
            assert_eq!(sums(&pool, 2), [1, 2]);
            // A worker learns of the limit from a job; alone, the caller publishes none.
            pool.crew.door.fetch_add(ONE_JOB, Ordering::SeqCst);
            pool.crew.wake_sleepers();
            pool.limit(2);
            run_on_two(&pool);
        }
    }

    #[test]
    fn a_job_inside_a_job_runs_on_its_own_thread() {
        let pool = Threads::spawn(3).unwrap();
        let total = AtomicUsize::new(0);
        pool.run(4, &|_| {
            pool.run(5, &|part| {
                total.fetch_add(part, Ordering::Relaxed);
            });
        });
        assert_eq!(total.into_inner(), 40);
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_lives_on() {
        let pool = Threads::spawn(2).unwrap();
        let result = catch_unwind(AssertUnwindSafe(|| {
            pool.run(8, &|part| assert_ne!(part, 5))
        }));
        assert!(result.is_err());
        assert_eq!(sums(&pool, 4), [1, 2, 3, 4]);
    }

    #[test]
    fn a_worker_that_was_torn_out_of_a_job_fails_it_and_does_not_hold_it() {
        let (pool, crew) = Threads::unstaffed(2);
        let abandoned = AtomicBool::new(false);
        let result = thread::scope(|scope| {
            scope.spawn(|| {
                let job = crew.await_job(0).unwrap();
                assert!(crew.enter(job));
                crew.abandon();
                abandoned.store(true, Ordering::SeqCst);
            });
            catch_unwind(AssertUnwindSafe(|| {
                pool.run(2, &|_| {
                    while !abandoned.load(Ordering::SeqCst) {
                        thread::yield_now();
                    }
                });
            }))
        });
        assert!(result.is_err());
        assert_eq!(sums(&pool, 3), [1, 2, 3]);
    }

    #[test]
    fn places_of_workers_that_will_not_come_are_given_up() {
        let (pool, crew) = Threads::unstaffed(3);
        crew.lose();
        assert_eq!(pool.threads(), 2);
        pool.limit(1);
        pool.limit(3);
        assert_eq!(pool.threads(), 2);
        crew.lose();
        crew.lose();
        assert_eq!(pool.threads(), 1);
        assert_eq!(sums(&pool, 3), [1, 2, 3]);
    }

    #[test]
    fn a_pool_without_its_workers_still_works() {
        let (pool, crew) = Threads::unstaffed(4);
        assert_eq!(sums(&pool, 3), [1, 2, 3]);
        drop(pool);
        crew.work();
    }
}
