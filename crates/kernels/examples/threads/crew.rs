//! The threads, natively and in a page.

use std::hint;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use kernels::{Pool, Threads};

/// Threads of the pool: more than two, and not a power of two.
pub(crate) const THREADS: usize = 3;

/// How long a part waits for the others. A worker that comes during a call takes part from the next one on.
const LOOKS: u32 = 1_000_000;

/// The pool, once all its threads have taken part in one call.
pub(crate) fn pool() -> Threads {
    let pool = staffed();
    let (inside, together) = (AtomicUsize::new(0), AtomicBool::new(false));
    while !together.load(Ordering::Relaxed) {
        pool.run(THREADS, &|_| {
            if inside.fetch_add(1, Ordering::Relaxed) + 1 == THREADS {
                together.store(true, Ordering::Relaxed);
            }
            for _ in 0..LOOKS {
                if together.load(Ordering::Relaxed) {
                    break;
                }
                hint::spin_loop();
            }
            inside.fetch_sub(1, Ordering::Relaxed);
        });
    }
    pool
}

#[cfg(not(target_arch = "wasm32"))]
fn staffed() -> Threads {
    Threads::spawn(THREADS).expect("threads can be started")
}

#[cfg(target_arch = "wasm32")]
use page::staffed;

#[cfg(target_arch = "wasm32")]
mod page {
    //! What the page calls: `room` for each worker's stack and thread-local data, `work` in each worker, then `main`.

    use std::alloc::{Layout, alloc};
    use std::sync::{Arc, LazyLock, Mutex, PoisonError};

    use kernels::{Crew, Threads};

    use super::THREADS;

    static HIRED: LazyLock<(Mutex<Option<Threads>>, Arc<Crew>)> = LazyLock::new(|| {
        let (pool, crew) = Threads::unstaffed(THREADS);
        (Mutex::new(Some(pool)), crew)
    });

    pub(super) fn staffed() -> Threads {
        let mut pool = HIRED.0.lock().unwrap_or_else(PoisonError::into_inner);
        pool.take().expect("one pool")
    }

    /// Memory that is never given back.
    #[unsafe(no_mangle)]
    extern "C" fn room(bytes: usize, align: usize) -> *mut u8 {
        let layout = Layout::from_size_align(bytes, align).expect("a size and a power of two");
        // SAFETY: the page asks for more than nothing.
        unsafe { alloc(layout) }
    }

    /// Computes until the pool is dropped.
    #[unsafe(no_mangle)]
    extern "C" fn work() {
        HIRED.1.work();
    }
}
