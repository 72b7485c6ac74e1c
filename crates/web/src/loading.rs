//! The calls that bring a model from its source into memory or into the store.

use std::cell::RefCell;

use engine::Clock;
use js_sys::{Function, Reflect};
use loader::{LocalFile, Source};
use serde::Serialize;
use tsify::{Ts, Tsify};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::AbortSignal;

use crate::clock::Performance;
use crate::io::{self, Loaded, Local, Progress, Stage, TensorSink};
use crate::model_sink::ModelSink;
use crate::session::Session;
use crate::settings::{EngineSettings, FetchSettings};
use crate::{Error, ModelInfo};

/// Where the time of a load went, in milliseconds: its stages, one after the other, and what they were spent on.
#[derive(Debug, Clone, Copy, Default, Serialize, Tsify)]
#[serde(rename_all = "camelCase")]
pub struct LoadTimes {
    /// Starting the worker and the WebAssembly module.
    pub start: f64,
    /// Opening the store, waiting for the model's turn, and finding out which files to get.
    pub resolve: f64,
    /// While bytes came over the network: receiving, checking and storing them, and turning them into weights as they came.
    pub download: f64,
    /// While bytes were read from the store: reading and checking them, and turning them into weights as they came.
    pub read: f64,
    /// From then on to a model that is ready.
    pub prepare: f64,
    /// All of it: the sum of the stages.
    pub total: f64,
    /// Of the stages, spent on what a header tells of: the tokenizer, the chat template.
    pub header: f64,
    /// Of the stages, spent on turning bytes into weights, and prompts into their states.
    pub weights: f64,
    /// Of the stages, spent on hashing.
    pub hash: f64,
    /// Of the stages, while the store was reading or writing. Writes of files take place while other work goes on.
    pub store: f64,
}

/// Passes progress on to the page, and attributes the time between reports to their stages.
struct Reporter<'a> {
    listener: &'a Function,
    times: RefCell<Times>,
}

struct Times {
    last: f64,
    stage: Stage,
    spent: LoadTimes,
}

impl<'a> Reporter<'a> {
    fn new(listener: &'a Function) -> Self {
        let now = Performance.now_ms();
        let times = Times {
            last: now,
            stage: Stage::Resolve,
            // A worker's clock begins when the worker is made, which is made for this load.
            spent: LoadTimes {
                start: now,
                ..LoadTimes::default()
            },
        };
        Self {
            listener,
            times: RefCell::new(times),
        }
    }

    fn report(&self, progress: Progress) {
        self.times.borrow_mut().enter(progress.stage);
        // A listener that throws must not end the load.
        if let Ok(progress) = progress.into_ts() {
            let _ = self.listener.call1(&JsValue::NULL, &progress.js_value());
        }
    }

    fn enter(&self, stage: Stage) {
        self.times.borrow_mut().enter(stage);
    }

    fn finish(self) -> LoadTimes {
        let mut times = self.times.into_inner();
        times.enter(Stage::Prepare);
        times.spent.total = times.last;
        times.spent
    }
}

impl Times {
    fn enter(&mut self, stage: Stage) {
        let now = Performance.now_ms();
        let spent = match self.stage {
            Stage::Resolve => &mut self.spent.resolve,
            Stage::Download => &mut self.spent.download,
            Stage::Read => &mut self.spent.read,
            Stage::Prepare => &mut self.spent.prepare,
        };
        *spent += now - self.last;
        self.last = now;
        self.stage = stage;
    }
}

/// Checks headers and lets the tensors' bytes pass by, on their way into the store.
struct CheckSink;

impl TensorSink for CheckSink {
    fn headers(&mut self, headers: &[gguf::Header]) -> Result<(), Error> {
        model::inspect(headers)?;
        Ok(())
    }

    fn tensor(&mut self, _name: &str, _bytes: &[u8]) -> Result<(), Error> {
        Ok(())
    }
}

/// Takes the headers and then ends the load.
struct HeaderSink<'a> {
    look: &'a mut dyn FnMut(&[gguf::Header]) -> Result<(), Error>,
    seen: bool,
}

impl TensorSink for HeaderSink<'_> {
    fn headers(&mut self, headers: &[gguf::Header]) -> Result<(), Error> {
        (self.look)(headers)?;
        self.seen = true;
        Err(Error::Aborted)
    }

    fn tensor(&mut self, _name: &str, _bytes: &[u8]) -> Result<(), Error> {
        Err(Error::Aborted)
    }
}

/// What a stream, or a blob without a name, is called.
const UNNAMED: &str = "model.gguf";

