//! Finding a model's files in a repository of a Hugging Face hub.
//!
//! One request lists a repository: `GET {endpoint}/api/models/{owner}/{repo}/revision/main?blobs=true` (the
//! hub's documented model info with file metadata; `blobs=true` adds each file's size and, for large files,
//! its SHA-256). It also names the commit, and files are fetched from that commit,
//! `{endpoint}/{owner}/{repo}/resolve/{commit}/{path}`: what was listed is what arrives, even if the repository
//! changes meanwhile.

use serde::Deserialize;

use crate::files::{FileSpec, Location, MAX_PART_BYTES, ModelSpec, PartSpec, arrange};
use crate::{Digest, Error, HubFile, HubReference, Url};

/// The hub that `hf:` means unless another is configured.
pub const DEFAULT_ENDPOINT: &str = "https://huggingface.co";

/// Branch that is listed.
const REVISION: &str = "main";

/// Which quantization is taken when none is named: the first of these that the repository has. `Q4_K_M` is
/// what the hub itself and llama.cpp take first; after it the order goes by how good a compromise of size and
/// quality each is, and full precision comes last.
pub const PREFERENCE: [&str; 27] = [
    "Q4_K_M",
    "Q4_K_S",
    "Q4_0",
    "Q4_1",
    "IQ4_XS",
    "IQ4_NL",
    "Q5_K_M",
    "Q5_K_S",
    "Q5_0",
    "Q5_1",
    "Q6_K",
    "Q8_0",
    "Q4_K",
    "Q5_K",
    "MXFP4_MOE",
    "MXFP4",
    "Q3_K_L",
    "Q3_K_M",
    "Q3_K_S",
    "Q3_K",
    "Q2_K",
    "TQ2_0",
    "TQ1_0",
    "I2_S",
    "BF16",
    "F16",
    "F32",
];

/// Beginnings of labels whose files hold blocks that cannot be computed.
const UNSUPPORTED: [&str; 6] = ["IQ1", "IQ2", "IQ3", "Q1_0", "Q2_0", "NVFP4"];

/// Beginnings of names that accompany a model but are none.
const COMPANIONS: [&str; 5] = ["mmproj", "imatrix", "mtp-", "eagle3-", "dflash-"];

/// What the hub says about a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Commit that `main` was at.
    pub commit: String,
    /// Every file.
    pub files: Vec<ListedFile>,
}

/// A file of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedFile {
    /// Path within the repository.
    pub path: String,
    /// Bytes.
    pub size: Option<u64>,
    /// SHA-256, which the hub knows for large files.
    pub sha256: Option<Digest>,
}

/// Address that lists a repository's files.
///
/// # Errors
/// [`Error::InvalidSource`] if `endpoint` is no address.
pub fn listing_url(endpoint: &str, repository: &str) -> Result<Url, Error> {
    let endpoint = endpoint.trim_end_matches('/');
    Url::parse(&format!(
        "{endpoint}/api/models/{repository}/revision/{REVISION}?blobs=true"
    ))
}

