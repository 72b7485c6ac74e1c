//! Finding special tokens that are written out in a text.
//!
//! As in llama.cpp, the longest token is cut out first wherever it occurs, then the next longest in what is left, and
//! so on; tokens that start inside one already cut out do not count.

use crate::prefixes::Prefixes;
use crate::vocabulary::{Kind, Vocabulary};

/// A piece of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fragment<'t> {
    /// Ordinary text, not empty.
    Text(&'t str),
    /// A special token.
    Token(u32),
}

/// Where white space beside a token is no part of the text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Strips {
    pub(crate) before: bool,
    pub(crate) after: bool,
}

/// A set of tokens to look for.
#[derive(Debug)]
pub(crate) struct Patterns {
    tokens: Prefixes,
    /// Which bytes some token starts with.
    starts: [bool; 256],
}

/// A token that is written at `start`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    id: u32,
    start: usize,
}

impl Patterns {
    /// The tokens of `vocabulary` whose type `wanted` accepts.
    pub(crate) fn new(vocabulary: &Vocabulary, wanted: impl Fn(Kind) -> bool) -> Self {
        let tokens = Prefixes::new(vocabulary, wanted);
        let mut starts = [false; 256];
        for id in tokens.ids() {
            if let Some(&[first, ..]) = vocabulary.text(id) {
                starts[usize::from(first)] = true;
            }
        }
        Self { tokens, starts }
    }

    /// Cuts `text` into special tokens and what lies between them. White space around a token is dropped where `strips`
    /// says so.
    pub(crate) fn partition<'t>(
        &self,
        text: &'t str,
        vocabulary: &Vocabulary,
        strips: impl Fn(u32) -> Strips,
    ) -> Vec<Fragment<'t>> {
        let mut fragments = Vec::new();
        let mut rest = 0;
        for Found { id, start } in self.find(text.as_bytes(), vocabulary) {
            let length = vocabulary.text(id).map_or(0, <[u8]>::len);
            let strips = strips(id);
            let before = &text[rest..start];
            fragments.extend(Fragment::text(match strips.before {
                true => before.trim_end_matches(is_space),
                false => before,
            }));
            fragments.push(Fragment::Token(id));
            rest = start + length;
            if strips.after {
                let stripped = text[rest..].trim_start_matches(is_space);
                rest = text.len() - stripped.len();
            }
        }
        fragments.extend(Fragment::text(&text[rest..]));
        fragments
    }

    /// The occurrences that are cut out, in the order of the text.
    fn find(&self, text: &[u8], vocabulary: &Vocabulary) -> Vec<Found> {
        // By length of the token; every place that some token starts at is in one list, that of the longest there.
        let mut by_length: Vec<Vec<Found>> = Vec::new();
        let add = |by_length: &mut Vec<Vec<Found>>, start: usize, limit: usize| {
            let text = &text[start..start + limit];
            if let Some((id, length)) = self.tokens.longest(text, vocabulary) {
                if by_length.len() <= length {
                    by_length.resize(length + 1, Vec::new());
                }
                by_length[length].push(Found { id, start });
            }
        };
        for (start, &byte) in text.iter().enumerate() {
            if self.starts[usize::from(byte)] {
                add(&mut by_length, start, text.len() - start);
            }
        }
        if by_length.is_empty() {
            return Vec::new();
        }

        let mut taken = vec![false; text.len()];
        let mut cut = Vec::new();
        while let Some(mut candidates) = by_length.pop() {
            let length = by_length.len();
            candidates.sort_unstable();
            for found in candidates {
                // What has been cut out is at least as long: it cannot lie strictly inside.
                if taken[found.start] {
                    continue;
                }
                let end = found.start + length;
                if taken[end - 1] {
                    let free = taken[found.start..end]
                        .iter()
                        .take_while(|&&taken| !taken)
                        .count();
                    add(&mut by_length, found.start, free);
                    continue;
                }
                taken[found.start..end].fill(true);
                cut.push(found);
            }
        }
        cut.sort_unstable_by_key(|found| found.start);
        cut
    }
}

