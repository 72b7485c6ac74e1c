//! One load from beginning to end: whether the model is stored, whose turn it is, and then the plan.

use std::cell::Cell;

use futures_util::FutureExt;
use js_sys::Date;
use loader::download::{Options, Summary};
use loader::record::{Record, Stored};
use loader::{Digest, Download, HashKey, ModelSpec, Source, files};
use web_sys::AbortSignal;

use super::abort;
use super::costs::Costs;
use super::driver::{Means, run};
use super::fetch::Fetcher;
use super::follow::Channel;
use super::locks::{Lock, Mode};
use super::quota;
use super::resolve::{endpoint, resolve};
use super::store::{Store, store_failed};
use super::types::{LoadOptions, Loaded, Progress, Stage, TensorSink};
use crate::Error;
use crate::clock::random_seed;

/// Brings a model from the store or the network, checks it, and hands on its tensors.
///
/// A model that is stored whole needs no network, not even to ask which files it has. One that is not is
/// downloaded by one load at a time over all tabs; the others report how far it is, go on where it ends should it end early,
/// and else read the model from the store. What the time goes to is added to `costs`.
///
/// # Errors
/// [`Error::Aborted`], the sink's own error, or a failure of the source, the network or the bytes.
pub async fn load(
    source: &Source,
    options: &LoadOptions,
    signal: Option<&AbortSignal>,
    progress: &dyn Fn(Progress),
    sink: &mut dyn TensorSink,
    costs: &Costs,
) -> Result<Loaded, Error> {
    abort::check(signal)?;
    progress(Progress {
        stage: Stage::Resolve,
        loaded: 0,
        total: 0,
        file: String::new(),
    });
    let fetcher = Fetcher::new(options, source, &endpoint(options)?);
    let store = Store::open().await.unwrap_or_else(Store::none);
    // Files at hand need not be stored: they are there already.
    let at_hand = matches!(source, Source::Local(_));
    let keep = options.store.unwrap_or(!at_hand);
    let known = known(&store, source).await.and_then(|record| record.spec());
    let model = with_abort(resolve(source, known, options, &fetcher), signal).await?;
    if let Some(allowed) = &options.allowed_origins {
        model.check_origins(allowed)?;
    }
    let id = model.id.clone();
    let channel = Channel::open(&id);
    let turn = claim(&store, &model, keep, signal);
    let (lock, stored) = channel.follow(turn, progress).await?;
    let alone = lock.as_ref().is_some_and(Lock::is_exclusive);
    let report = |at: Progress| {
        if alone {
            channel.tell(&at);
        }
        progress(at);
    };
    // What is downloaded has to find room: asked now, it is known when the header has been judged.
    let estimate = alone.then(|| quota::estimate().boxed_local());
    let plan = Options {
        store: keep,
        seed: random_seed(),
        now_ms: Date::now(),
        place: store.place(),
        key: HashKey([random_seed(), random_seed()]),
        ..Options::default()
    };
    let plan = Download::new(model, stored, plan);
    // Dropped before the lock: whoever is next finds no file open.
    let shelf = store.shelf(&plan.record());
    let means = Means {
        fetcher: &fetcher,
        store: &store,
        shelf: &shelf,
        evict: options.evict,
        estimate: Cell::new(estimate),
        progress: &report,
        signal,
        costs,
    };
    let summary = run(plan, &means, sink).await?;
    Ok(loaded(id, summary))
}

fn loaded(id: String, summary: Summary) -> Loaded {
    Loaded {
        id,
        size: summary.size,
        stored: summary.stored,
        not_stored: summary.not_stored,
        downloaded: summary.downloaded,
        read: summary.read,
        repaired: summary.repaired,
        sha256: summary
            .sha256
            .iter()
            .map(|hash| hash.as_ref().map(Digest::to_string))
            .collect(),
    }
}

/// The record that `source` was loaded under before, if all of it is stored.
async fn known(store: &Store, source: &Source) -> Option<Record> {
    let alias = files::alias(source)?;
    let records = store.records().await.ok()?;
    records
        .into_iter()
        .find(|record| record.complete && record.answers_to(&alias))
}

/// Waits for the model's turn: shared where it can only be read, alone where it has to be downloaded into the store. A load
/// that stores nothing waits for nobody; chunks that go missing under it are fetched.
async fn claim(
    store: &Store,
    model: &ModelSpec,
    keep: bool,
    signal: Option<&AbortSignal>,
) -> Result<(Option<Lock>, Option<Stored>), Error> {
    let id = &model.id;
    let stored = async || store.stored(id).await.map_err(store_failed);
    if !keep {
        return Ok((None, stored().await?));
    }
    let shared = Lock::acquire(id, Mode::Shared, signal).await?;
    let found = stored().await?;
    let is_usable = |record: &Record| record.complete && record.matches(model);
    if found
        .as_ref()
        .is_some_and(|stored| is_usable(&stored.record))
    {
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
