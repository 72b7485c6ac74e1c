//! The tokens of a model: texts, types, scores, and the way from a text to its id.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use gguf::{Array, Metadata, StringArray};
use hashbrown::HashTable;

use crate::Error;

const TOKENS: &str = "tokenizer.ggml.tokens";
const TOKEN_TYPES: &str = "tokenizer.ggml.token_type";
const SCORES: &str = "tokenizer.ggml.scores";

/// What a token is for (`tokenizer.ggml.token_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Text, in the vocabulary's spelling.
    Normal,
    /// Stands for whatever the vocabulary cannot express.
    Unknown,
    /// Steers the model; not text.
    Control,
    /// Text as it is, cut out before anything else is done to a text.
    UserDefined,
    /// A reserved place.
    Unused,
    /// One byte, written `<0x0A>`.
    Byte,
    /// Anything else.
    Undefined,
}

impl Kind {
    fn from_id(id: i128) -> Self {
        match id {
            1 => Self::Normal,
            2 => Self::Unknown,
            3 => Self::Control,
            4 => Self::UserDefined,
            5 => Self::Unused,
            6 => Self::Byte,
            _ => Self::Undefined,
        }
    }

    /// Whether decoding leaves the token out unless asked to show it.
    pub(crate) fn is_special(self) -> bool {
        matches!(self, Self::Control | Self::Unknown)
    }
}

/// Tokens by id and by text. The texts stay in the one block of memory that the file's header was read into.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    texts: StringArray,
    kinds: Vec<Kind>,
    scores: Vec<f32>,
    by_text: HashTable<u32>,
    hasher: FixedState,
    longest: usize,
}

impl Vocabulary {
    /// Reads tokens, types and scores. Without types every token is text; without scores all are 0.
    pub(crate) fn from_metadata(metadata: &Metadata) -> Result<Self, Error> {
        let texts = metadata
            .strings(TOKENS)?
            .ok_or(Error::MissingKey { key: TOKENS })?
            .clone();
        let count = texts.len();
        let kinds = match metadata.array(TOKEN_TYPES)? {
            Some(types) => {
                expect_length(TOKEN_TYPES, types, count)?;
                (0..count)
                    .map(|i| types.integer(i).map(Kind::from_id))
                    .collect::<Option<_>>()
                    .ok_or_else(|| wrong_element(TOKEN_TYPES, "integers", types))?
            }
            None => vec![Kind::Normal; count],
        };
        let scores = match metadata.array(SCORES)? {
            Some(scores) => {
                expect_length(SCORES, scores, count)?;
                match scores {
                    Array::F32(scores) => scores[..count].to_vec(),
                    Array::I32(scores) => {
                        scores[..count].iter().map(|&score| score as f32).collect()
                    }
                    _ => return Err(wrong_element(SCORES, "f32 or i32", scores)),
                }
            }
            None => Vec::new(),
        };

        let mut vocabulary = Self {
            longest: texts.iter().map(<[u8]>::len).max().unwrap_or(0),
            texts,
            kinds,
            scores,
            by_text: HashTable::with_capacity(count),
            hasher: FixedState::default(),
        };
        vocabulary.index();
        Ok(vocabulary)
    }

    /// Fills `by_text`.
    fn index(&mut self) {
        for id in 0..self.texts.len() as u32 {
            self.index_one(id);
        }
    }

    /// Has a token be found by its text, in place of an earlier one of the same text. Called for each: a browser runs a function in
    /// slow code until it is called again.
    #[inline(never)]
    fn index_one(&mut self, id: u32) {
        let text = self.texts.get(id as usize).unwrap_or_default();
        if text.is_empty() {
            return;
        }
        let hash = self.hasher.hash_one(text);
        let same = |other: &u32| self.texts.get(*other as usize) == Some(text);
        match self.by_text.find_mut(hash, same) {
            Some(slot) => *slot = id,
            None => {
                let rehash = |id: &u32| {
                    self.hasher
                        .hash_one(self.texts.get(*id as usize).unwrap_or_default())
                };
                self.by_text.insert_unique(hash, id, rehash);
            }
        }
    }

    /// The id of the token spelled `text`.
    pub(crate) fn id(&self, text: &[u8]) -> Option<u32> {
        let same = |id: &u32| self.texts.get(*id as usize) == Some(text);
        self.by_text.find(self.hasher.hash_one(text), same).copied()
    }

    /// Number of tokens.
    pub(crate) fn len(&self) -> usize {
        self.texts.len()
    }

    /// Whether `id` is a token.
    pub(crate) fn contains(&self, id: u32) -> bool {
        (id as usize) < self.len()
    }

    /// The spelling of `id`.
    pub(crate) fn text(&self, id: u32) -> Option<&[u8]> {
        self.texts.get(id as usize)
    }

    /// What `id` is for.
    pub(crate) fn kind(&self, id: u32) -> Option<Kind> {
        self.kinds.get(id as usize).copied()
    }

    /// Corrects the type of a token; an `id` outside the vocabulary is ignored.
    pub(crate) fn set_kind(&mut self, id: u32, kind: Kind) {
        if let Some(slot) = self.kinds.get_mut(id as usize) {
            *slot = kind;
        }
    }

    /// The score of `id`: how early SentencePiece merges into it; 0 outside the vocabulary.
    pub(crate) fn score(&self, id: u32) -> f32 {
        self.scores.get(id as usize).copied().unwrap_or(0.0)
    }

    /// Bytes of the longest spelling.
    pub(crate) fn longest(&self) -> usize {
        self.longest
    }

    /// Ids whose type is one that `wanted` accepts.
    pub(crate) fn ids_of(&self, wanted: impl Fn(Kind) -> bool) -> Vec<u32> {
        (0u32..)
            .zip(&self.kinds)
            .filter(|&(_, &kind)| wanted(kind))
            .map(|(id, _)| id)
            .collect()
    }

    /// The byte that `id`, a token of type byte, stands for.
    pub(crate) fn byte(&self, id: u32) -> Option<u8> {
        let hex = self.text(id)?.strip_prefix(b"<0x")?.strip_suffix(b">")?;
        if hex.len() != 2 {
            return None;
        }
        u8::from_str_radix(str::from_utf8(hex).ok()?, 16).ok()
    }

    /// Refuses a vocabulary with a token of type byte that names no byte.
    pub(crate) fn check_byte_tokens(&self) -> Result<(), Error> {
        match self
            .ids_of(|kind| kind == Kind::Byte)
            .into_iter()
            .find(|&id| self.byte(id).is_none())
        {
            None => Ok(()),
            Some(id) => {
                let text = String::from_utf8_lossy(self.text(id).unwrap_or_default()).into_owned();
                Err(Error::MalformedByteToken { id, text })
            }
        }
    }
}

fn expect_length(key: &'static str, array: &Array, expected: usize) -> Result<(), Error> {
    match array.len() {
        found if found < expected => Err(Error::TooShort {
            key,
            expected,
            found,
        }),
        _ => Ok(()),
    }
}

fn wrong_element(key: &'static str, expected: &'static str, found: &Array) -> Error {
    Error::WrongElement {
        key,
        expected,
        found: found.element().name(),
    }
}
