//! Is this answer the bytes that were asked for?

use crate::files::MAX_PART_BYTES;
use crate::record::Validator;
use crate::{Error, Url};

/// What matters of an HTTP answer. A file at hand answers like a server that knows ranges.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// `Content-Length` in bytes, before decoding.
    pub content_length: Option<u64>,
    /// `Content-Range`, as sent. Servers often hide it from other origins.
    pub content_range: Option<String>,
    /// `Content-Type`, as sent.
    pub content_type: Option<String>,
    /// `Content-Encoding`, as sent.
    pub content_encoding: Option<String>,
    /// `ETag` and `Last-Modified`.
    pub validator: Validator,
    /// `Retry-After`, as milliseconds from now.
    pub retry_after_ms: Option<u64>,
}

/// What was asked, and what is known of the file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// For messages.
    pub(crate) name: &'a str,
    /// First byte.
    pub(crate) from: u64,
    /// One past the last byte; `None` for the rest of the file.
    pub(crate) to: Option<u64>,
    /// Size from an earlier answer, or from the hub.
    pub(crate) size: Option<u64>,
    /// From an earlier answer.
    pub(crate) validator: &'a Validator,
    /// Whether anything of the model has been taken over already.
    pub(crate) resuming: bool,
}

/// What to do with an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// Its body is good.
    Take {
        /// Bytes of the body that come before the first one asked for.
        skip: u64,
        /// Bytes of the whole file.
        size: Option<u64>,
    },
    /// Another attempt may go better.
    Retry {
        /// What is wrong.
        reason: String,
        /// What the server asked for.
        after_ms: Option<u64>,
    },
    /// The file is not the one that was begun.
    Changed,
    /// It will not get better.
    Fail(Error),
}

/// Status of an answer with the whole file.
pub(crate) const WHOLE: u16 = 200;

/// Status of an answer with a part of the file.
const PARTIAL: u16 = 206;

/// Statuses that say "not now" (RFC 9110, RFC 6585, RFC 8470).
const NOT_NOW: [u16; 7] = [408, 425, 429, 500, 502, 503, 504];

impl Response {
    pub(crate) fn judge(&self, asked: Asked<'_>) -> Judgement {
        let judgement = match self.status {
            PARTIAL => self.judge_range(asked),
            WHOLE => self.judge_whole(asked),
            416 if asked.resuming || asked.size.is_some() => Judgement::Changed,
            status if NOT_NOW.contains(&status) => {
                retry(format!("the server answered {status}"), self.retry_after_ms)
            }
            status => Judgement::Fail(Error::Status {
                url: asked.name.to_owned(),
                status,
                hint: hint(status),
            }),
        };
        match judgement {
            Judgement::Take {
                size: Some(size), ..
            } if size > MAX_PART_BYTES => {
                let reason = format!(
                    "it claims {size} bytes, more than the {MAX_PART_BYTES} that a file may have"
                );
                Judgement::Fail(Error::BadResponse {
                    url: asked.name.to_owned(),
                    reason,
                })
            }
            judgement => judgement,
        }
    }

    fn judge_range(&self, asked: Asked<'_>) -> Judgement {
        if self.is_encoded() {
            // A range of encoded bytes says nothing about which bytes of the file they are.
            return retry("the server compressed a byte range".to_owned(), None);
        }
        if asked.validator.contradicts(&self.validator) {
            return Judgement::Changed;
        }
        let (start, end, size) = match &self.content_range {
            Some(text) => match parse_content_range(text) {
                Some(range) => range,
                None => return retry(format!("its Content-Range {text:?} makes no sense"), None),
            },
            None => match self.content_length {
                // The header is hidden from us: the length has to tell.
                Some(length) => {
                    let end = asked.from.saturating_add(length);
                    let is_last = asked.to.is_none_or(|to| end < to);
                    (asked.from, end, is_last.then_some(end))
                }
                None => {
                    return retry(
                        "it says neither Content-Range nor Content-Length".to_owned(),
                        None,
                    );
                }
            },
        };
        if differ(size, asked.size) {
            return Judgement::Changed;
        }
        // A file may end before the range that was asked for does.
        let known = [asked.to, asked.size, size];
        let last = known.into_iter().flatten().min().unwrap_or(end);
        if start != asked.from || end != last {
            let wanted = format!("{}..{last}", asked.from);
            return retry(
                format!("it sent bytes {start}..{end} where {wanted} was asked for"),
                None,
            );
        }
        Judgement::Take {
            skip: 0,
            size: size.or(asked.size),
        }
    }

    fn judge_whole(&self, asked: Asked<'_>) -> Judgement {
        if asked.resuming && self.is_html() {
            // A captive portal or a login page must not cost what has arrived.
            return retry(
                "the server sent a web page instead of the file".to_owned(),
                None,
            );
        }
        let length = if self.is_encoded() {
            None
        } else {
            self.content_length
        };
        if asked.validator.contradicts(&self.validator) || differ(length, asked.size) {
            return Judgement::Changed;
        }
        let size = length.or(asked.size);
        Judgement::Take {
            skip: asked.from,
            size,
        }
    }

    fn is_encoded(&self) -> bool {
        self.content_encoding
            .as_deref()
            .is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity"))
    }

    fn is_html(&self) -> bool {
        let starts = |kind: &String| {
            kind.trim_start()
                .to_ascii_lowercase()
                .starts_with("text/html")
        };
        self.content_type.as_ref().is_some_and(starts)
    }
}

fn retry(reason: String, after_ms: Option<u64>) -> Judgement {
    Judgement::Retry { reason, after_ms }
}

fn differ(a: Option<u64>, b: Option<u64>) -> bool {
    matches!((a, b), (Some(a), Some(b)) if a != b)
}

fn hint(status: u16) -> &'static str {
    match status {
        401 | 403 => ": a token may be missing, or may not open this repository",
        404 | 410 => ": there is no such file; check the address",
        416 => ": the file is empty",
        _ => "",
    }
}

/// `bytes 0-99/200` or `bytes 0-99/*` (RFC 9110, 14.4) as first byte, one past the last, and size.
fn parse_content_range(text: &str) -> Option<(u64, u64, Option<u64>)> {
    let (range, size) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.trim().split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    let size = match size.trim() {
        "*" => None,
        size => Some(size.parse().ok()?),
    };
    let end = last.checked_add(1)?;
    (first < end && size.is_none_or(|size| end <= size)).then_some((first, end, size))
}

/// Why an attempt to get a document came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setback {
    /// Another attempt may go better.
    Again {
        /// What is wrong.
        reason: String,
        /// What the server asked for, in milliseconds.
        after_ms: Option<u64>,
    },
    /// It will not get better.
    Over(Error),
}

/// Judges an answer that is wanted whole, such as a list of files.
///
/// # Errors
/// [`Setback`], unless the body is worth reading.
pub fn judge_document(response: &Response, url: &Url) -> Result<(), Setback> {
    let validator = Validator::default();
    let name = url.as_str();
    let asked = Asked {
        name,
        from: 0,
        to: None,
        size: None,
        validator: &validator,
        resuming: false,
    };
    match response.judge(asked) {
        Judgement::Take { .. } => Ok(()),
        Judgement::Retry { reason, after_ms } => Err(Setback::Again { reason, after_ms }),
        Judgement::Fail(error) => Err(Setback::Over(error)),
        Judgement::Changed => Err(Setback::Again {
            reason: "the answer contradicts itself".to_owned(),
            after_ms: None,
        }),
    }
}

#[cfg(test)]
mod tests;
