//! One download of a model at a time, over all tabs and workers of the origin.

use js_sys::{Array, Function, Object, Promise, Reflect};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::AbortSignal;

use super::globals::{describe, locks};
use crate::{Error, ErrorCode};

/// How a lock may be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// By many, who read a model that is complete.
    Shared,
    /// By one, who downloads or removes it.
    Exclusive,
}

/// A held lock; dropping it releases it, and so does the end of the worker.
pub(super) struct Lock {
    release: Option<Function>,
}

impl Lock {
    /// Waits for the lock of a model. Where the browser has no Web Locks (outside secure contexts), nothing is waited for.
    pub(super) async fn acquire(
        id: &str,
        mode: Mode,
        signal: Option<&AbortSignal>,
    ) -> Result<Self, Error> {
        let Some(manager) = locks() else {
            return Ok(Self { release: None });
        };
        let mut release = None;
        let held = Promise::new(&mut |resolve, _| release = Some(resolve));
        let options = Object::new();
        set(
            &options,
            "mode",
            &JsValue::from_str(if mode == Mode::Shared {
                "shared"
            } else {
                "exclusive"
            }),
        );
        if let Some(signal) = signal {
            set(&options, "signal", signal);
        }
        let name = format!("minnow:{id}");
        let mut request = None;
        let granted = Promise::new(&mut |resolve, _| {
            let held = held.clone();
            let grant = move |_lock: JsValue| {
                // Resolving a promise does not throw.
                let _ = resolve.call0(&JsValue::NULL);
                held
            };
            let grant: Function = Closure::once_into_js(grant).unchecked_into();
            request = Some(manager.request(&name, &options, &grant));
        });
        let refused = |error| {
            let reason = describe(&error);
            Error::new(
                ErrorCode::UnsupportedBrowser,
                format!("the browser gave no lock for the model store ({reason})"),
            )
        };
        let request = request.transpose().map_err(refused)?;
        // The request itself ends when the lock is released, or fails when it is never granted.
        let first = Promise::race(&Array::of2(&granted, &request.into()));
        match JsFuture::from(first).await {
            Ok(_) => Ok(Self { release }),
            Err(_) if signal.is_some_and(AbortSignal::aborted) => Err(Error::Aborted),
            Err(error) => Err(refused(error)),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Some(release) = &self.release {
            let _ = release.call0(&JsValue::NULL);
        }
    }
}

fn set(object: &Object, key: &str, value: &JsValue) {
    // A plain object takes any property.
    let _ = Reflect::set(object, &JsValue::from_str(key), value);
}
