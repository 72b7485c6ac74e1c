//! What a user may name as a model.

use crate::Error;
use crate::url::{Url, invalid};

/// A model as it was asked for; nothing has been looked up yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// One address: a whole model, or a shard of a split set whose other shards lie beside it.
    Url(Url),
    /// Addresses that make up one model: every shard of a split set, or one file's raw parts.
    Urls(Vec<Url>),
    /// A file in a repository of a model hub.
    Hub(HubReference),
    /// Files or streams at hand, in any order; the caller opens them by their place in this list.
    Local(Vec<LocalFile>),
    /// A file that was at hand once and has been stored, by its name in the store.
    Stored(String),
}

/// What the names of stored files begin with.
pub(crate) const FILE_SCHEME: &str = "file:";

/// `hf:owner/repo…`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubReference {
    /// `owner/name`.
    pub repository: String,
    /// Which of its files.
    pub file: HubFile,
}

/// Which file of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HubFile {
    /// The first that is there in the order of [`crate::hub::PREFERENCE`].
    Best,
    /// The one whose name carries this quantization label, in upper case.
    Quantization(String),
    /// The one at this path.
    Path(String),
}

/// A file or stream that the caller holds open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalFile {
    /// Its name, by which shards and parts are put in order.
    pub name: String,
    /// Bytes; `None` for a stream.
    pub size: Option<u64>,
    /// When it was last changed, in Unix milliseconds, if it says so: files of one name are told apart by it.
    pub modified: Option<u64>,
}

impl LocalFile {
    /// The file and its version, as text; nothing where there is no telling versions apart.
    pub(crate) fn label(&self) -> String {
        match (self.size, self.modified) {
            (Some(size), Some(modified)) => {
                format!("{FILE_SCHEME}{}?size={size}&modified={modified}", self.name)
            }
            _ => String::new(),
        }
    }
}

impl Source {
    /// Reads `https://…`, `http://…`, `hf:…` or `file:…`. Relative addresses must be made absolute before.
    ///
    /// # Errors
    /// [`Error::InvalidSource`] with what is wrong.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.starts_with(FILE_SCHEME) {
            return Ok(Self::Stored(text.to_owned()));
        }
        match text.strip_prefix("hf:") {
            Some(reference) => parse_hub(text, reference).map(Self::Hub),
            None => Url::parse(text).map(Self::Url),
        }
    }

    /// Several addresses that are one model.
    ///
    /// # Errors
    /// [`Error::InvalidSource`] if one of them is no address or the list is empty.
    pub fn parse_list<T: AsRef<str>>(list: &[T]) -> Result<Self, Error> {
        match list {
            [] => Err(invalid("", "the list of addresses is empty")),
            [one] => Self::parse(one.as_ref()),
            _ => list
                .iter()
                .map(|text| Url::parse(text.as_ref()))
                .collect::<Result<_, _>>()
                .map(Self::Urls),
        }
    }
}

fn parse_hub(text: &str, reference: &str) -> Result<HubReference, Error> {
    let reference = reference.strip_prefix("//").unwrap_or(reference);
    let (path, label) = match reference.split_once(':') {
        Some((path, label)) => (path, Some(label)),
        None => (reference, None),
    };
    let mut segments = path.splitn(3, '/');
    let (owner, name) = (segments.next().unwrap_or(""), segments.next().unwrap_or(""));
    let rest = segments.next();
    let is_name = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-._".contains(c))
    };
    if !is_name(owner) || !is_name(name) {
        return Err(invalid(
            text,
            "a hub reference is hf:owner/repo, and names are letters, digits, '-', '.' and '_'",
        ));
    }
    let file = match (rest, label) {
        (None, None) => HubFile::Best,
        (None, Some(label)) if is_name(label) => HubFile::Quantization(label.to_ascii_uppercase()),
        (None, Some(_)) => {
            return Err(invalid(
                text,
                "the quantization after ':' is not a label such as Q4_K_M",
            ));
        }
        (Some(_), Some(_)) => return Err(invalid(text, "give a quantization or a file, not both")),
        (Some(file), None) => {
            let odd = |part: &str| part.is_empty() || part == "." || part == "..";
            let stray = |c: char| c.is_control() || c == '\\';
            if file.split('/').any(odd) || file.contains(stray) {
                return Err(invalid(text, "the path within the repository is not plain"));
            }
            HubFile::Path(file.to_owned())
        }
    };
    Ok(HubReference {
        repository: format!("{owner}/{name}"),
        file,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(text: &str) -> (String, HubFile) {
        match Source::parse(text).unwrap() {
            Source::Hub(reference) => (reference.repository, reference.file),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn hub_references() {
        let repo = "Qwen/Qwen3-0.6B-GGUF".to_owned();
        assert_eq!(
            hub("hf:Qwen/Qwen3-0.6B-GGUF"),
            (repo.clone(), HubFile::Best)
        );
        assert_eq!(
            hub("hf:Qwen/Qwen3-0.6B-GGUF:q8_0"),
            (repo.clone(), HubFile::Quantization("Q8_0".into()))
        );
        assert_eq!(
            hub("hf://Qwen/Qwen3-0.6B-GGUF/sub/model.gguf"),
            (repo, HubFile::Path("sub/model.gguf".into()))
        );
    }

    #[test]
    fn what_names_no_model_is_refused() {
        for text in [
            "hf:",
            "hf:owner",
            "hf:owner/",
            "hf:/repo",
            "hf:../repo",
            "hf:a/b:",
            "hf:a/b:Q4 0",
            "hf:a/b/c.gguf:Q8_0",
            "hf:a/b/../c.gguf",
            "hf:a/b//c.gguf",
            "hf:a/b?x",
            "owner/repo",
            "model.gguf",
        ] {
            assert!(
                matches!(Source::parse(text), Err(Error::InvalidSource { .. })),
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_list_of_one_is_that_one() {
        assert_eq!(
            Source::parse_list(&["https://h.org/a.gguf"]).unwrap(),
            Source::parse("https://h.org/a.gguf").unwrap()
        );
        assert!(Source::parse_list::<&str>(&[]).is_err());
        assert!(Source::parse_list(&["https://h.org/a", "hf:a/b"]).is_err());
    }
}
