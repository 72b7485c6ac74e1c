//! BERT's WordPiece: text in words at white space and punctuation, each word the longest tokens from the left.
//!
//! In GGUF a token that starts a word is spelled with U+2581 in front, and one that goes on with a word as it is. Texts are
//! normalized as llama.cpp does it (`llm_tokenizer_wpm_session` in
//! <https://github.com/ggml-org/llama.cpp/blob/master/src/llama-vocab.cpp>).

use gguf::Metadata;

use crate::accents;
use crate::category;
use crate::prefixes::Prefixes;
use crate::vocabulary::Vocabulary;
use crate::{Error, spaces};

const LOWERCASE: &str = "tokenizer.ggml.normalizer.lowercase";
const STRIP_ACCENTS: &str = "tokenizer.ggml.normalizer.strip_accents";

/// WordPiece over a vocabulary.
#[derive(Debug)]
pub(crate) struct WordPiece {
    tokens: Prefixes,
    unknown: u32,
    lowercase: bool,
    strips_accents: bool,
}

impl WordPiece {
    /// Reads how texts are normalized: in lower case and without accents, unless the file says. A word that cannot be
    /// spelled is `unknown`.
    pub(crate) fn from_metadata(
        metadata: &Metadata,
        unknown: u32,
        vocabulary: &Vocabulary,
    ) -> Result<Self, Error> {
        let lowercase = metadata.bool(LOWERCASE)?.unwrap_or(true);
        Ok(Self {
            tokens: Prefixes::new(vocabulary, |_| true),
            unknown,
            lowercase,
            strips_accents: metadata.bool(STRIP_ACCENTS)?.unwrap_or(lowercase),
        })
    }

    /// Appends the ids of `text` to `ids`.
    pub(crate) fn encode(&self, text: &str, vocabulary: &Vocabulary, ids: &mut Vec<u32>) {
        let mut word = String::from(spaces::MARK);
        for c in text.chars() {
            if c.is_whitespace() {
                self.finish(&mut word, vocabulary, ids);
                continue;
            }
            let c = match self.strips_accents {
                true => accents::base(c),
                false => c,
            };
            let kind = category::of(c);
            let dropped = matches!(c, '\0' | char::REPLACEMENT_CHARACTER)
                || kind & category::CONTROL != 0
                || (self.strips_accents && kind & category::MARK != 0);
            if dropped {
                continue;
            }
            // Of the one letter that has two in lower case, the first.
            let spelled = match self.lowercase {
                true => c.to_lowercase().next().unwrap_or(c),
                false => c,
            };
            if stands_alone(c, kind) {
                self.finish(&mut word, vocabulary, ids);
                word.push(spelled);
                self.finish(&mut word, vocabulary, ids);
            } else {
                word.push(spelled);
            }
        }
        self.finish(&mut word, vocabulary, ids);
    }

    /// Appends the ids of `word`, unless it is but the mark of its start, which is what it is left as.
    fn finish(&self, word: &mut String, vocabulary: &Vocabulary, ids: &mut Vec<u32>) {
        if word.len() == spaces::MARK.len() {
            return;
        }
        let before = ids.len();
        let mut rest = word.as_bytes();
        while let Some((id, length)) = self.tokens.longest(rest, vocabulary) {
            ids.push(id);
            rest = &rest[length..];
        }
        if !rest.is_empty() {
            ids.truncate(before);
            ids.push(self.unknown);
        }
        word.truncate(spaces::MARK.len());
    }
}

/// Whether `c` of category `kind` is a word of its own: punctuation, and ideographs.
fn stands_alone(c: char, kind: u16) -> bool {
    kind & category::PUNCTUATION != 0
        || (c.is_ascii() && kind & category::SYMBOL != 0)
        || matches!(c,
            '\u{3400}'..='\u{4DBF}'
            | '\u{4E00}'..='\u{9FFF}'
            | '\u{F900}'..='\u{FAFF}'
            | '\u{20000}'..='\u{2A6DF}'
            | '\u{2A700}'..='\u{2B73F}'
            | '\u{2B740}'..='\u{2B81F}'
            // From U+2B820 by Unicode; this is where the tokenizers that models were trained with begin.
            | '\u{2B920}'..='\u{2CEAF}'
            | '\u{2F800}'..='\u{2FA1F}')
}
