//! The caller's wish to stop, as a future.

use js_sys::Promise;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;
use web_sys::AbortSignal;

use crate::Error;

/// Fails if `signal` has fired.
pub(super) fn check(signal: Option<&AbortSignal>) -> Result<(), Error> {
    match signal {
        Some(signal) if signal.aborted() => Err(Error::Aborted),
        _ => Ok(()),
    }
}

/// Ends when `signal` fires, which may be never.
pub(super) async fn fired(signal: Option<AbortSignal>) {
    let Some(signal) = signal else {
        return std::future::pending().await;
    };
    if signal.aborted() {
        return;
    }
    let promise = Promise::new(&mut |resolve, _| {
        // An AbortSignal is an EventTarget; adding a listener to it does not fail.
        let options = web_sys::AddEventListenerOptions::new();
        options.set_once(true);
        let _ = signal.add_event_listener_with_callback_and_add_event_listener_options(
            "abort", &resolve, &options,
        );
    });
    let _: Result<JsValue, JsValue> = JsFuture::from(promise).await;
}
