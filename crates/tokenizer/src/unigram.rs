//! SentencePiece's unigram model: of all ways to cut a text into tokens, the one whose scores add up to most.
//!
//! Sources: `Lattice::Viterbi` in <https://github.com/google/sentencepiece/blob/master/src/unigram_model.cc>; T5's and
//! XLM-RoBERTa's vocabularies are of this kind. Like llama.cpp this has one pass of dynamic programming, forwards, instead
//! of a lattice.

use gguf::Metadata;

use crate::charsmap::CharsMap;
use crate::prefixes::Prefixes;
use crate::vocabulary::{Kind, Vocabulary};
use crate::{Error, spaces};

const REMOVE_EXTRA_WHITESPACES: &str = "tokenizer.ggml.remove_extra_whitespaces";

/// How much less a character that is no token scores than the worst token.
const UNKNOWN_PENALTY: f32 = 10.0;

/// A unigram model over a vocabulary.
#[derive(Debug)]
pub(crate) struct Unigram {
    tokens: Prefixes,
    unknown: u32,
    unknown_score: f32,
    charsmap: Option<CharsMap>,
    merges_spaces: bool,
}

/// The best way to a place in the text.
#[derive(Debug, Clone, Copy)]
struct Step {
    score: f64,
    /// The token that ends here.
    id: u32,
    /// Where it starts.
    from: usize,
}

impl Unigram {
    /// Reads how texts are normalized. A character that no token spells is `unknown`.
    pub(crate) fn from_metadata(
        metadata: &Metadata,
        unknown: u32,
        vocabulary: &Vocabulary,
    ) -> Result<Self, Error> {
        let scores = vocabulary
            .ids_of(|kind| kind == Kind::Normal)
            .into_iter()
            .map(|id| vocabulary.score(id));
        Ok(Self {
            tokens: Prefixes::new(vocabulary, |kind| {
                matches!(kind, Kind::Normal | Kind::UserDefined | Kind::Unused)
            }),
            unknown,
            unknown_score: scores.fold(f32::MAX, f32::min) - UNKNOWN_PENALTY,
            charsmap: CharsMap::from_metadata(metadata)?,
            merges_spaces: metadata.bool(REMOVE_EXTRA_WHITESPACES)?.unwrap_or(false),
        })
    }

    /// Appends the ids of `text`, to which a space is prefixed if `space_prefix`, to `ids`. Characters in a row that no
    /// token spells are one unknown token.
    pub(crate) fn encode(
        &self,
        text: &str,
        space_prefix: bool,
        vocabulary: &Vocabulary,
        ids: &mut Vec<u32>,
    ) {
        let text = self.normalize(text, space_prefix);
        let nowhere = Step {
            score: -f64::MAX,
            id: self.unknown,
            from: 0,
        };
        let mut steps = vec![nowhere; text.len() + 1];
        steps[0].score = 0.0;
        for (at, c) in text.char_indices() {
            let here = steps[at].score;
            let mut offer = |id: u32, length: usize, score: f64| {
                let step = &mut steps[at + length];
                if here + score > step.score {
                    *step = Step {
                        score: here + score,
                        id,
                        from: at,
                    };
                }
            };
            let mut spelled = false;
            self.tokens
                .of(&text.as_bytes()[at..], vocabulary, |id, length| {
                    spelled |= length == c.len_utf8();
                    let score = match vocabulary.kind(id) {
                        Some(Kind::UserDefined) => 0.0,
                        _ => f64::from(vocabulary.score(id)),
                    };
                    offer(id, length, score);
                });
            if !spelled {
                offer(self.unknown, c.len_utf8(), f64::from(self.unknown_score));
            }
        }

        let start = ids.len();
        let mut at = text.len();
        while at > 0 {
            let Step { id, from, .. } = steps[at];
            let repeated = id == self.unknown && ids[start..].last() == Some(&id);
            if !repeated {
                ids.push(id);
            }
            at = from;
        }
        ids[start..].reverse();
    }

    /// `text` by the model's rules, with its spaces as the vocabulary writes them.
    fn normalize(&self, text: &str, space_prefix: bool) -> String {
        let mut normalized = String::with_capacity(text.len() + spaces::MARK.len());
        let mut in_word = false;
        let mut started = false;
        let mut add = |c: char| {
            if c != ' ' {
                if !in_word && ((space_prefix && !started) || self.merges_spaces) {
                    normalized.push_str(spaces::MARK);
                    started = true;
                }
                normalized.push(c);
            } else if !self.merges_spaces {
                normalized.push_str(spaces::MARK);
            }
            in_word = c != ' ';
        };
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let rule = self.charsmap.as_ref().and_then(|map| map.longest(rest));
            let (replacement, length) = rule.unwrap_or((&rest[..c.len_utf8()], c.len_utf8()));
            replacement.chars().for_each(&mut add);
            rest = &rest[length..];
        }
        normalized
    }
}
