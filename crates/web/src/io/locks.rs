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
    mode: Mode,
    release: Option<Function>,
}

impl Lock {
    /// Waits for the lock of a model. Where the browser has no Web Locks (outside secure contexts), nothing is waited for.
    pub(super) async fn acquire(
        id: &str,
        mode: Mode,
        signal: Option<&AbortSignal>,
    ) -> Result<Self, Error> {
        let options = Object::new();
        set(&options, "mode", &mode.name().into());
        if let Some(signal) = signal {
            set(&options, "signal", signal);
        }
        match Self::request(id, mode, &options).await {
            Ok((_, lock)) => Ok(lock),
            Err(_) if signal.is_some_and(AbortSignal::aborted) => Err(Error::Aborted),
            Err(error) => Err(Error::new(
                ErrorCode::UnsupportedBrowser,
                format!(
                    "the browser gave no lock for the model store ({})",
                    describe(&error)
                ),
            )),
        }
    }

    /// The lock of a model that nobody uses, for its removal; `None` if somebody does.
    pub(super) async fn if_unused(id: &str) -> Option<Self> {
        let options = Object::new();
        set(&options, "ifAvailable", &JsValue::TRUE);
        let (granted, lock) = Self::request(id, Mode::Exclusive, &options).await.ok()?;
        (!granted.is_null()).then_some(lock)
    }

    /// Whether nobody else reads or writes the model.
    pub(super) fn is_exclusive(&self) -> bool {
        self.mode == Mode::Exclusive
    }

    /// Waits for an answer, and gives it with what holds the lock, if one was granted.
    async fn request(id: &str, mode: Mode, options: &Object) -> Result<(JsValue, Self), JsValue> {
        let mut lock = Self {
            mode,
            release: None,
        };
        let Some(manager) = locks() else {
            return Ok((JsValue::UNDEFINED, lock));
        };
        let held = Promise::new(&mut |resolve, _| lock.release = Some(resolve));
        let name = format!("minnow:{id}");
        let mut request = None;
        let granted = Promise::new(&mut |resolve, _| {
            let held = held.clone();
            let grant = move |granted: JsValue| {
                // Resolving a promise does not throw.
                let _ = resolve.call1(&JsValue::NULL, &granted);
                held
            };
            let grant: Function = Closure::once_into_js(grant).unchecked_into();
            request = Some(manager.request(&name, options, &grant));
        });
        let request = request.transpose()?;
        // The request itself ends when the lock is released, or fails when it is never granted.
        let first = Promise::race(&Array::of2(&granted, &request.into()));
        let granted = JsFuture::from(first).await?;
        Ok((granted, lock))
    }
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Exclusive => "exclusive",
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
