//! A panic is a defect: it must reach the page with its message, not as a bare `unreachable`.

use std::panic;

use wasm_bindgen::prelude::wasm_bindgen;

use crate::{Error, ErrorCode};

/// Runs once, when the module is instantiated.
#[wasm_bindgen(start)]
fn install_hook() {
    panic::set_hook(Box::new(|defect| {
        let report = Error::new(
            ErrorCode::WorkerCrashed,
            format!("Minnow stopped at a defect of its own; load the model again. {defect}"),
        );
        // Leaves the module for good: after a panic nothing in it is used again.
        wasm_bindgen::throw_val(report.into())
    }));
}
