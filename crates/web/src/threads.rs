//! The workers that compute beside the one that drives the engine.
//!
//! They are instances of the same module on the same memory, so what is static here is common to all of them.
//! In builds without shared memory nobody calls [`compute`].

use std::sync::{Arc, Mutex, PoisonError};

use engine::{Clock, Engine, Event};
use kernels::{Crew, Pool, Threads, Tuning};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::clock::Performance;

/// The pool that waits for the model to be loaded.
static POOL: Mutex<Option<Threads>> = Mutex::new(None);

/// What workers join. There is one model in a module, and so one crew.
static CREW: Mutex<Option<Arc<Crew>>> = Mutex::new(None);

/// Prepares the next [`load`](crate::load) to compute on `threads` threads, the caller's included. The others are workers
/// that call [`compute`]; work is done whether they have come yet or not.
#[wasm_bindgen(js_name = useThreads)]
pub fn use_threads(threads: usize) {
    let (pool, crew) = Threads::unstaffed(threads);
    *POOL.lock().unwrap_or_else(PoisonError::into_inner) = Some(pool);
    *CREW.lock().unwrap_or_else(PoisonError::into_inner) = Some(crew);
}

/// This module, compiled, for workers to instantiate.
#[wasm_bindgen(js_name = compiledModule, unchecked_return_type = "WebAssembly.Module")]
pub fn compiled_module() -> JsValue {
    wasm_bindgen::module()
}

/// Computes what the engine hands out, and returns when the model is dropped. Blocks the worker that calls it.
#[wasm_bindgen]
pub fn compute() {
    if let Some(crew) = crew() {
        crew.work();
    }
}

/// Says that one of the workers of [`use_threads`] will not come.
#[wasm_bindgen(js_name = loseThread)]
pub fn lose_thread() {
    if let Some(crew) = crew() {
        crew.lose();
    }
}

/// Tells the engine that this worker's [`compute`] ended in a trap, so that it does not wait for its part.
#[wasm_bindgen(js_name = computeFailed)]
pub fn compute_failed() {
    if let Some(crew) = crew() {
        crew.abandon();
    }
}

fn crew() -> Option<Arc<Crew>> {
    CREW.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// The pool that [`use_threads`] prepared, else this thread alone.
pub(crate) fn pool() -> Threads {
    let prepared = POOL.lock().unwrap_or_else(PoisonError::into_inner).take();
    prepared.unwrap_or_else(|| Threads::unstaffed(1).0)
}

/// Steps an engine, on as many threads as help where that is to be found out.
pub(crate) struct Stepper {
    /// The engine's.
    pool: Arc<Threads>,
    tuning: Option<Tuning>,
}

impl Stepper {
    pub(crate) fn new(pool: Arc<Threads>, tunes: bool) -> Self {
        let all = pool.threads();
        let tuning = (tunes && all > 1).then(|| Tuning::new(all));
        Self { pool, tuning }
    }

    /// Threads that compute now.
    pub(crate) fn threads(&self) -> usize {
        self.pool.threads()
    }

    /// [`Engine::step`]
    pub(crate) fn step(&mut self, engine: &mut Engine) -> Vec<Event> {
        let Some(tuning) = &mut self.tuning else {
            return engine.step();
        };
        self.pool.limit(tuning.threads());
        let (before, began) = (engine.metrics(), Performance.now_ms());
        let events = engine.step();
        let (after, ended) = (engine.metrics(), Performance.now_ms());
        let tokens = (after.generated_tokens - before.generated_tokens) as usize;
        if tokens > 0 && after.prompt_tokens == before.prompt_tokens {
            tuning.record(tokens, ended - began);
        }
        events
    }
}
