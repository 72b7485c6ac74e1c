//! What a stored model looks like, in whatever keeps it.
//!
//! A store has three tables:
//!
//! | table | key | value |
//! |---|---|---|
//! | `models` | model id | a [`Record`] |
//! | `chunks` | model id, part, chunk | the chunk's bytes |
//! | `journal` | model id, part, chunk | a [`JournalEntry`] |
//!
//! Parts are numbered from 0 through all files of the model; a part's bytes are cut into chunks of
//! [`Record::chunk_size`], the last one shorter. A chunk and its journal entry are written in one transaction: an
//! entry means that exactly these bytes were there once, and its hash tells whether they still are. The record
//! is written before the first chunk, and again, marked complete, after the last.
//!
//! Where files are faster than tables ([`Place::Files`]), a part's bytes are a file instead, each chunk at its number times
//! the chunk size, and `chunks` has none of them. A chunk's bytes are then written before its entry, but nobody waits until either
//! is on the disk: after a failure of the power there may be entries whose bytes are not there.

use serde::{Deserialize, Serialize};

use crate::files::{FileSpec, Location, MAX_PART_BYTES, ModelSpec, PartSpec};
use crate::source::FILE_SCHEME;
use crate::{ChunkHash, ChunkHasher, Digest, HashKey, Url};

/// Version of this layout.
///
/// | layout | what is new |
/// |---|---|
/// | 1 | the first: all chunks in tables |
/// | 2 | [`Record::place`] |
/// | 3 | [`Record::key`]: chunks are hashed with it, and no longer with SHA-256 |
///
/// A record of an earlier layout is read as one of this layout ([`Record::migrated`]); a store of a later one is left alone.
pub const LAYOUT: u32 = 3;

/// Bytes of a chunk: small enough that losing those in flight, one for each connection, costs little, large enough that
/// a store's cost per entry does not show. A model keeps the size that it was begun with.
pub const CHUNK_SIZE: u32 = 128 << 10;

/// Largest chunk that a record may speak of: what is read back is held in memory.
const MAX_CHUNK_SIZE: u32 = 64 << 20;

/// Where the bytes of a model's chunks are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// In the table `chunks`, as everything was in layout 1.
    #[default]
    Tables,
    /// In a file per part.
    Files,
}

/// A stored model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// [`LAYOUT`] when it was written.
    pub layout: u32,
    /// The model's name.
    pub id: String,
    /// Other sources that turned out to be this model.
    pub aliases: Vec<String>,
    /// Bytes of every chunk but a part's last.
    pub chunk_size: u32,
    /// Where its chunks are.
    #[serde(default)]
    pub place: Place,
    /// What its chunks are hashed with; with SHA-256 where there is no key, as in layouts 1 and 2.
    #[serde(default)]
    pub key: Option<HashKey>,
    /// Its files in order.
    pub files: Vec<FileRecord>,
    /// Whether every byte is there and the whole has been checked.
    pub complete: bool,
    /// Unix milliseconds.
    pub created: f64,
    /// Unix milliseconds.
    pub last_used: f64,
}

/// A file of a stored model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Name without folders.
    pub name: String,
    /// Its SHA-256, as its publisher says it.
    pub sha256: Option<Digest>,
    /// Its parts in order.
    pub parts: Vec<PartRecord>,
}

/// A part of a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PartRecord {
    /// Where it comes from; of a file that was at hand, its name and version.
    pub url: String,
    /// Bytes; `None` while unknown.
    pub size: Option<u64>,
    /// What the server said to tell versions apart.
    pub validator: Validator,
}

impl PartRecord {
    /// Which of the places of `part` its bytes come from.
    pub(crate) fn mirror_of(&self, part: &PartSpec) -> Option<usize> {
        part.locations().position(|location| match location {
            Location::Url(url) => url.as_str() == self.url,
            Location::File { label, entry } => {
                label == self.url && (entry.is_none() || !label.is_empty())
            }
        })
    }
}

/// How a server names the version of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validator {
    /// `ETag`, as sent.
    pub etag: Option<String>,
    /// `Last-Modified`, as sent.
    pub last_modified: Option<String>,
}

impl Validator {
    /// Whether `newer` says that the file is another one now. What either side does not say decides nothing.
    pub fn contradicts(&self, newer: &Self) -> bool {
        let differ =
            |a: &Option<String>, b: &Option<String>| matches!((a, b), (Some(a), Some(b)) if a != b);
        match (&self.etag, &newer.etag) {
            (Some(_), Some(_)) => differ(&self.etag, &newer.etag),
            _ => differ(&self.last_modified, &newer.last_modified),
        }
    }

