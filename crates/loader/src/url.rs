//! Just enough of an address to know whom it belongs to.

use crate::Error;

/// Longest piece of a wrong source that is repeated in its error, in characters.
const SHOWN: usize = 80;

/// An absolute `http` or `https` address, kept as given.
///
/// Browsers forgive much in an address (credentials, backslashes, control characters, which all
/// change what its origin is to different readers). None of it is accepted here, so that the origin
/// that was checked is the origin that is asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Url {
    text: String,
    /// End of `scheme://host:port` in `text`.
    origin_end: usize,
}

impl Url {
    /// Checks an absolute address.
    ///
    /// # Errors
    /// [`Error::InvalidSource`] for anything but plain `http(s)://host[:port]/…`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let wrong = |reason| Err(invalid(text, reason));
        let lower = text.get(..8).unwrap_or(text).to_ascii_lowercase();
        let authority_start = if lower == "https://" {
            8
        } else if lower.starts_with("http://") {
            7
        } else {
            return wrong("an address begins with https:// or http://");
        };
        if text
            .chars()
            .any(|c| c.is_control() || c.is_whitespace() || c == '\\')
        {
            return wrong("an address has no blanks, backslashes or control characters");
        }
        let rest = &text[authority_start..];
        let authority_length = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let authority = &rest[..authority_length];
        if authority.is_empty() {
            return wrong("the host is missing");
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
        if !authority.chars().all(plain) {
            return wrong(
                "the host has characters other than letters, digits, '-', '.' and ':' (write international names as xn--…, and leave credentials out)",
            );
        }
        let end = text.find('#').unwrap_or(text.len());
        Ok(Self {
            text: text[..end].to_owned(),
            origin_end: authority_start + authority_length,
        })
    }

    /// The address without its fragment.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Scheme, host and port in lower case, without a default port: what the web calls an origin.
    pub fn origin(&self) -> String {
        let origin = self.text[..self.origin_end].to_ascii_lowercase();
        let default_port = if origin.starts_with("https:") {
            ":443"
        } else {
            ":80"
        };
        origin
            .strip_suffix(default_port)
            .map_or_else(|| origin.clone(), str::to_owned)
    }

    /// Last segment of the path, percent-encoding left as it is; empty if the path ends in `/`.
    pub fn file_name(&self) -> &str {
        let path_end = self.text.find('?').unwrap_or(self.text.len());
        let path = &self.text[self.origin_end..path_end.max(self.origin_end)];
        path.rsplit('/').next().unwrap_or("")
    }

    /// The same address with another last path segment; the query stays.
    pub(crate) fn with_file_name(&self, name: &str) -> Self {
        let path_end = self.text.find('?').unwrap_or(self.text.len());
        let start = path_end - self.file_name().len();
        let text = format!("{}{name}{}", &self.text[..start], &self.text[path_end..]);
        Self {
            text,
            origin_end: self.origin_end,
        }
    }
}

impl std::fmt::Display for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// An [`Error::InvalidSource`] that repeats the beginning of `text`.
pub(crate) fn invalid(text: &str, reason: &'static str) -> Error {
    Error::InvalidSource {
        text: text.chars().take(SHOWN).collect(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_origin_is_the_webs_origin() {
        let origin = |text| Url::parse(text).unwrap().origin();
        assert_eq!(
            origin("https://Example.org/a/b.gguf?x=/y#z"),
            "https://example.org"
        );
        assert_eq!(origin("HTTPS://example.org:443/a"), "https://example.org");
        assert_eq!(origin("http://127.0.0.1:8080"), "http://127.0.0.1:8080");
        assert_eq!(origin("http://[::1]:80/a"), "http://[::1]");
        assert_eq!(origin("https://example.org?a"), "https://example.org");
    }

    #[test]
    fn addresses_that_readers_disagree_about_are_refused() {
        for text in [
            "",
            "model.gguf",
            "ftp://example.org/a",
            "https:/example.org/a",
            "https:///a",
            "https://good.org@evil.org/a",
            "https://good.org\\@evil.org/a",
            "https://good.org\t.evil.org/a",
            "https://exämple.org/a",
            "https://example.org/a b",
        ] {
            assert!(
                matches!(Url::parse(text), Err(Error::InvalidSource { .. })),
                "{text:?}"
            );
        }
    }

    #[test]
    fn the_file_name_is_the_last_segment() {
        let url = Url::parse("https://h.org/a/model.gguf?download=true/x#f").unwrap();
        assert_eq!(url.file_name(), "model.gguf");
        assert_eq!(
            url.with_file_name("other.gguf").as_str(),
            "https://h.org/a/other.gguf?download=true/x"
        );
        assert_eq!(Url::parse("https://h.org").unwrap().file_name(), "");
    }
}
