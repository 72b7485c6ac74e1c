//! Requests: to servers, and in the same form to files at hand.

use js_sys::Date;
use loader::download::Request;
use loader::files::Location;
use loader::record::Validator;
use loader::{Response, Source, Url};
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, Headers, RequestCache, RequestInit};

use super::body::{Body, Failure, Hold, in_time};
use super::globals::{self, describe};
use super::types::{LoadOptions, Local};

const MS_PER_SECOND: f64 = 1000.0;

/// What every request of a load has in common.
pub(super) struct Fetcher<'a> {
    options: &'a LoadOptions,
    /// Origin of the hub, which alone is sent the token.
    hub_origin: String,
    /// Origins that the source itself names; mirrors elsewhere are not sent the application's headers.
    own_origins: Vec<String>,
    page_origin: Option<String>,
}

impl<'a> Fetcher<'a> {
    pub(super) fn new(options: &'a LoadOptions, source: &Source, hub: &Url) -> Self {
        Self {
            options,
            hub_origin: hub.origin(),
            own_origins: match source {
                Source::Url(url) => vec![url.origin()],
                Source::Urls(urls) => urls.iter().map(Url::origin).collect(),
                Source::Hub(_) => vec![hub.origin()],
                Source::Local(_) | Source::Stored(_) => Vec::new(),
            },
            page_origin: globals::page_origin(),
        }
    }

    /// Opens bytes of a model.
    pub(super) async fn open(&self, request: &Request) -> Result<(Response, Body), Failure> {
        match &request.location {
            Location::File { entry, .. } => {
                match entry.and_then(|entry| self.options.local.get(entry)) {
                    Some(local) => open_local(local, request),
                    None => Err(Failure::permanent(
                        "the stored copy is damaged, and the file is not at hand: choose it once more",
                    )),
                }
            }
            Location::Url(url) => {
                let range = match request.to {
                    Some(to) => format!("bytes={}-{}", request.from, to.saturating_sub(1)),
                    None => format!("bytes={}-", request.from),
                };
                let mut headers = vec![("Range", range.as_str())];
                // To another origin this header would cost a preflight, which many file servers refuse.
                let same_origin = self.page_origin.as_deref() == Some(&url.origin());
                if let Some(validator) = request.if_range.as_deref().filter(|_| same_origin) {
                    headers.push(("If-Range", validator));
                }
                self.get(url, &headers).await
            }
        }
    }

    /// Sends a GET request and waits for the head of the answer.
    pub(super) async fn get(
        &self,
        url: &Url,
        headers: &[(&str, &str)],
    ) -> Result<(Response, Body), Failure> {
        let wrong =
            |error| Failure::permanent(format!("a header is not valid ({})", describe(&error)));
        let all = Headers::new().map_err(wrong)?;
        let origin = url.origin();
        if self.own_origins.contains(&origin) {
            for (name, value) in &self.options.headers {
                all.set(name, value).map_err(wrong)?;
            }
        }
        if let Some(token) = self
            .options
            .hub_token
            .as_deref()
            .filter(|_| origin == self.hub_origin)
        {
            all.set("Authorization", &format!("Bearer {token}"))
                .map_err(wrong)?;
        }
        for (name, value) in headers {
            all.set(name, value).map_err(wrong)?;
        }
        let controller = AbortController::new().ok();
        let init = RequestInit::new();
        init.set_headers(&all);
        // The model store is the cache; a second copy in the browser's would only take room.
        init.set_cache(RequestCache::NoStore);
        init.set_signal(controller.as_ref().map(AbortController::signal).as_ref());
        let hold = Hold(controller);
        let answer = JsFuture::from(globals::fetch(url.as_str(), &init));
        let answer: web_sys::Response = in_time(answer)
            .await?
            .map_err(|error| {
                Failure::passing(format!("the request failed ({})", describe(&error)))
            })?
            .unchecked_into();
        let head = head(&answer);
        let stream = answer
            .body()
            .ok_or_else(|| Failure::passing("the answer has no body"))?;
        Ok((head, Body::new(&stream, hold)?))
    }
}

fn head(answer: &web_sys::Response) -> Response {
    let headers = answer.headers();
    let header = |name: &str| headers.get(name).ok().flatten();
    Response {
        status: answer.status(),
        content_length: header("Content-Length").and_then(|text| text.trim().parse().ok()),
        content_range: header("Content-Range"),
        content_type: header("Content-Type"),
        content_encoding: header("Content-Encoding"),
        validator: Validator {
            etag: header("ETag"),
            last_modified: header("Last-Modified"),
        },
        retry_after_ms: header("Retry-After").and_then(|text| retry_after_ms(&text)),
    }
}

/// `Retry-After` is a number of seconds or a date (RFC 9110, 10.2.3).
fn retry_after_ms(text: &str) -> Option<u64> {
    let ms = match text.trim().parse::<f64>() {
        Ok(seconds) => seconds * MS_PER_SECOND,
        Err(_) => Date::parse(text) - Date::now(),
    };
    // Saturates at both ends.
    ms.is_finite().then_some(ms as u64)
}

/// Answers like a server would.
fn open_local(local: &Local, request: &Request) -> Result<(Response, Body), Failure> {
    let unreadable =
        |error| Failure::permanent(format!("the file cannot be read ({})", describe(&error)));
    match local {
        Local::Blob(blob) => {
            let size = blob.size();
            // File sizes and offsets are whole numbers far below 2^53.
            let (from, to) = (
                request.from as f64,
                request.to.map_or(size, |to| (to as f64).min(size)),
            );
            if from >= size {
                let response = Response {
                    status: 416,
                    ..Response::default()
                };
                return Ok((response, Body::new(&blob.stream(), Hold(None))?));
            }
            let stream = blob
                .slice_with_f64_and_f64(from, to)
                .map_err(unreadable)?
                .stream();
            let response = Response {
                status: 206,
                content_length: Some((to - from) as u64),
                content_range: Some(format!("bytes {from}-{}/{size}", to - 1.0)),
                ..Response::default()
            };
            Ok((response, Body::new(&stream, Hold(None))?))
        }
        Local::Stream(_) if request.from > 0 => {
            Err(Failure::permanent("a stream can be read only once"))
        }
        Local::Stream(stream) => {
            let response = Response {
                status: 200,
                ..Response::default()
            };
            Ok((response, Body::new(stream, Hold(None))?))
        }
    }
}
