//! SentencePiece's precompiled rules of normalization.
//!
//! A length, then that many bytes of a double array that finds the longest prefix of a text which a rule replaces, then the
//! replacements, each ended by a zero byte. Source: `Normalizer` in
//! <https://github.com/google/sentencepiece/blob/master/src/normalizer.cc>, and darts-clone for the array.

use gguf::{Array, Metadata};

use crate::Error;

const KEY: &str = "tokenizer.ggml.precompiled_charsmap";

/// Bytes of the length, and of a unit of the array.
const UNIT: usize = size_of::<u32>();

/// Bytes that a replacement may have: several times what Unicode's longest takes, but not what would fill the memory.
const LONGEST: usize = 256;

/// The rules of normalization of one model.
#[derive(Debug)]
pub(crate) struct CharsMap {
    units: Vec<u32>,
    replacements: String,
}

impl CharsMap {
    /// Reads the rules, if the file has any.
    pub(crate) fn from_metadata(metadata: &Metadata) -> Result<Option<Self>, Error> {
        let bytes = match metadata.array(KEY)? {
            None => return Ok(None),
            Some(Array::U8(bytes)) => bytes.clone(),
            Some(Array::I8(bytes)) => bytes.iter().map(|&byte| byte as u8).collect(),
            Some(other) => {
                return Err(Error::WrongElement {
                    key: KEY,
                    expected: "bytes",
                    found: other.element().name(),
                });
            }
        };
        Self::new(&bytes).map(Some).ok_or(Error::MalformedCharsMap {
            length: bytes.len(),
        })
    }

    fn new(bytes: &[u8]) -> Option<Self> {
        let (length, rest) = bytes.split_first_chunk::<UNIT>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let (array, replacements) = rest.split_at_checked(length)?;
        let (units, remainder) = array.as_chunks::<UNIT>();
        if !remainder.is_empty() {
            return None;
        }
        let replacements = str::from_utf8(replacements).ok()?;
        if !replacements.is_empty() && !replacements.ends_with('\0') {
            return None;
        }
        Some(Self {
            units: units.iter().copied().map(u32::from_le_bytes).collect(),
            replacements: replacements.to_owned(),
        })
    }

    /// The replacement of the longest prefix of `text` that has one, and the prefix's length. A rule that points out of
    /// the array or the replacements, or to a text of more than [`LONGEST`] bytes, is none.
    pub(crate) fn longest(&self, text: &str) -> Option<(&str, usize)> {
        let mut longest = None;
        let mut index = offset(*self.units.first()?);
        for (at, byte) in text.bytes().enumerate() {
            index ^= usize::from(byte);
            let Some(&unit) = self.units.get(index) else {
                break;
            };
            if byte == 0 || label(unit) != u32::from(byte) {
                break;
            }
            index ^= offset(unit);
            if has_value(unit)
                && let Some(&value) = self.units.get(index)
            {
                longest = Some((value & VALUE, at + 1));
            }
        }
        let (value, length) = longest?;
        let replacement = self.replacements.get(usize::try_from(value).ok()?..)?;
        let end = replacement.find('\0').filter(|&end| end <= LONGEST)?;
        text.is_char_boundary(length)
            .then_some((&replacement[..end], length))
    }
}

/// The bits of a value, in a unit that holds one.
const VALUE: u32 = (1 << 31) - 1;

/// The byte that leads to a unit; above a byte for a unit that holds a value.
fn label(unit: u32) -> u32 {
    unit & (1 << 31 | 0xFF)
}

/// Whether a prefix ends at a unit.
fn has_value(unit: u32) -> bool {
    unit >> 8 & 1 == 1
}

/// What leads from a unit to those below, together with their bytes.
fn offset(unit: u32) -> usize {
    ((unit >> 10) << ((unit & 1 << 9) >> 6)) as usize
}
