//! Byte-level BPE: GPT-2's algorithm, with the words of a [`PreTokenizer`] and merges by rank.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use gguf::{Metadata, StringArray};
use hashbrown::HashTable;

use crate::Error;
use crate::bytes;
use crate::merge::{Merge, Merger, NO_TOKEN, Symbol};
use crate::pretokenizer::{PreTokenizer, Rule};
use crate::vocabulary::Vocabulary;

/// Names the [`Rule`] by which words are cut.
pub(crate) const PRE: &str = "tokenizer.ggml.pre";
const MERGES: &str = "tokenizer.ggml.merges";

/// A byte-level BPE over a vocabulary.
#[derive(Debug)]
pub(crate) struct Bpe {
    pre: PreTokenizer,
    /// A word that is a token is that token, whatever the merges say.
    whole_words_first: bool,
    byte_ids: [u32; 256],
    merges: Merges,
}

impl Bpe {
    /// Reads the merges; words are cut by `rule`.
    pub(crate) fn from_metadata(
        metadata: &Metadata,
        rule: Rule,
        vocabulary: &Vocabulary,
    ) -> Result<Self, Error> {
        let merges = metadata
            .strings(MERGES)?
            .ok_or(Error::MissingKey { key: MERGES })?;
        let byte_ids = bytes::CHARS.map(|c| {
            vocabulary
                .id(c.encode_utf8(&mut [0; 4]).as_bytes())
                .unwrap_or(NO_TOKEN)
        });
        Ok(Self {
            pre: PreTokenizer::new(rule),
            whole_words_first: rule.whole_words_first,
            byte_ids,
            merges: Merges::new(merges, vocabulary)?,
        })
    }

    /// Appends the ids of `text` to `ids`. A byte that has no token is left out, as llama.cpp does.
    pub(crate) fn encode(
        &self,
        text: &str,
        vocabulary: &Vocabulary,
        merger: &mut Merger,
        ids: &mut Vec<u32>,
    ) {
        let mut spelled = String::new();
        self.pre.split(text, &mut |word| {
            if self.whole_words_first && word.len() <= vocabulary.longest() {
                spelled.clear();
                bytes::encode(word.as_bytes(), &mut spelled);
                if let Some(id) = vocabulary.id(spelled.as_bytes()) {
                    ids.push(id);
                    return;
                }
            }
            merger.clear();
            for byte in word.bytes() {
                merger.push(self.byte_ids[usize::from(byte)], 1);
            }
            let pieces = merger.merge(|left, right| self.merges.find(left, right));
            ids.extend(pieces.map(|piece| piece.id).filter(|&id| id != NO_TOKEN));
        });
    }
}

/// The rule that the file names.
pub(crate) fn rule(metadata: &Metadata) -> Result<Rule, Error> {
    let name = metadata.string(PRE)?.unwrap_or_default();
    Rule::from_name(name).ok_or_else(|| Error::UnknownPreTokenizer {
        value: name.to_owned(),
    })
}

/// Pairs of tokens and what they merge into, in the order in which training found them.
#[derive(Debug)]
struct Merges {
    /// Left, right, merged; the position is the rank.
    entries: Vec<[u32; 3]>,
    by_pair: HashTable<u32>,
    hasher: FixedState,
}

impl Merges {
    /// Reads merges written as two tokens with a space between. One that names a token which the vocabulary lacks can
    /// never come into play and is left out; of two that are the same, the first counts.
    fn new(source: &StringArray, vocabulary: &Vocabulary) -> Result<Self, Error> {
        let mut merges = Self {
            entries: Vec::with_capacity(source.len()),
            by_pair: HashTable::with_capacity(source.len()),
            hasher: FixedState::default(),
        };
        let mut joined = Vec::new();
        for (rank, text) in source.iter().enumerate() {
            merges
                .add(text, vocabulary, &mut joined)
                .ok_or_else(|| Error::MalformedMerge {
                    rank,
                    text: String::from_utf8_lossy(text).into_owned(),
                })?;
        }
        Ok(merges)
    }

    /// Reads the next merge; `None` if it is not two tokens. `joined` is for the text of both. Called for each: a browser runs a
    /// function in slow code until it is called again.
    #[inline(never)]
    fn add(&mut self, text: &[u8], vocabulary: &Vocabulary, joined: &mut Vec<u8>) -> Option<()> {
        // A token may be a space itself, but none is empty: the separator is never the first byte.
        let space = 1 + text.iter().skip(1).position(|&byte| byte == b' ')?;
        let (left, right) = (&text[..space], &text[space + 1..]);
        joined.clear();
        joined.extend_from_slice(left);
        joined.extend_from_slice(right);
        if let (Some(left), Some(right), Some(merged)) = (
            vocabulary.id(left),
            vocabulary.id(right),
            vocabulary.id(joined),
        ) {
            self.insert(left, right, merged);
        }
        Some(())
    }

    fn insert(&mut self, left: u32, right: u32, merged: u32) {
        let hash = self.hasher.hash_one((left, right));
        if self.position(hash, left, right).is_some() {
            return;
        }
        let position = self.entries.len() as u32;
        self.entries.push([left, right, merged]);
        let rehash = |&position: &u32| {
            let [left, right, _] = self.entries[position as usize];
            self.hasher.hash_one((left, right))
        };
        self.by_pair.insert_unique(hash, position, rehash);
    }

    fn position(&self, hash: u64, left: u32, right: u32) -> Option<u32> {
        let same = |&position: &u32| self.entries[position as usize][..2] == [left, right];
        self.by_pair.find(hash, same).copied()
    }

    fn find(&self, left: &Symbol, right: &Symbol) -> Option<Merge> {
        let hash = self.hasher.hash_one((left.id, right.id));
        let rank = self.position(hash, left.id, right.id)?;
        Some(Merge {
            priority: rank,
            id: self.entries[rank as usize][2],
        })
    }
}
