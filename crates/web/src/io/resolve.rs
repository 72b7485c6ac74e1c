//! From what was asked for to files: the hub is asked, if it has to be.

use loader::hub::{DEFAULT_ENDPOINT, Listing, listing_url};
use loader::{
    Error as LoaderError, HubReference, ModelSpec, Retry, Setback, Source, Url, judge_document,
};

use super::fetch::Fetcher;
use super::globals::{self, Sleep};
use super::types::LoadOptions;
use crate::Error;
use crate::clock::random_seed;

/// Longest list of files that is read, in bytes.
const MAX_LISTING: u32 = 16 << 20;

/// Base address of the hub.
pub(super) fn endpoint(options: &LoadOptions) -> Result<Url, Error> {
    Ok(Url::parse(
        options.hub_endpoint.as_deref().unwrap_or(DEFAULT_ENDPOINT),
    )?)
}

/// The files that `source` means, wherever they are: the first of it and its mirrors that can be looked up says what the
/// model is. A model that is `known` needs no network.
pub(super) async fn resolve(
    source: &Source,
    known: Option<ModelSpec>,
    options: &LoadOptions,
    fetcher: &Fetcher<'_>,
) -> Result<ModelSpec, Error> {
    let is_known = known.is_some();
    let mut found = known.map(Ok);
    let others = options.mirrors.iter();
    for place in std::iter::once(source).filter(|_| !is_known).chain(others) {
        if is_known && matches!(place, Source::Hub(_)) {
            continue;
        }
        let files = look_up(place, options, fetcher).await;
        found = Some(match (found, files) {
            (Some(Ok(mut model)), Ok(mirror)) => model
                .add_mirror(&mirror)
                .map(|()| model)
                .map_err(Error::from),
            (Some(Ok(model)), Err(_)) => Ok(model),
            (Some(Err(_)), Ok(mut mirror)) => {
                mirror.alias = loader::files::alias(source);
                Ok(mirror)
            }
            (Some(Err(first)), Err(_)) => Err(first),
            (None, files) => files,
        });
    }
    // The source itself is looked up unless the model is known.
    found.unwrap_or_else(|| Err(Error::invalid("the source names no model")))
}

async fn look_up(
    source: &Source,
    options: &LoadOptions,
    fetcher: &Fetcher<'_>,
) -> Result<ModelSpec, Error> {
    let Source::Hub(reference) = source else {
        return Ok(ModelSpec::from_source(source)?);
    };
    let endpoint = endpoint(options)?;
    if let Some(allowed) = &options.allowed_origins {
        loader::files::check_origin(&endpoint, allowed)?;
    }
    let url = listing_url(endpoint.as_str(), &reference.repository)?;
    let answer = list(&url, fetcher).await?;
    Ok(choose(&answer, reference, &endpoint)?)
}

fn choose(
    answer: &[u8],
    reference: &HubReference,
    endpoint: &Url,
) -> Result<ModelSpec, LoaderError> {
    Listing::parse(answer, endpoint.as_str(), &reference.repository)?
        .choose(reference, endpoint.as_str())
}

async fn list(url: &Url, fetcher: &Fetcher<'_>) -> Result<Vec<u8>, Error> {
    let mut retry = Retry::new(random_seed());
    loop {
        let (reason, after_ms) = match attempt(url, fetcher, &mut retry).await {
            Ok(answer) => return Ok(answer),
            Err(Setback::Over(error)) => return Err(error.into()),
            Err(Setback::Again { reason, after_ms }) => (reason, after_ms),
        };
        if !globals::is_online() {
            return Err(globals::offline(&reason));
        }
        match retry.failed(after_ms) {
            // Milliseconds of a wait fit a double exactly.
            Some(ms) => {
                Sleep::ms(ms as f64).wait().await;
                globals::online().await;
            }
            None => {
                let (url, attempts) = (url.to_string(), retry.failures());
                return Err(LoaderError::GaveUp {
                    url,
                    attempts,
                    reason,
                }
                .into());
            }
        }
    }
}

async fn attempt(url: &Url, fetcher: &Fetcher<'_>, retry: &mut Retry) -> Result<Vec<u8>, Setback> {
    let setback = |failure: super::body::Failure| match failure.permanent {
        true => Setback::Over(LoaderError::BadResponse {
            url: url.to_string(),
            reason: failure.reason,
        }),
        false => Setback::Again {
            reason: failure.reason,
            after_ms: None,
        },
    };
    let (head, mut body) = fetcher.get(url, &[]).await.map_err(setback)?;
    retry.answered();
    judge_document(&head, url)?;
    body.text(MAX_LISTING).await.map_err(setback)
}
