//! SentencePiece's BPE: no words, no ranks; two neighbours merge if they spell a token, the best score first.
//!
//! Spaces are written as U+2581, and a character that is no token falls apart into byte tokens `<0x00>` to `<0xFF>`.
//! `tokenizer.ggml.remove_extra_whitespaces` is not looked at: llama.cpp applies it to unigram models only.
//! Source: <https://github.com/google/sentencepiece/blob/master/src/bpe_model.cc>.

use crate::merge::{Merge, Merger, NO_TOKEN, Symbol};
use crate::spaces;
use crate::vocabulary::Vocabulary;

/// SentencePiece BPE over a vocabulary.
#[derive(Debug)]
pub(crate) struct SentencePiece {
    byte_ids: [u32; 256],
}

impl SentencePiece {
    /// Finds the byte tokens of `vocabulary`. A byte without one is written with `unknown`, if there is such a token.
    pub(crate) fn new(vocabulary: &Vocabulary, unknown: Option<u32>) -> Self {
        let byte_ids = std::array::from_fn(|byte| {
            vocabulary
                .id(format!("<0x{byte:02X}>").as_bytes())
                .or(unknown)
                .unwrap_or(NO_TOKEN)
        });
        Self { byte_ids }
    }

    /// Appends the ids of `text`, to which a space is prefixed if `space_prefix`, to `ids`.
    pub(crate) fn encode(
        &self,
        text: &str,
        space_prefix: bool,
        vocabulary: &Vocabulary,
        merger: &mut Merger,
        ids: &mut Vec<u32>,
    ) {
        let mut spelled = String::with_capacity(text.len() + spaces::MARK.len());
        if space_prefix {
            spelled.push_str(spaces::MARK);
        }
        for c in text.chars() {
            match c {
                ' ' => spelled.push_str(spaces::MARK),
                _ => spelled.push(c),
            }
        }

        merger.clear();
        for (at, c) in spelled.char_indices() {
            let length = c.len_utf8();
            let id = vocabulary.id(&spelled.as_bytes()[at..at + length]);
            merger.push(id.unwrap_or(NO_TOKEN), length);
        }
        let find = |left: &Symbol, right: &Symbol| {
            let pair = &spelled.as_bytes()[left.start..right.end];
            if pair.len() > vocabulary.longest() {
                return None;
            }
            let id = vocabulary.id(pair)?;
            Some(Merge {
                priority: highest_first(vocabulary.score(id)),
                id,
            })
        };
        for piece in merger.merge(find) {
            if piece.id != NO_TOKEN {
                ids.push(piece.id);
                continue;
            }
            let bytes = &spelled.as_bytes()[piece.start..piece.end];
            ids.extend(
                bytes
                    .iter()
                    .map(|&byte| self.byte_ids[usize::from(byte)])
                    .filter(|&id| id != NO_TOKEN),
            );
        }
    }
}

/// A number that orders scores from the highest to the lowest.
fn highest_first(score: f32) -> u32 {
    const SIGN: u32 = 1 << 31;
    // Adding zero makes one of the two zeros.
    let bits = (score + 0.0).to_bits();
    // Bits of floats order as signed magnitudes; flipped like this they order as unsigned numbers.
    let ascending = if bits & SIGN == 0 { bits | SIGN } else { !bits };
    !ascending
}

#[cfg(test)]
mod tests {
    use super::highest_first;

    #[test]
    fn scores_are_ordered_from_the_highest() {
        let scores = [
            f32::INFINITY,
            3.5,
            1e-30,
            0.0,
            -1e-30,
            -1.0,
            -31_999.0,
            f32::NEG_INFINITY,
        ];
        assert!(scores.map(highest_first).is_sorted());
        assert_eq!(highest_first(0.0), highest_first(-0.0));
    }
}
