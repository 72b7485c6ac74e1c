//! From what was asked for to files: the hub is asked, if it has to be.

use loader::hub::{DEFAULT_ENDPOINT, Listing, listing_url};
use loader::{
    Error as LoaderError, HubReference, ModelSpec, Retry, Setback, Source, Url, judge_document,
};

use super::fetch::Fetcher;
use super::globals::Sleep;
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

/// The files that `source` means.
pub(super) async fn resolve(
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
        match retry.failed(after_ms) {
            // Milliseconds of a wait fit a double exactly.
            Some(ms) => Sleep::ms(ms as f64).wait().await,
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
