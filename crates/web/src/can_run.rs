//! An honest prediction of whether a model runs here, and how fast, before it is downloaded.

use engine::Clock;
use kernels::{Activations, Format, Packer, Serial, matmul};
use serde::Serialize;
use tsify::{Ts, Tsify};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use web_sys::AbortSignal;

use crate::clock::Performance;
use crate::io;
use crate::loading::read_headers;
use crate::requirements::{Needs, memory_limit};
use crate::settings::{EngineSettings, FetchSettings};
use crate::{Error, ErrorCode};

/// A matrix for the measurement: a few megabytes, so that it does not fit the processor's inner caches.
const ROWS: usize = 4096;
const COLUMNS: usize = 2048;

/// How long the measurement takes, in milliseconds.
const MEASURE_MS: f64 = 40.0;

/// Products between two looks at the clock, which browsers make coarse.
const PRODUCTS: usize = 8;

/// The finest step of a clock in a page that is isolated, in milliseconds.
const FINEST_MS: f64 = 0.005;

const MS_PER_SECOND: f64 = 1000.0;

/// Whether a model runs on this device.
#[derive(Debug, Serialize, Tsify)]
#[serde(rename_all = "camelCase")]
pub struct Prediction {
    /// Whether it does.
    pub ok: bool,
    /// Why not: what loading it would fail with.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[tsify(optional)]
    pub code: Option<ErrorCode>,
    /// The same, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[tsify(optional)]
    pub reason: Option<String>,
    /// Bytes it takes in memory, where its headers tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[tsify(optional)]
    pub memory: Option<Needs>,
    /// Bytes of memory that there are for it.
    pub memory_limit: u64,
    /// Storage it takes, and whether there is room; without room it runs all the same, and is downloaded each time.
    pub storage: Storage,
    /// Tokens a second that one thread will generate, from how fast it multiplies now; 0 where the model can't run.
    pub tokens_per_second: f64,
}

/// Storage for a model.
#[derive(Debug, Clone, Copy, Serialize, Tsify)]
pub struct Storage {
    /// Bytes of its files.
    pub size: u64,
    /// Whether there is room for them.
    pub fits: bool,
}

/// Predicts whether a model runs here. Only its headers are fetched.
///
/// # Errors
/// `Aborted` when `signal` fires; what keeps the headers from being had.
#[wasm_bindgen(js_name = canRun)]
pub async fn can_run(
    addresses: Vec<String>,
    files: Vec<JsValue>,
    fetch: Ts<FetchSettings>,
    engine: Ts<EngineSettings>,
    signal: AbortSignal,
) -> Result<Ts<Prediction>, Error> {
    let settings = engine.to_rust()?;
    let mut size = 0;
    let mut memory: Option<Needs> = None;
    let mut look = |headers: &[gguf::Header]| {
        size = headers.iter().map(gguf::Header::file_size).sum();
        let plan = model::inspect(headers)?;
        let options = settings.to_options(plan.config.context_length);
        let needs = Needs::new(&plan, &options)?;
        memory = Some(needs);
        needs.check(memory_limit())
    };
    let refusal = match read_headers(&addresses, files, fetch, &signal, &mut look).await {
        Err(error) => match error.code() {
            // The model itself is the reason, not the way to it.
            Some(
                ErrorCode::OutOfMemory
                | ErrorCode::UnknownArchitecture
                | ErrorCode::UnsupportedQuantization,
            ) => Some(error),
            _ => return Err(error),
        },
        Ok(()) => None,
    };
    let weights = memory.map_or(0, |needs| needs.weights);
    let prediction = Prediction {
        ok: refusal.is_none(),
        code: refusal.as_ref().and_then(Error::code),
        reason: refusal.as_ref().map(Error::to_string),
        memory,
        memory_limit: memory_limit(),
        storage: Storage {
            size,
            fits: io::fits(size).await,
        },
        tokens_per_second: match (refusal, weights) {
            (None, 1..) => bytes_per_second()? / weights as f64,
            _ => 0.0,
        },
    };
    Ok(prediction.into_ts()?)
}

/// Bytes of packed weights that one thread multiplies with a vector in a second. Writing an answer is little else.
fn bytes_per_second() -> Result<f64, Error> {
    let format = Format::Q4_0;
    let mut packer = Packer::new(format, ROWS, COLUMNS).map_err(model::Error::from)?;
    let zeros = vec![0; packer.remaining()];
    packer.write(&zeros).map_err(model::Error::from)?;
    let matrix = packer.finish().map_err(model::Error::from)?;
    let mut input = Activations::new();
    let mut out = vec![0.0; ROWS];
    let clock = Performance;
    let (mut best, began) = (f64::INFINITY, clock.now_ms());
    while clock.now_ms() - began < MEASURE_MS {
        input.reset(1, COLUMNS).fill(1.0);
        let start = clock.now_ms();
        for _ in 0..PRODUCTS {
            matmul(&Serial, &matrix, &mut input, &mut out);
        }
        best = best.min(clock.now_ms() - start);
    }
    let bytes = matrix.packed_bytes() * PRODUCTS;
    Ok(bytes as f64 * MS_PER_SECOND / best.max(FINEST_MS))
}
