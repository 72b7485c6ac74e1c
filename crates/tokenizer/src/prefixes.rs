//! Finding the tokens that a text starts with.

use crate::vocabulary::{Kind, Vocabulary};

/// A set of tokens, sorted by text.
#[derive(Debug)]
pub(crate) struct Prefixes {
    sorted: Vec<u32>,
}

impl Prefixes {
    /// The tokens of `vocabulary` whose type `wanted` accepts.
    pub(crate) fn new(vocabulary: &Vocabulary, wanted: impl Fn(Kind) -> bool) -> Self {
        let mut sorted = vocabulary.ids_of(wanted);
        sorted.retain(|&id| vocabulary.text(id).is_some_and(|text| !text.is_empty()));
        sorted.sort_unstable_by_key(|&id| (vocabulary.text(id), id));
        Self { sorted }
    }

    /// The tokens, in the order of their texts.
    pub(crate) fn ids(&self) -> impl Iterator<Item = u32> {
        self.sorted.iter().copied()
    }

    /// Calls `each` with the tokens that `text` starts with and their lengths, the shortest first. Of two that are
    /// spelled the same, the first counts. The work is that of binary searches for as many bytes as the longest token has.
    pub(crate) fn of(
        &self,
        text: &[u8],
        vocabulary: &Vocabulary,
        mut each: impl FnMut(u32, usize),
    ) {
        let spelled = |id: &u32| {
            #[cfg(test)]
            tests::LOOKS.with(|looks| looks.set(looks.get() + 1));
            vocabulary.text(*id).unwrap_or_default()
        };
        // The tokens that agree with the first `length` bytes.
        let mut range = &self.sorted[..];
        for length in 0..=text.len() {
            let ended = range.partition_point(|id| spelled(id).len() == length);
            if let Some(&id) = range[..ended].first().filter(|_| length > 0) {
                each(id, length);
            }
            let Some(&byte) = text.get(length) else { break };
            range = &range[ended..];
            let below = range.partition_point(|id| spelled(id)[length] < byte);
            let above = range.partition_point(|id| spelled(id)[length] <= byte);
            range = &range[below..above];
            if range.is_empty() {
                break;
            }
        }
    }

    /// The longest token that `text` starts with, and its length.
    pub(crate) fn longest(&self, text: &[u8], vocabulary: &Vocabulary) -> Option<(u32, usize)> {
        let mut longest = None;
        self.of(text, vocabulary, |id, length| longest = Some((id, length)));
        longest
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use gguf::{Array, Metadata, StringArray, Value};

    use crate::{EncodeOptions, Tokenizer};

    thread_local! {
        /// Tokens looked at, whose number is the work of the tokenizers that look for prefixes.
        pub(super) static LOOKS: Cell<usize> = const { Cell::new(0) };
    }

    fn tokenizer(model: &str) -> Tokenizer {
        let mut tokens = StringArray::new();
        for token in [
            "[UNK]", "[CLS]", "[SEP]", "a", "aa", "aaaa", "aaaaaaaa", "b", "ab", "▁a",
        ] {
            tokens.push(token);
        }
        let id = |key: &str, id| (format!("tokenizer.ggml.{key}_token_id"), Value::U32(id));
        let entries = vec![
            (
                "tokenizer.ggml.model".to_owned(),
                Value::String(model.to_owned()),
            ),
            (
                "tokenizer.ggml.tokens".to_owned(),
                Value::Array(Array::Strings(tokens)),
            ),
            id("unknown", 0),
            id("bos", 1),
            id("eos", 2),
            id("seperator", 2),
        ];
        let metadata = Metadata::from_entries(entries).expect("keys that differ");
        Tokenizer::from_metadata(&metadata).expect("a tokenizer")
    }

    #[test]
    fn work_grows_with_the_length_of_a_text() {
        const LENGTH: usize = 1 << 14;
        /// The length of the longest token, times the steps of a few binary searches.
        const LOOKS_PER_BYTE: usize = 120;
        let options = EncodeOptions {
            add_special: false,
            parse_special: false,
        };
        for model in ["bert", "t5"] {
            let tokenizer = tokenizer(model);
            for unit in ["a", "b", "ab", "aaab", "c", "ac", "a ", " ", "é"] {
                let text = unit.repeat(LENGTH / unit.len());
                let before = LOOKS.get();
                let ids = tokenizer.encode(&text, options);
                let looks = LOOKS.get() - before;
                assert!(ids.len() <= LENGTH);
                assert!(
                    looks <= LOOKS_PER_BYTE * LENGTH,
                    "{model}, {unit:?}: {looks}"
                );
            }
        }
    }
}