/// What a load needs to know about its source.
fn open(
    addresses: &[String],
    files: Vec<JsValue>,
    settings: FetchSettings,
) -> Result<(Source, io::LoadOptions), Error> {
    if files.is_empty() {
        return Ok((
            Source::parse_list(addresses)?,
            settings.into_options(Vec::new())?,
        ));
    }
    let field = |file: &JsValue, name: &str| Reflect::get(file, &JsValue::from_str(name)).ok();
    // The package lets blobs, files and streams through; only streams have no size.
    let (list, local) = files
        .into_iter()
        .map(|file| {
            // Sizes of files and Unix milliseconds are whole numbers far below 2^53.
            let number = |name: &str| Some(field(&file, name)?.as_f64()? as u64);
            let name = field(&file, "name").and_then(|name| name.as_string());
            let (size, modified) = (number("size"), number("lastModified"));
            let local = match size {
                Some(_) => Local::Blob(file.unchecked_into()),
                None => Local::Stream(file.unchecked_into()),
            };
            let name = name.unwrap_or_else(|| UNNAMED.to_owned());
            let file = LocalFile {
                name,
                size,
                modified,
            };
            (file, local)
        })
        .unzip();
    Ok((Source::Local(list), settings.into_options(local)?))
}

/// Loads a model, from `addresses` or, if there are any, from `files`. `next_prompt` gives prompts that have been asked for
/// meanwhile, one at each call, and nothing where there is none: they are computed as far as weights have come.
///
/// # Errors
/// `Aborted` when `signal` fires, or whatever keeps the model from being loaded.
#[wasm_bindgen]
pub async fn load(
    addresses: Vec<String>,
    files: Vec<JsValue>,
    fetch: Ts<FetchSettings>,
    engine: Ts<EngineSettings>,
    signal: AbortSignal,
    progress: Function,
    next_prompt: Function,
) -> Result<Session, Error> {
    let (source, options) = open(&addresses, files, fetch.to_rust()?)?;
    let mut sink = ModelSink::new(engine.to_rust()?, next_prompt);
    let reporter = Reporter::new(&progress);
    let report = |at| reporter.report(at);
    let costs = io::Costs::default();
    let loaded = io::load(&source, &options, Some(&signal), &report, &mut sink, &costs).await?;
    reporter.enter(Stage::Prepare);
    let (engine, info, stepper, warm_up) = sink.finish()?;
    let times = LoadTimes {
        header: costs.header(),
        weights: costs.weights(),
        hash: costs.hash(),
        store: costs.store(),
        ..reporter.finish()
    };
    Ok(Session::new(engine, stepper, warm_up, info, loaded, times))
}

/// Brings a model into the store without loading it.
///
/// # Errors
/// As [`load`].
#[wasm_bindgen]
pub async fn pull(
    addresses: Vec<String>,
    files: Vec<JsValue>,
    fetch: Ts<FetchSettings>,
    signal: AbortSignal,
    progress: Function,
) -> Result<Ts<Loaded>, Error> {
    let (source, options) = open(&addresses, files, fetch.to_rust()?)?;
    let reporter = Reporter::new(&progress);
    let report = |at| reporter.report(at);
    let loaded = io::load(
        &source,
        &options,
        Some(&signal),
        &report,
        &mut CheckSink,
        &io::Costs::default(),
    )
    .await?;
    Ok(loaded.into_ts()?)
}

/// What a model's headers say; nothing else is fetched, and nothing is stored.
///
/// # Errors
/// As [`load`], but a model that cannot be computed is described all the same if its family is known.
#[wasm_bindgen]
pub async fn inspect(
    addresses: Vec<String>,
    files: Vec<JsValue>,
    fetch: Ts<FetchSettings>,
    signal: AbortSignal,
) -> Result<Ts<ModelInfo>, Error> {
    let mut info = None;
    let mut look = |headers: &[gguf::Header]| {
        info = Some(ModelInfo::from_headers(headers)?);
        Ok(())
    };
    read_headers(&addresses, files, fetch, &signal, &mut look).await?;
    let info = info.ok_or(model::Error::NoHeader)?;
    Ok(info.into_ts()?)
}

/// Has `look` see a model's headers; nothing else is fetched, and nothing is stored.
///
/// # Errors
/// As [`load`], or what `look` returns.
pub(crate) async fn read_headers(
    addresses: &[String],
    files: Vec<JsValue>,
    fetch: Ts<FetchSettings>,
    signal: &AbortSignal,
    look: &mut dyn FnMut(&[gguf::Header]) -> Result<(), Error>,
) -> Result<(), Error> {
    let (source, options) = open(addresses, files, fetch.to_rust()?)?;
    let options = io::LoadOptions {
        store: Some(false),
        ..options
    };
    let mut sink = HeaderSink { look, seen: false };
    let costs = io::Costs::default();
    let ended = io::load(&source, &options, Some(signal), &|_| {}, &mut sink, &costs).await;
    match ended {
        Err(error) if !sink.seen => Err(error),
        _ => Ok(()),
    }
}
