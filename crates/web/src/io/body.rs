//! A response's body, gathered into chunks.

use js_sys::{Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    AbortController, ReadableStream, ReadableStreamByobReader, ReadableStreamDefaultReader,
};

use super::globals::{describe, within};

/// Longest silence of a server before its connection counts as dead, in milliseconds.
const STALL_MS: f64 = 30_000.0;

/// Bytes that are read at once at most: what browsers have ready of a fast connection.
const READ_BYTES: u32 = 512 << 10;

/// Bytes by which memory for a text grows.
const TEXT_STEP: usize = 64 << 10;

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
    reader: Reader,
    /// What has been read but not yet asked for.
    rest: Uint8Array,
    _hold: Hold,
}

/// How a stream is read.
enum Reader {
    /// Into memory that is handed over and comes back with bytes: streams of requests and blobs.
    Into(ReadableStreamByobReader),
    /// In pieces as the stream makes them: streams of pages, and every one in browsers that have no others.
    Pieces(ReadableStreamDefaultReader),
}

impl Body {
    pub(super) fn new(stream: &ReadableStream, hold: Hold) -> Result<Self, Failure> {
        let (reader, memory) = match ReadableStreamByobReader::new(stream) {
            Ok(reader) => (Reader::Into(reader), READ_BYTES),
            Err(_) => {
                let reader = ReadableStreamDefaultReader::new(stream);
                let reader = reader.map_err(|error| Failure::permanent(describe(&error)))?;
                (Reader::Pieces(reader), 0)
            }
        };
        Ok(Self {
            reader,
            rest: Uint8Array::new_with_length(memory).subarray(0, 0),
            _hold: hold,
        })
    }

    /// Drops `skip` bytes and gathers as many more as `into` has room for, or as there are. `arrived` is told of each piece.
    /// Gives how many were gathered.
    pub(super) async fn gather(
        &mut self,
        mut skip: u64,
        into: &mut [u8],
        arrived: &mut dyn FnMut(u32),
    ) -> Result<usize, Failure> {
        let mut filled = 0;
        while filled < into.len() {
            if self.rest.length() == 0 {
                match self.read().await? {
                    Some(piece) => self.rest = piece,
                    None => break,
                }
            }
            // A piece's length is a u32, and so is what of it is dropped or taken.
            let dropped = skip.min(u64::from(self.rest.length())) as u32;
            skip -= u64::from(dropped);
            let room = into.len() - filled;
            let taken = room.min((self.rest.length() - dropped) as usize) as u32;
            if taken > 0 {
                let (from, to) = (filled, filled + taken as usize);
                let piece = self.rest.subarray(dropped, dropped + taken);
                piece.copy_to(&mut into[from..to]);
                filled = to;
                arrived(taken);
            }
            self.rest = self.rest.subarray(dropped + taken, self.rest.length());
        }
        Ok(filled)
    }

    /// Everything, for bodies that are known to be small.
    pub(super) async fn text(&mut self, limit: u32) -> Result<Vec<u8>, Failure> {
        let mut text = Vec::new();
        loop {
            let filled = text.len();
            text.resize((filled + TEXT_STEP).min(limit as usize), 0);
            let room = &mut text[filled..];
            let gathered = self.gather(0, room, &mut |_| {}).await?;
            if gathered < room.len() {
                text.truncate(filled + gathered);
                return Ok(text);
            }
            if text.len() == limit as usize {
                let reason = format!("the answer is longer than {limit} bytes");
                return Err(Failure::permanent(reason));
            }
        }
    }

    async fn read(&mut self) -> Result<Option<Uint8Array>, Failure> {
        let memory = std::mem::replace(&mut self.rest, Uint8Array::new_with_length(0)).buffer();
        let read = match &self.reader {
            // All of the memory that the last piece came in, which has been used up.
            Reader::Into(reader) => reader.read_with_array_buffer_view(&Uint8Array::new(&memory)),
            Reader::Pieces(reader) => reader.read(),
        };
        let result = in_time(JsFuture::from(read)).await?.map_err(|error| {
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
