//! One thing after the other.

use std::cell::RefCell;

use js_sys::{Function, Promise};
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;

/// Hands out turns in the order in which they are asked for.
pub(super) struct Turns {
    /// Resolves when the last turn that was handed out is over.
    last: RefCell<Promise>,
}

/// A turn; dropping it ends it.
pub(super) struct Turn {
    end: Option<Function>,
}

impl Turns {
    pub(super) fn new() -> Self {
        Self {
            last: RefCell::new(Promise::resolve(&JsValue::UNDEFINED)),
        }
    }

    /// Gets in line at once; the future waits until it is this one's turn. Dropping that future gives the turn up.
    pub(super) fn take(&self) -> impl Future<Output = Turn> + use<> {
        let mut turn = Turn { end: None };
        let over = Promise::new(&mut |resolve, _| turn.end = Some(resolve));
        let before = self.last.replace(over);
        async move {
            // These promises are only ever resolved.
            let _ = JsFuture::from(before).await;
            turn
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(end) = &self.end {
            let _ = end.call0(&JsValue::NULL);
        }
    }
}
