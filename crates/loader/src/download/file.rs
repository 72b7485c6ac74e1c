//! A file during a download.

use gguf::{Header, HeaderReader};
use sha2::{Digest as _, Sha256};

use super::route::Delivered;
use crate::Digest;
use crate::record::ChunkId;

#[derive(Debug)]
pub(super) struct File {
    pub(super) name: String,
    /// Its publisher's hash.
    pub(super) expected: Option<Digest>,
    /// Its own hash, once all of it has passed and is what was expected, or from an earlier, complete load.
    pub(super) sha256: Option<Digest>,
    pub(super) hash: Sha256,
    /// What of it has been delivered.
    pub(super) delivered: Delivered,
    pub(super) reader: HeaderReader,
    pub(super) header: Option<Header>,
    /// Chunk with the header's next bytes.
    pub(super) header_next: ChunkId,
}

impl File {
    pub(super) fn new(name: &str, expected: Option<Digest>, first_part: usize) -> Self {
        Self {
            name: name.to_owned(),
            expected,
            sha256: None,
            hash: Sha256::new(),
            delivered: Delivered::default(),
            reader: HeaderReader::new(),
            header: None,
            // At most MAX_PARTS.
            header_next: ChunkId {
                part: first_part as u32,
                index: 0,
            },
        }
    }
}
