//! Time and output, natively and in a page.

#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn now_ms() -> f64 {
    use std::sync::OnceLock;
    use std::time::Instant;
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_secs_f64() * 1e3
}

#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn print(line: &str) {
    println!("{line}");
}

#[cfg(target_arch = "wasm32")]
mod page {
    //! What the page provides.

    #[link(wasm_import_module = "host")]
    unsafe extern "C" {
        pub(crate) safe fn now_ms() -> f64;
        pub(crate) fn print(text: *const u8, len: usize);
    }
}

#[cfg(target_arch = "wasm32")]
pub(crate) use page::now_ms;

#[cfg(target_arch = "wasm32")]
pub(crate) fn print(line: &str) {
    // SAFETY: the host reads the text before it returns.
    unsafe { page::print(line.as_ptr(), line.len()) }
}

/// Milliseconds of the fastest of some calls, after warming up; `work` is repeated until a call is long enough to
/// be timed.
pub(crate) fn best_ms(mut work: impl FnMut()) -> f64 {
    const LONG_ENOUGH_MS: f64 = 3.0;
    const WARM_UP_MS: f64 = 250.0;
    const CALLS: usize = 24;
    let (start, mut calls) = (now_ms(), 0);
    while now_ms() - start < WARM_UP_MS {
        work();
        calls += 1;
    }
    let repeats = (LONG_ENOUGH_MS * f64::from(calls) / WARM_UP_MS).ceil() as usize;
    let times = (0..CALLS).map(|_| {
        let start = now_ms();
        (0..repeats).for_each(|_| work());
        (now_ms() - start) / repeats as f64
    });
    times.fold(f64::INFINITY, f64::min)
}