impl Listing {
    /// Reads the hub's answer.
    ///
    /// # Errors
    /// [`Error::HubAnswer`] if it is not what the hub's documentation says.
    pub fn parse(answer: &[u8], endpoint: &str, repository: &str) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Info {
            sha: String,
            siblings: Vec<Sibling>,
        }
        #[derive(Deserialize)]
        struct Sibling {
            rfilename: String,
            size: Option<u64>,
            lfs: Option<Lfs>,
        }
        #[derive(Deserialize)]
        struct Lfs {
            sha256: Option<String>,
        }
        let wrong = |reason: String| Error::HubAnswer {
            endpoint: endpoint.to_owned(),
            repository: repository.to_owned(),
            reason,
        };
        let info: Info =
            serde_json::from_slice(answer).map_err(|error| wrong(error.to_string()))?;
        if info.sha.is_empty() || !info.sha.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(wrong("its commit is not a hexadecimal number".to_owned()));
        }
        let file = |sibling: Sibling| ListedFile {
            path: sibling.rfilename,
            size: sibling.size.filter(|size| *size <= MAX_PART_BYTES),
            sha256: sibling
                .lfs
                .and_then(|lfs| lfs.sha256)
                .and_then(|hex| Digest::from_hex(&hex)),
        };
        Ok(Self {
            commit: info.sha,
            files: info.siblings.into_iter().map(file).collect(),
        })
    }

    /// The files that `reference` means.
    ///
    /// # Errors
    /// [`Error::HubFileMissing`], [`Error::HubNothingSupported`], or [`Error::NotOneModel`] if part of a split set
    /// is missing.
    pub fn choose(&self, reference: &HubReference, endpoint: &str) -> Result<ModelSpec, Error> {
        let candidates = self.candidates();
        let missing = |wanted: String| Error::HubFileMissing {
            repository: reference.repository.clone(),
            wanted,
            available: self.available(),
        };
        let chosen = match &reference.file {
            HubFile::Path(path) => self
                .files
                .iter()
                .find(|file| file.path == *path)
                .ok_or_else(|| missing(format!("file {path}")))?,
            HubFile::Quantization(label) if is_unsupported(label) => {
                return Err(self.nothing_supported(reference, &format!("{label} was asked for. ")));
            }
            HubFile::Quantization(label) => {
                best_match(&candidates, label).ok_or_else(|| missing(format!("{label} file")))?
            }
            HubFile::Best => PREFERENCE
                .iter()
                .find_map(|label| best_match(&candidates, label))
                .or_else(|| {
                    candidates
                        .iter()
                        .copied()
                        .find(|file| label_of(&file.path).is_none())
                })
                .ok_or_else(|| match candidates.is_empty() {
                    true => missing("GGUF file".to_owned()),
                    false => self.nothing_supported(reference, ""),
                })?,
        };
        self.model(chosen, reference, endpoint)
    }

    /// Models of the repository, in the hub's order.
    fn candidates(&self) -> Vec<&ListedFile> {
        let is_model = |file: &&ListedFile| {
            let name = file_name(&file.path).to_ascii_lowercase();
            let stem =
                crate::raw_parts::RawPart::parse(&name).map_or(name.as_str(), |part| part.stem);
            stem.ends_with(".gguf") && !COMPANIONS.iter().any(|other| name.contains(other))
        };
        self.files.iter().filter(is_model).collect()
    }

    fn available(&self) -> String {
        let paths: Vec<&str> = self
            .candidates()
            .iter()
            .map(|file| file.path.as_str())
            .collect();
        if paths.is_empty() {
            "no GGUF files".to_owned()
        } else {
            paths.join(", ")
        }
    }

    fn nothing_supported(&self, reference: &HubReference, asked: &str) -> Error {
        let mut labels: Vec<_> = self
            .candidates()
            .iter()
            .filter_map(|file| label_of(&file.path))
            .collect();
        labels.sort();
        labels.dedup();
        let describe = |label: String| match is_unsupported(&label) {
            true => format!("{label} (its blocks are not supported)"),
            false => format!("{label} (supported)"),
        };
        let found: Vec<_> = labels.into_iter().map(describe).collect();
        Error::HubNothingSupported {
            repository: reference.repository.clone(),
            skipped: format!("{asked}It has: {}", found.join(", ")),
        }
    }

    /// The chosen file with the rest of its split set or parts.
    fn model(
        &self,
        chosen: &ListedFile,
        reference: &HubReference,
        endpoint: &str,
    ) -> Result<ModelSpec, Error> {
        let family: Vec<&ListedFile> = self
            .files
            .iter()
            .filter(|file| family(&file.path) == family(&chosen.path))
            .collect();
        let names: Vec<&str> = family.iter().map(|file| file_name(&file.path)).collect();
        let arranged = arrange(&names)?;
        let folder = &chosen.path[..chosen.path.len() - file_name(&chosen.path).len()];
        let endpoint = endpoint.trim_end_matches('/');
        let part = |&i: &usize| {
            let path = encode_path(&family[i].path);
            let url = format!(
                "{endpoint}/{}/resolve/{}/{path}",
                reference.repository, self.commit
            );
            Ok(PartSpec::new(
                Location::Url(Url::parse(&url)?),
                family[i].size,
            ))
        };
        let files = arranged
            .iter()
            .map(|file| {
                Ok(FileSpec {
                    name: file.name.clone(),
                    parts: file.parts.iter().map(part).collect::<Result<_, Error>>()?,
                    // A cut file's parts have hashes of their own, not the file's.
                    sha256: match file.parts[..] {
                        [only] => family[only].sha256,
                        _ => None,
                    },
                })
            })
            .collect::<Result<_, Error>>()?;
        Ok(ModelSpec {
            id: format!(
                "hf:{}/{folder}{}",
                reference.repository, arranged[0].set_name
            ),
            alias: Some(reference.to_string()),
            files,
        })
    }
}

impl std::fmt::Display for HubReference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.file {
            HubFile::Best => write!(f, "hf:{}", self.repository),
            HubFile::Quantization(label) => write!(f, "hf:{}:{label}", self.repository),
            HubFile::Path(path) => write!(f, "hf:{}/{path}", self.repository),
        }
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// What the files of one split set or the parts of one file have in common, and no other file has.
fn family(path: &str) -> (&str, u16) {
    if let Some(shard) = gguf::split::ShardName::parse(path) {
        return (shard.prefix, shard.count);
    }
    (
        crate::raw_parts::RawPart::parse(path).map_or(path, |part| part.stem),
        0,
    )
}

/// A file's name in upper case without extension, shard and part numbers.
fn upper_stem(path: &str) -> String {
    let stem = family(file_name(path)).0.to_ascii_uppercase();
    stem.strip_suffix(".GGUF")
        .map_or_else(|| stem.clone(), str::to_owned)
}

/// The file that carries `label` as a word of its name; one that ends with it before one that goes on.
fn best_match<'a>(candidates: &[&'a ListedFile], label: &str) -> Option<&'a ListedFile> {
    let carries = |file: &&&ListedFile| has_word(&upper_stem(&file.path), label);
    let rank = |file: &&&ListedFile| {
        (
            !upper_stem(&file.path).ends_with(label),
            file.path.len(),
            file.path.clone(),
        )
    };
    candidates.iter().filter(carries).min_by_key(rank).copied()
}

/// Whether `label` stands in `stem` between separators. `_` may precede a label but not follow it: Q4_K is
/// not a word of Q4_K_M.
fn has_word(stem: &str, label: &str) -> bool {
    stem.match_indices(label).any(|(at, _)| {
        let before = stem[..at].chars().next_back();
        let after = stem[at + label.len()..].chars().next();
        before.is_none_or(|c| "-._".contains(c)) && after.is_none_or(|c| "-.".contains(c))
    })
}

/// The quantization label in a file's name, if there is one.
fn label_of(path: &str) -> Option<String> {
    let stem = upper_stem(path);
    let is_label = |word: &&str| {
        PREFERENCE.iter().any(|known| word.starts_with(known)) || is_unsupported(word)
    };
    stem.rsplit(['-', '.']).find(is_label).map(str::to_owned)
}

fn is_unsupported(label: &str) -> bool {
    UNSUPPORTED.iter().any(|start| label.starts_with(start))
}

/// Percent-encodes everything in a path that is not plainly allowed there (RFC 3986's unreserved characters
/// and `/`).
fn encode_path(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests;
