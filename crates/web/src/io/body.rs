//! A response's body, gathered into chunks outside of wasm's memory.

use js_sys::{Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, ReadableStream, ReadableStreamDefaultReader};

use super::globals::{describe, within};

/// Longest silence of a server before its connection counts as dead, in milliseconds.
const STALL_MS: f64 = 30_000.0;

/// Why a request or its body came to nothing.
#[derive(Debug)]
pub(super) struct Failure {
    /// For people.
    pub(super) reason: String,
    /// Whether trying again is pointless.
    pub(super) permanent: bool,
}

impl Failure {
    pub(super) fn passing(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            permanent: false,
        }
    }

    pub(super) fn permanent(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            permanent: true,
        }
    }
}

/// Waits for a server, but not for one that says nothing.
pub(super) async fn in_time<T>(answer: impl Future<Output = T>) -> Result<T, Failure> {
    within(STALL_MS, answer).await.ok_or_else(|| {
        let seconds = STALL_MS / 1000.0;
        Failure::passing(format!("nothing came for {seconds} seconds"))
    })
}

/// Ends a request when dropped, whatever it is doing.
pub(super) struct Hold(pub(super) Option<AbortController>);

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(controller) = &self.0 {
            controller.abort();
        }
    }
}

/// A body that is being read.
pub(super) struct Body {
    reader: ReadableStreamDefaultReader,
    /// What has been read but not yet asked for.
    rest: Uint8Array,
    _hold: Hold,
}

impl Body {
    pub(super) fn new(stream: &ReadableStream, hold: Hold) -> Result<Self, Failure> {
        let reader = ReadableStreamDefaultReader::new(stream)
            .map_err(|error| Failure::permanent(describe(&error)))?;
        Ok(Self {
            reader,
            rest: Uint8Array::new_with_length(0),
            _hold: hold,
        })
    }

    /// Drops `skip` bytes and gathers `length` more, or as many as there are. `arrived` is told of each
    /// piece.
    pub(super) async fn gather(
        &mut self,
        mut skip: u64,
        length: u32,
        arrived: &mut dyn FnMut(u32),
    ) -> Result<Uint8Array, Failure> {
        let buffer = Uint8Array::new_with_length(length);
        let mut filled = 0;
        while filled < length {
            if self.rest.length() == 0 {
                match self.read().await? {
                    Some(piece) => self.rest = piece,
                    None => break,
                }
            }
            // A piece's length is a u32, and so is what of it is dropped.
            let dropped = skip.min(u64::from(self.rest.length())) as u32;
            skip -= u64::from(dropped);
            let taken = (self.rest.length() - dropped).min(length - filled);
            if taken > 0 {
                buffer.set(&self.rest.subarray(dropped, dropped + taken), filled);
                filled += taken;
                arrived(taken);
            }
            self.rest = self.rest.subarray(dropped + taken, self.rest.length());
        }
        Ok(if filled == length {
            buffer
        } else {
            buffer.slice(0, filled)
        })
    }

    /// Everything, for bodies that are known to be small.
    pub(super) async fn text(&mut self, limit: u32) -> Result<Vec<u8>, Failure> {
        let bytes = self.gather(0, limit, &mut |_| {}).await?.to_vec();
        if bytes.len() < limit as usize {
            Ok(bytes)
        } else {
            Err(Failure::permanent(format!(
                "the answer is longer than {limit} bytes"
            )))
        }
    }

    async fn read(&mut self) -> Result<Option<Uint8Array>, Failure> {
        let read = JsFuture::from(self.reader.read());
        let result = in_time(read).await?.map_err(|error| {
            Failure::passing(format!("the connection broke ({})", describe(&error)))
        })?;
        let field = |name: &str| {
            Reflect::get(&result, &JsValue::from_str(name)).unwrap_or(JsValue::UNDEFINED)
        };
        if field("done").is_truthy() {
            return Ok(None);
        }
        // Streams made by a page may carry anything.
        let piece = field("value").dyn_into();
        piece.map(Some).map_err(|_| {
            Failure::permanent("the stream carries something else than bytes (Uint8Array)")
        })
    }
}
