//! The browser's clocks and randomness, for the crates below that have none of their own.

use js_sys::Uint8Array;
use wasm_bindgen::prelude::wasm_bindgen;

const MS_PER_SECOND: f64 = 1000.0;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    fn performance_now() -> f64;

    #[wasm_bindgen(js_namespace = crypto, js_name = getRandomValues)]
    fn get_random_values(bytes: &Uint8Array);
}

/// `performance.now()`: milliseconds since the worker started, never going backwards.
pub(crate) struct Performance;

impl engine::Clock for Performance {
    fn now_ms(&self) -> f64 {
        performance_now()
    }
}

/// Seconds since 1970-01-01T00:00:00 UTC.
pub(crate) fn unix_seconds() -> i64 {
    (js_sys::Date::now() / MS_PER_SECOND) as i64
}

/// A seed that nobody can guess, for requests that give none.
pub(crate) fn random_seed() -> u64 {
    let mut bytes = [0; size_of::<u64>()];
    // The browser refuses to fill memory that threads share.
    let filled = Uint8Array::new_with_length(bytes.len() as u32);
    get_random_values(&filled);
    filled.copy_to(&mut bytes);
    u64::from_le_bytes(bytes)
}
