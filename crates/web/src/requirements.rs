//! What a model will take, from its headers alone, and whether this device has it.

use engine::EngineOptions;
use serde::Serialize;
use tsify::Tsify;

use crate::io::device_memory;
use crate::session::wasm_bytes;
use crate::{Error, ErrorCode};

/// Bytes that a module of 32-bit addresses can have.
const ADDRESS_SPACE: u64 = 1 << 32;

/// What browsers report at most as the device's memory, in bytes: 8 GiB stands for any more.
const MOST_REPORTED: u64 = 8 << 30;

/// Bytes that a model will take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Tsify)]
pub struct Needs {
    /// Packed weights.
    pub weights: u64,
    /// Key-value cache, once it is full.
    pub kv: u64,
    /// Intermediate results.
    pub scratch: u64,
}

impl Needs {
    /// What a model takes in an engine with `options`.
    pub(crate) fn new(plan: &model::Plan, options: &EngineOptions) -> Result<Self, Error> {
        let rows = options.max_batch_tokens;
        Ok(Self {
            weights: plan.weight_bytes,
            kv: plan.kv_bytes(options.kv, options.cache_tokens, rows, options.page)?,
            scratch: plan.scratch_bytes(rows, options.max_sequences),
        })
    }

    /// All of it.
    pub(crate) fn total(&self) -> u64 {
        self.weights
            .saturating_add(self.kv)
            .saturating_add(self.scratch)
    }

    /// Refuses a model that can't be held, before any of it is downloaded.
    ///
    /// # Errors
    /// `out_of_memory`, with the numbers.
    pub(crate) fn check(&self, limit: u64) -> Result<(), Error> {
        if self.total() <= limit {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::OutOfMemory,
            format!(
                "the model takes {} bytes of memory ({} for weights, {} for the key-value cache, {} for intermediate results), and {limit} are to be had: choose a smaller model or a shorter context",
                self.total(),
                self.weights,
                self.kv,
                self.scratch
            ),
        ))
    }
}

/// Bytes that a model may take here: what addresses reach and the module does not use already, and no more than the device
/// has, where the browser tells.
pub(crate) fn memory_limit() -> u64 {
    limit(wasm_bytes() as u64, device_memory())
}

fn limit(used: u64, device: Option<u64>) -> u64 {
    let device = device.filter(|bytes| *bytes < MOST_REPORTED);
    let addresses = ADDRESS_SPACE.saturating_sub(used);
    device.map_or(addresses, |device| addresses.min(device))
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[wasm_bindgen_test]
    fn the_limit_is_the_smaller_of_addresses_and_device() {
        assert_eq!(limit(1 << 20, None), (1 << 32) - (1 << 20));
        assert_eq!(limit(0, Some(2 << 30)), 2 << 30);
        assert_eq!(limit(0, Some(MOST_REPORTED)), 1 << 32);
    }

    #[wasm_bindgen_test]
    fn what_cannot_be_held_is_refused_with_the_numbers() {
        let needs = Needs {
            weights: 3 << 30,
            kv: 1 << 30,
            scratch: 1,
        };
        assert!(needs.check((4 << 30) + 1).is_ok());
        let error = needs.check(4 << 30).expect_err("one byte too many");
        assert_eq!(error.code(), Some(ErrorCode::OutOfMemory));
        assert!(error.to_string().contains("3221225472"), "{error}");
    }
}
