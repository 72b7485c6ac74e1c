//! How much the browser lets this origin store.

use js_sys::Reflect;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::StorageEstimate;

use super::globals;

/// Bytes used and granted; `None` where the browser does not tell.
pub(super) type Estimate = Option<(u64, u64)>;

/// What is missing for something to be stored.
#[derive(Debug)]
pub(super) struct Shortage {
    wanted: u64,
    free: u64,
    quota: u64,
}

impl Shortage {
    /// Bytes that have to go before what is wanted fits.
    pub(super) fn lacking(&self) -> u64 {
        self.wanted - self.free
    }
}

impl std::fmt::Display for Shortage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            wanted,
            free,
            quota,
        } = self;
        write!(
            f,
            "{wanted} bytes are to be stored, and of the {quota} bytes that the browser grants {free} are free: \
             remove a model, or load with evict: true"
        )
    }
}

/// Whether `wanted` bytes more fit into what the browser grants. Where the browser does not tell, writing shows.
pub(super) fn room_for(wanted: u64, estimate: Estimate) -> Result<(), Shortage> {
    let Some((used, quota)) = estimate else {
        return Ok(());
    };
    let free = quota.saturating_sub(used);
    if wanted <= free {
        return Ok(());
    }
    Err(Shortage {
        wanted,
        free,
        quota,
    })
}

/// Whether `bytes` more fit, as far as the browser tells.
pub(crate) async fn fits(bytes: u64) -> bool {
    room_for(bytes, estimate().await).is_ok()
}

/// Asks the browser, at once; the future waits for the answer, which takes tens of milliseconds.
pub(super) fn estimate() -> impl Future<Output = Estimate> + 'static {
    let asked = globals::storage_manager().and_then(|manager| manager.estimate().ok());
    let answer = asked.map(JsFuture::from);
    async {
        let estimate: StorageEstimate = answer?.await.ok()?.unchecked_into();
        let number = |name: &str| {
            Reflect::get(&estimate, &JsValue::from_str(name))
                .ok()?
                .as_f64()
        };
        // Whole numbers far below 2^53.
        Some((number("usage")? as u64, number("quota")? as u64))
    }
}

/// Whether the browser has promised not to evict what is stored. Only a page can ask it to.
pub(super) async fn is_persisted() -> bool {
    match globals::storage_manager().map(|manager| manager.persisted()) {
        Some(Ok(promise)) => JsFuture::from(promise)
            .await
            .is_ok_and(|value| value.is_truthy()),
        _ => false,
    }
}