/// C's `isspace`.
fn is_space(c: char) -> bool {
    c.is_ascii_whitespace() || c == '\x0B'
}

impl<'t> Fragment<'t> {
    fn text(text: &'t str) -> Option<Self> {
        (!text.is_empty()).then_some(Self::Text(text))
    }
}

#[cfg(test)]
mod tests {
    use gguf::{Array, Metadata, StringArray, Value};
    use proptest::prelude::*;

    use super::*;

    fn vocabulary(tokens: &[&str]) -> Vocabulary {
        let mut texts = StringArray::new();
        tokens.iter().for_each(|token| texts.push(token));
        let entries = vec![(
            "tokenizer.ggml.tokens".to_owned(),
            Value::Array(Array::Strings(texts)),
        )];
        let metadata = Metadata::from_entries(entries).expect("one key");
        Vocabulary::from_metadata(&metadata).expect("a vocabulary")
    }

    fn partition<'t>(tokens: &[&str], text: &'t str) -> Vec<Fragment<'t>> {
        let vocabulary = vocabulary(tokens);
        Patterns::new(&vocabulary, |_| true).partition(text, &vocabulary, |_| Strips::default())
    }

    /// llama.cpp's procedure as it is described: each token in turn, the longest first, cut out of what text is left.
    fn one_token_at_a_time<'t>(tokens: &[&str], text: &'t str) -> Vec<Fragment<'t>> {
        let mut ids: Vec<usize> = (0..tokens.len()).collect();
        ids.sort_by_key(|&id| std::cmp::Reverse(tokens[id].len()));
        let start: Vec<_> = Fragment::text(text).into_iter().collect();
        ids.into_iter().fold(start, |fragments, id| {
            let mut cut = Vec::new();
            for fragment in fragments {
                let Fragment::Text(text) = fragment else {
                    cut.push(fragment);
                    continue;
                };
                for (i, part) in text.split(tokens[id]).enumerate() {
                    cut.extend((i > 0).then_some(Fragment::Token(id as u32)));
                    cut.extend(Fragment::text(part));
                }
            }
            cut
        })
    }

    #[test]
    fn the_longest_goes_first_even_if_another_starts_earlier() {
        use Fragment::{Text, Token};
        assert_eq!(partition(&["ab", "bcd"], "abcd"), [Text("a"), Token(1)]);
        assert_eq!(
            partition(&["<s>", "<"], "<<s>>"),
            [Token(1), Token(0), Text(">")]
        );
        assert_eq!(partition(&["aa"], "aaaaa"), [Token(0), Token(0), Text("a")]);
        // The longest token here does not fit any more, a shorter one does.
        assert_eq!(
            partition(&["xab", "bcde", "x"], "xabcde"),
            [Token(2), Text("a"), Token(1)]
        );
        assert_eq!(partition(&["x"], ""), []);
        assert_eq!(partition(&[], "text"), [Text("text")]);
    }

    #[test]
    fn white_space_beside_a_token_can_be_dropped() {
        let vocabulary = vocabulary(&["<a>", "<b>"]);
        let patterns = Patterns::new(&vocabulary, |_| true);
        let strips = |id| Strips {
            before: id == 1,
            after: id == 0,
        };
        let fragments = patterns.partition(" <a> \t\n x \x0B<b> x", &vocabulary, strips);
        let expected = [
            Fragment::Text(" "),
            Fragment::Token(0),
            Fragment::Text("x"),
            Fragment::Token(1),
            Fragment::Text(" x"),
        ];
        assert_eq!(fragments, expected);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn as_one_token_at_a_time(
            tokens in prop::collection::btree_set("[abé]{1,5}", 0..8),
            text in "[abcé]{0,24}",
        ) {
            // Of two tokens of one length either may go first in llama.cpp; here they are in the order of their ids.
            let tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
            prop_assert_eq!(partition(&tokens, &text), one_token_at_a_time(&tokens, &text));
        }
    }
}
