//! Finding stop strings in text that arrives in pieces.

/// Lets text through up to the stop string that is complete first (the longest of several that end together), and
/// holds back what may yet become one: the caller never sees a character that a longer look would have withheld, and
/// how the text is cut into pieces does not matter.
#[derive(Debug, Clone, Default)]
pub(crate) struct StopMatcher {
    stops: Vec<String>,
    /// The end of the text so far, where it is the beginning of a stop string.
    held: String,
    stopped: bool,
}

impl StopMatcher {
    /// A matcher for these strings, none of which is empty.
    pub(crate) fn new(stops: Vec<String>) -> Self {
        Self {
            stops,
            held: String::new(),
            stopped: false,
        }
    }

    /// Whether a stop string has appeared.
    pub(crate) fn stopped(&self) -> bool {
        self.stopped
    }

    /// The text that is certain to come before any stop string, now that `text` has been added.
    pub(crate) fn push(&mut self, text: &str) -> String {
        if self.stopped {
            return String::new();
        }
        let mut seen = std::mem::take(&mut self.held);
        seen.push_str(text);
        let first = first_complete(&self.stops, &seen);
        let certain = match first {
            Some(at) => {
                self.stopped = true;
                at
            }
            None => {
                let certain = self.certain(&seen);
                self.held.push_str(&seen[certain..]);
                certain
            }
        };
        seen.truncate(certain);
        seen
    }

    /// What was held back, now that nothing follows. The matcher starts anew, but stays stopped.
    pub(crate) fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// The length of `seen` without its longest end that some stop string begins with.
    fn certain(&self, seen: &str) -> usize {
        let longest = self.stops.iter().map(String::len).max().unwrap_or(0);
        // Whole stop strings have been looked for already, so an end that matters is shorter than the longest.
        let from = seen.len().saturating_sub(longest.saturating_sub(1));
        let ends = (from..seen.len()).filter(|&at| seen.is_char_boundary(at));
        let possible = |&at: &usize| self.stops.iter().any(|stop| stop.starts_with(&seen[at..]));
        ends.into_iter().find(possible).unwrap_or(seen.len())
    }
}

/// Where the stop string begins that ends first in `text`.
fn first_complete(stops: &[String], text: &str) -> Option<usize> {
    let found = stops
        .iter()
        .filter_map(|stop| text.find(stop.as_str()).map(|at| (at + stop.len(), at)));
    found.min().map(|(_, at)| at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matcher(stops: &[&str]) -> StopMatcher {
        StopMatcher::new(stops.iter().map(|stop| stop.to_string()).collect())
    }

    #[test]
    fn pieces_table() {
        // Stop strings; pieces that arrive; what each lets through; what the end lets through, or None if stopped.
        type Case = (
            &'static [&'static str],
            &'static [&'static str],
            &'static [&'static str],
            Option<&'static str>,
        );
        let cases: &[Case] = &[
            (&[], &["a", "b"], &["a", "b"], Some("")),
            (&["END"], &["one END two"], &["one "], None),
            (&["END"], &["one E", "N", "D two"], &["one ", "", ""], None),
            (
                &["END"],
                &["one E", "N", "T two"],
                &["one ", "", "ENT two"],
                Some(""),
            ),
            (&["END"], &["one EN"], &["one "], Some("EN")),
            // The held end may itself contain the start of another match.
            (&["aab"], &["a", "a", "a", "b"], &["", "", "a", ""], None),
            (&["ababc"], &["abab", "abc"], &["", "ab"], None),
            // Several strings: the one that is complete first wins, wherever it is in the list.
            (&["yy", "x"], &["abxcyy"], &["ab"], None),
            (
                &["long stop", "st"],
                &["a long s", "t"],
                &["a ", "long "],
                None,
            ),
            // One stop string inside another: the inner one is complete first, in pieces and in one.
            (&["abc", "b"], &["abc"], &["a"], None),
            (&["abc", "b"], &["a", "b"], &["", "a"], None),
            // Many bytes to a character, and a character cut off nowhere.
            (&["。終"], &["好。", "終り"], &["好", ""], None),
            (&["。終"], &["好。", "好"], &["好", "。好"], Some("")),
            (
                &["👩‍👩‍👧"],
                &["hi 👩", "\u{200d}", "👩‍👦"],
                &["hi ", "", "👩\u{200d}👩‍👦"],
                Some(""),
            ),
            // Empty pieces, as a decoder gives inside a character.
            (&["\n\n"], &["a\n", "", "\n"], &["a", "", ""], None),
            (&["a"], &["a", "b"], &["", ""], None),
        ];
        for (stops, pieces, expected, end) in cases {
            let mut matcher = matcher(stops);
            let through: Vec<_> = pieces.iter().map(|piece| matcher.push(piece)).collect();
            assert_eq!(through, *expected, "{stops:?} in {pieces:?}");
            assert_eq!(matcher.stopped(), end.is_none(), "{stops:?} in {pieces:?}");
            assert_eq!(
                matcher.finish(),
                end.unwrap_or(""),
                "{stops:?} in {pieces:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn pieces_change_nothing(
            stops in prop::collection::vec("[ab€]{1,4}", 0..4),
            pieces in prop::collection::vec("[ab€c]{0,5}", 0..12),
        ) {
            let whole = pieces.concat();
            let expected = match first_complete(&stops, &whole) {
                Some(at) => &whole[..at],
                None => whole.as_str(),
            };
            let mut matcher = StopMatcher::new(stops.clone());
            let mut through = String::new();
            for piece in &pieces {
                through.push_str(&matcher.push(piece));
                // Nothing that has been let through is taken back, and nothing of a stop string is ever shown.
                prop_assert!(expected.starts_with(&through));
            }
            let stopped = matcher.stopped();
            through.push_str(&matcher.finish());
            prop_assert_eq!(through, expected);
            prop_assert_eq!(stopped, expected.len() < whole.len() || stops.iter().any(|stop| whole.ends_with(stop.as_str())));
        }

        #[test]
        fn only_a_possible_beginning_is_held_back(stop in "[ab]{1,4}", text in "[abc]{0,12}") {
            let mut matcher = matcher(&[&stop]);
            matcher.push(&text);
            let held = matcher.finish();
            prop_assert!(held.len() < stop.len() && stop.starts_with(&held));
        }
    }
}
