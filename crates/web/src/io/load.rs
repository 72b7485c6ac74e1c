//! One load from beginning to end: whether the model is stored, whose turn it is, and then the plan.

use js_sys::Date;
use loader::download::{Options, Summary};
use loader::record::{CHUNK_SIZE, Place, Record, Stored};
use loader::{Digest, Download, Source, files};
use web_sys::AbortSignal;

use super::abort;
use super::database::{Database, store_failed};
use super::driver::{Means, run};
use super::fetch::Fetcher;
use super::locks::{Lock, Mode};
use super::resolve::{endpoint, resolve};
use super::types::{LoadOptions, Loaded, Progress, Stage, TensorSink};
use crate::Error;
use crate::clock::random_seed;

/// Brings a model from the store or the network, checks it, and hands on its tensors.
///
/// A model that is stored whole needs no network, not even to ask which files it has. One that is not is
/// downloaded by one load at a time over all tabs; the others wait and then read it from the store.
///
/// # Errors
/// [`Error::Aborted`], the sink's own error, or a failure of the source, the network or the bytes.
pub async fn load(
    source: &Source,
    options: &LoadOptions,
    signal: Option<&AbortSignal>,
    progress: &dyn Fn(Progress),
    sink: &mut dyn TensorSink,
) -> Result<Loaded, Error> {
    abort::check(signal)?;
    progress(Progress {
        stage: Stage::Resolve,
        loaded: 0,
        total: 0,
        file: String::new(),
    });
    let fetcher = Fetcher::new(options, &endpoint(options)?);
    let local = matches!(source, Source::Local(_));
    let (database, known, why_none) = match open_store(source).await {
        // Files at hand need not be stored: they are there already.
        _ if local => (None, None, None),
        Ok((database, known)) => (Some(database), known, None),
        Err(reason) => (None, None, Some(reason)),
    };
    let model = match known.and_then(|record| record.spec()) {
        Some(model) => model,
        None => with_abort(resolve(source, options, &fetcher), signal).await?,
    };
    if let Some(allowed) = &options.allowed_origins {
        model.check_origins(allowed)?;
    }
    let id = model.id.clone();
    let store = database.is_some() && !options.memory_only;
    let (_lock, stored) = match &database {
        Some(database) => {
            let (lock, stored) = claim(database, &id, store, signal).await?;
            (lock, stored)
        }
        None => (None, None),
    };
    let plan = Options {
        store,
        seed: random_seed(),
        now_ms: Date::now(),
        chunk_size: CHUNK_SIZE,
        place: Place::Tables,
    };
    let plan = Download::new(model, stored, plan);
    let means = Means {
        id: &id,
        fetcher: &fetcher,
        database: database.as_ref(),
        progress,
        signal,
    };
    let summary = run(plan, &means, sink).await?;
    let wanted = !options.memory_only && !local;
    Ok(loaded(id, summary, why_none.filter(|_| wanted)))
}

fn loaded(id: String, summary: Summary, why_none: Option<String>) -> Loaded {
    Loaded {
        id,
        size: summary.size,
        stored: summary.stored,
        not_stored: summary.not_stored.or(why_none),
        downloaded: summary.downloaded,
        read: summary.read,
        repaired: summary.repaired,
        sha256: summary.sha256.iter().map(Digest::to_string).collect(),
    }
}

/// The store, and the record that `source` was loaded under before if all of it is stored.
async fn open_store(source: &Source) -> Result<(Database, Option<Record>), String> {
    let database = Database::open().await?;
    let Some(alias) = files::alias(source) else {
        return Ok((database, None));
    };
    let records = database.records().await?;
    let known = records
        .into_iter()
        .find(|record| record.complete && record.answers_to(&alias));
    Ok((database, known))
}

/// Waits for the model's turn: shared where it can only be read, alone where it has to be downloaded into the store. A load
/// that stores nothing waits for nobody; chunks that go missing under it are fetched.
async fn claim(
    database: &Database,
    id: &str,
    store: bool,
    signal: Option<&AbortSignal>,
) -> Result<(Option<Lock>, Option<Stored>), Error> {
    let stored = async || database.stored(id).await.map_err(store_failed);
    if !store {
        return Ok((None, stored().await?));
    }
    let shared = Lock::acquire(id, Mode::Shared, signal).await?;
    let found = stored().await?;
    if found.as_ref().is_some_and(|stored| stored.record.complete) {
        return Ok((Some(shared), found));
    }
    drop(shared);
    let alone = Lock::acquire(id, Mode::Exclusive, signal).await?;
    Ok((Some(alone), stored().await?))
}

async fn with_abort<T>(
    work: impl Future<Output = Result<T, Error>>,
    signal: Option<&AbortSignal>,
) -> Result<T, Error> {
    use futures_util::future::{Either, select};
    let work = std::pin::pin!(work);
    let fired = std::pin::pin!(abort::fired(signal.cloned()));
    match select(work, fired).await {
        Either::Left((result, _)) => result,
        Either::Right(_) => Err(Error::Aborted),
    }
}
