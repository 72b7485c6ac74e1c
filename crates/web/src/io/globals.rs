//! What a window and a worker both have, reached without knowing which of the two this is.

use futures_util::future::{Either, select};
use js_sys::{Function, Object, Promise, Reflect};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{IdbFactory, RequestInit, StorageManager};

use crate::{Error, ErrorCode};

#[wasm_bindgen]
extern "C" {
    /// `fetch(address, init)`.
    #[wasm_bindgen(js_name = fetch)]
    pub(super) fn fetch(address: &str, init: &RequestInit) -> Promise;

    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(callback: &Function, ms: f64) -> JsValue;

    #[wasm_bindgen(js_name = clearTimeout)]
    fn clear_timeout(id: &JsValue);

    /// `navigator.locks`.
    pub(super) type LockManager;

    #[wasm_bindgen(method, catch)]
    pub(super) fn request(
        this: &LockManager,
        name: &str,
        options: &Object,
        callback: &Function,
    ) -> Result<Promise, JsValue>;
}

/// A property reached by a path from the global object; `None` if it or anything on the way is not there.
fn global(path: &[&str]) -> Option<JsValue> {
    path.iter()
        .try_fold(js_sys::global().into(), |object, name| {
            let value = Reflect::get(&object, &JsValue::from_str(name)).ok()?;
            (!value.is_undefined() && !value.is_null()).then_some(value)
        })
}

pub(super) fn locks() -> Option<LockManager> {
    global(&["navigator", "locks"]).map(JsCast::unchecked_into)
}

pub(super) fn storage_manager() -> Option<StorageManager> {
    global(&["navigator", "storage"]).map(JsCast::unchecked_into)
}

pub(super) fn indexed_db() -> Option<IdbFactory> {
    global(&["indexedDB"]).map(JsCast::unchecked_into)
}

/// Bytes of memory that the device has, as far as the browser tells: rounded, and 8 GiB for any more.
pub(crate) fn device_memory() -> Option<u64> {
    const GIB: f64 = (1_u64 << 30) as f64;
    // A quarter of a GiB at least, eight at most.
    Some((global(&["navigator", "deviceMemory"])?.as_f64()? * GIB) as u64)
}

/// The origin of the page; `None` where it has none.
pub(super) fn page_origin() -> Option<String> {
    global(&["location", "origin"])?.as_string()
}

/// Resolves after a while; dropping it clears the timer.
pub(super) struct Sleep {
    timer: JsValue,
    promise: Promise,
}

impl Sleep {
    pub(super) fn ms(ms: f64) -> Self {
        let mut timer = JsValue::UNDEFINED;
        let promise = Promise::new(&mut |resolve, _| timer = set_timeout(&resolve, ms));
        Self { timer, promise }
    }

    pub(super) async fn wait(&self) {
        // A timer does not fail.
        let _ = JsFuture::from(self.promise.clone()).await;
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        clear_timeout(&self.timer);
    }
}

/// What `work` comes to; `None` if that takes longer than so many milliseconds.
pub(super) async fn within<T>(ms: f64, work: impl Future<Output = T>) -> Option<T> {
    let limit = Sleep::ms(ms);
    let (work, late) = (std::pin::pin!(work), std::pin::pin!(limit.wait()));
    match select(work, late).await {
        Either::Left((result, _)) => Some(result),
        Either::Right(_) => None,
    }
}

/// Time between two looks at whether there is a network, in milliseconds.
const LOOK_MS: f64 = 500.0;

/// Whether the browser has a network to use, as far as it knows.
pub(super) fn is_online() -> bool {
    global(&["navigator", "onLine"]) != Some(JsValue::FALSE)
}

/// What a load comes to that would have to wait for a network before anything has come.
pub(super) fn offline(reason: &str) -> Error {
    Error::new(
        ErrorCode::DownloadFailed,
        format!(
            "the model is not stored whole, and the browser is offline: load it again with a network ({reason})"
        ),
    )
}

/// Waits until the browser has a network to use, as far as it knows. Browsers do not reliably tell workers when that
/// changes, so that it is looked at again and again.
pub(super) async fn online() {
    while !is_online() {
        Sleep::ms(LOOK_MS).wait().await;
    }
}

/// What a JavaScript error says, for people.
pub(super) fn describe(error: &JsValue) -> String {
    match error.dyn_ref::<js_sys::Error>() {
        Some(error) => String::from(error.message()),
        None => match error.dyn_ref::<web_sys::DomException>() {
            Some(error) => format!("{}: {}", error.name(), error.message()),
            None => format!("{error:?}"),
        },
    }
}
