//! What tells whether a stored chunk's bytes are still those that were stored.
//!
//! Every chunk is hashed when it arrives and each time it is read, so the hash has to be as fast as storage: SipHash, whose
//! key, drawn anew for every model that is stored, no server ever sees. Whoever sends a chunk can then neither guess what it
//! is to be replaced with nor find two chunks that count as the same. The whole file is hashed with SHA-256 all the same
//! where its publisher says what that is to be.

use std::fmt;
use std::hash::Hasher as _;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use siphasher::sip::SipHasher13;

use crate::Digest;
use crate::digest::{bytes_from_hex, write_hex};

/// Bytes that are hashed in one call: the browser's optimizing compiler replaces a function where it is called, not while it runs.
const STRETCH: usize = 16 << 10;

/// A key of SipHash, written as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HashKey(pub [u64; 2]);

/// How a model's chunks are hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChunkHasher {
    /// SHA-256, as in layouts 1 and 2.
    Sha256,
    /// SipHash-1-3 with this key.
    SipHash(HashKey),
}

/// A chunk's hash, written in hexadecimal digits, whose number tells which it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum ChunkHash {
    /// By [`ChunkHasher::Sha256`].
    Sha256(Digest),
    /// By [`ChunkHasher::SipHash`].
    SipHash(u64),
}

impl ChunkHasher {
    /// The hasher of a model with this key; models of early layouts have none.
    pub fn new(key: Option<HashKey>) -> Self {
        key.map_or(Self::Sha256, Self::SipHash)
    }

    /// The hash of a chunk.
    pub fn hash(self, bytes: &[u8]) -> ChunkHash {
        match self {
            Self::Sha256 => ChunkHash::Sha256(Digest::of(bytes)),
            Self::SipHash(key) => ChunkHash::SipHash(sip_hash(key, bytes)),
        }
    }
}

/// SipHash with one round for each word and three in the end (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012).
fn sip_hash(HashKey([k0, k1]): HashKey, bytes: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(k0, k1);
    for stretch in bytes.chunks(STRETCH) {
        absorb(&mut hasher, stretch);
    }
    hasher.finish()
}

#[inline(never)]
fn absorb(hasher: &mut SipHasher13, bytes: &[u8]) {
    hasher.write(bytes);
}

impl fmt::Display for ChunkHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sha256(digest) => digest.fmt(f),
            Self::SipHash(hash) => write_hex(f, &hash.to_be_bytes()),
        }
    }
}

impl fmt::Debug for ChunkHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for ChunkHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ChunkHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let sip = || bytes_from_hex(&text).map(|bytes| Self::SipHash(u64::from_be_bytes(bytes)));
        let hash = Digest::from_hex(&text).map(Self::Sha256).or_else(sip);
        hash.ok_or_else(|| de::Error::custom("not a chunk's hash in hexadecimal"))
    }
}

impl fmt::Display for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|half| write_hex(f, &half.to_be_bytes()))
    }
}

impl fmt::Debug for HashKey {
    /// Keys are not for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashKey")
    }
}

impl Serialize for HashKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HashKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes: Option<[u8; 16]> = bytes_from_hex(&text);
        let key = bytes
            .map(u128::from_be_bytes)
            .ok_or_else(|| de::Error::custom("not a key in hexadecimal"))?;
        // The two halves.
        Ok(Self([(key >> 64) as u64, key as u64]))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn one_bit_turned_over_is_noticed(k0: u64, k1: u64, mut bytes in prop::collection::vec(any::<u8>(), 1..2000), at: prop::sample::Index, bit in 0..8) {
            let hasher = ChunkHasher::new(Some(HashKey([k0, k1])));
            let before = hasher.hash(&bytes);
            let at = at.index(bytes.len());
            bytes[at] ^= 1_u8 << bit;
            prop_assert_ne!(hasher.hash(&bytes), before);
        }

        #[test]
        fn what_is_written_is_read(k0: u64, k1: u64, bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let key = HashKey([k0, k1]);
            for hasher in [ChunkHasher::new(None), ChunkHasher::new(Some(key))] {
                let hash = hasher.hash(&bytes);
                let text = serde_json::to_string(&hash).unwrap();
                prop_assert_eq!(serde_json::from_str::<ChunkHash>(&text).unwrap(), hash);
            }
            let text = serde_json::to_string(&key).unwrap();
            prop_assert_eq!(serde_json::from_str::<HashKey>(&text).unwrap(), key);
        }
    }

    /// What is stored with a model must be understood by every later version. Python 3.11's `hash` of bytes is
    /// SipHash-1-3 too, with a key of zeros where PYTHONHASHSEED is 0.
    #[test]
    fn stored_hashes_stay_what_they_are() {
        let hasher = ChunkHasher::new(Some(HashKey([0, 0])));
        let chunk = vec![7; 512 << 10];
        assert_eq!(hasher.hash(&chunk).to_string(), "7fa62ea784f8822c");
        let mut uneven: Vec<u8> = (0..=u8::MAX).cycle().take(3 * 256).collect();
        uneven.extend(b"end");
        assert_eq!(hasher.hash(&uneven).to_string(), "c17dc5d3496a9e61");
    }

    #[test]
    fn other_text_is_no_hash() {
        for text in ["\"\"", "\"0123456789abcde\"", "\"0123456789abcdeg\"", "7"] {
            assert!(serde_json::from_str::<ChunkHash>(text).is_err(), "{text}");
        }
    }
}