    /// Value of an `If-Range` header: a strong entity tag, else a date (RFC 9110, 13.1.5).
    pub fn if_range(&self) -> Option<&str> {
        let strong = self.etag.as_deref().filter(|etag| !etag.starts_with("W/"));
        strong.or(self.last_modified.as_deref())
    }
}

/// A chunk that is in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalEntry {
    /// Which chunk.
    pub chunk: ChunkId,
    /// Bytes.
    pub length: u32,
    /// Of its bytes, by [`Record::hasher`].
    pub digest: ChunkHash,
}

/// A chunk's place in a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChunkId {
    /// Number of its part, through all files.
    pub part: u32,
    /// Number within the part.
    pub index: u32,
}

/// Everything a store knows of one model.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// The model.
    pub record: Record,
    /// Its chunks, in any order.
    pub journal: Vec<JournalEntry>,
}

impl Record {
    /// The record in this version's layout; `None` if its layout is not known here. Nothing that it describes has to be moved
    /// or written for that.
    pub fn migrated(self) -> Option<Self> {
        match self.layout {
            1 => Some(Self {
                layout: LAYOUT,
                place: Place::Tables,
                key: None,
                ..self
            }),
            2 => Some(Self {
                layout: LAYOUT,
                key: None,
                ..self
            }),
            LAYOUT => Some(self),
            _ => None,
        }
    }

    /// What its chunks are hashed with.
    pub fn hasher(&self) -> ChunkHasher {
        ChunkHasher::new(self.key)
    }

    /// Bytes of all files; `None` while a part's size is unknown.
    pub fn size(&self) -> Option<u64> {
        self.files
            .iter()
            .flat_map(|file| &file.parts)
            .map(|part| part.size)
            .sum()
    }

    /// Whether `source` is this model.
    pub fn answers_to(&self, source: &str) -> bool {
        self.id == source || self.aliases.iter().any(|alias| alias == source)
    }

    /// The model to load without looking anything up; `None` if the record is not usable.
    pub fn spec(&self) -> Option<ModelSpec> {
        let part = |part: &PartRecord| {
            let location = if part.url.is_empty() || part.url.starts_with(FILE_SCHEME) {
                Location::File {
                    label: part.url.clone(),
                    entry: None,
                }
            } else {
                Location::Url(Url::parse(&part.url).ok()?)
            };
            Some(PartSpec::new(location, part.size))
        };
        let file = |file: &FileRecord| {
            Some(FileSpec {
                name: file.name.clone(),
                parts: file.parts.iter().map(part).collect::<Option<_>>()?,
                sha256: file.sha256,
            })
        };
        let empty = self.files.is_empty() || self.files.iter().any(|file| file.parts.is_empty());
        let files = self.files.iter().map(file).collect::<Option<_>>()?;
        (!empty).then(|| ModelSpec {
            id: self.id.clone(),
            alias: None,
            files,
        })
    }

    /// Whether what is stored belongs to `model`: the same files by hash where both tell, else by address.
    pub fn matches(&self, model: &ModelSpec) -> bool {
        let same_part = |(stored, part): (&PartRecord, &PartSpec)| stored.mirror_of(part).is_some();
        let same_file = |(stored, file): (&FileRecord, &FileSpec)| {
            stored.parts.len() == file.parts.len()
                && match (stored.sha256, file.sha256) {
                    (Some(a), Some(b)) => a == b,
                    _ => stored.parts.iter().zip(&file.parts).all(same_part),
                }
        };
        let sane_part = |part: &PartRecord| part.size.is_none_or(|size| size <= MAX_PART_BYTES);
        self.layout == LAYOUT
            && (1..=MAX_CHUNK_SIZE).contains(&self.chunk_size)
            && self
                .files
                .iter()
                .flat_map(|file| &file.parts)
                .all(sane_part)
            && self.id == model.id
            && self.files.len() == model.files.len()
            && self.files.iter().zip(&model.files).all(same_file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LocalFile, Source};

    fn validator(etag: Option<&str>, last_modified: Option<&str>) -> Validator {
        Validator {
            etag: etag.map(str::to_owned),
            last_modified: last_modified.map(str::to_owned),
        }
    }

    #[test]
    fn only_what_both_sides_say_can_differ() {
        let known = validator(Some("\"a\""), Some("Mon"));
        assert!(!known.contradicts(&validator(None, None)));
        assert!(!known.contradicts(&validator(Some("\"a\""), Some("Tue"))));
        assert!(known.contradicts(&validator(Some("\"b\""), Some("Mon"))));
        assert!(known.contradicts(&validator(None, Some("Tue"))));
        assert!(!Validator::default().contradicts(&known));
    }

    #[test]
    fn records_of_earlier_layouts_are_read_and_later_ones_are_nothing() {
        let record = |layout: u32, more: &str| -> Option<Record> {
            let text = format!(
                r#"{{"layout":{layout},{more}"id":"https://h.org/m.gguf","aliases":[],"chunk_size":2097152,"complete":true,"created":1,
                "last_used":2,"files":[{{"name":"m.gguf","sha256":null,"parts":[{{"url":"https://h.org/m.gguf","size":5,
                "validator":{{"etag":null,"last_modified":null}}}}]}}]}}"#
            );
            serde_json::from_str::<Record>(&text).unwrap().migrated()
        };
        let key = r#""key":"000102030405060708090a0b0c0d0e0f","#;
        for (layout, more, place, hasher) in [
            (1, "", Place::Tables, ChunkHasher::Sha256),
            (2, r#""place":"files","#, Place::Files, ChunkHasher::Sha256),
            (
                3,
                key,
                Place::Tables,
                ChunkHasher::SipHash(HashKey([0x01_0203_0405_0607, 0x0809_0a0b_0c0d_0e0f])),
            ),
        ] {
            let migrated = record(layout, more).unwrap();
            assert_eq!((migrated.layout, migrated.place), (LAYOUT, place));
            assert_eq!(migrated.hasher(), hasher);
            assert!(migrated.complete);
            assert!(migrated.matches(&migrated.spec().unwrap()));
        }
        assert_eq!(record(LAYOUT + 1, ""), None);
        assert_eq!(record(0, ""), None);
    }

    #[test]
    fn an_entry_of_an_earlier_layout_has_a_sha_256() {
        let digest = Digest::of(b"abc");
        let text = format!(r#"{{"chunk":{{"part":0,"index":1}},"length":3,"digest":"{digest}"}}"#);
        let entry: JournalEntry = serde_json::from_str(&text).unwrap();
        assert_eq!(entry.digest, ChunkHasher::new(None).hash(b"abc"));
    }

    #[test]
    fn a_stored_file_is_told_from_others_of_its_name() {
        let file = |size, modified| {
            let file = LocalFile {
                name: "m.gguf".to_owned(),
                size,
                modified,
            };
            ModelSpec::from_source(&Source::Local(vec![file])).unwrap()
        };
        let model = file(Some(5), Some(7));
        let record = Record {
            layout: LAYOUT,
            id: "file:m.gguf".to_owned(),
            aliases: Vec::new(),
            chunk_size: CHUNK_SIZE,
            place: Place::Files,
            key: None,
            files: vec![FileRecord {
                name: "m.gguf".to_owned(),
                sha256: None,
                parts: vec![PartRecord {
                    url: "file:m.gguf?size=5&modified=7".to_owned(),
                    size: Some(5),
                    validator: Validator::default(),
                }],
            }],
            complete: true,
            created: 0.0,
            last_used: 0.0,
        };
        assert!(record.matches(&model));
        for (size, modified) in [
            (Some(6), Some(7)),
            (Some(5), Some(8)),
            (Some(5), None),
            (None, None),
        ] {
            assert!(!record.matches(&file(size, modified)));
        }
        // By its name alone it is loaded from the store, in whichever version.
        let Source::Stored(name) = Source::parse("file:m.gguf").unwrap() else {
            panic!("not a stored file");
        };
        assert!(record.answers_to(&name));
        assert!(record.matches(&record.spec().unwrap()));
        // What cannot be told apart is stored again each time it is at hand.
        let mut unversioned = record;
        unversioned.files[0].parts[0].url.clear();
        assert!(!unversioned.matches(&file(Some(5), None)));
        assert!(unversioned.matches(&unversioned.spec().unwrap()));
    }

    #[test]
    fn if_range_takes_no_weak_tag() {
        assert_eq!(
            validator(Some("\"a\""), Some("Mon")).if_range(),
            Some("\"a\"")
        );
        assert_eq!(
            validator(Some("W/\"a\""), Some("Mon")).if_range(),
            Some("Mon")
        );
        assert_eq!(validator(Some("W/\"a\""), None).if_range(), None);
    }
}
