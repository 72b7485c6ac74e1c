//! Cutting numbers into groups of three digits from the right, as thousands are written.
//!
//! The published expressions look ahead to the number's end from every group, which is quadratic in its length; this is
//! the same cut in one pass.

use super::set::{Set, is_word};

/// Digits in a group.
const GROUP: usize = 3;

/// Calls `each` with groups of at most three `digits` and with what lies between the numbers. A number that a word goes
/// on behind is left as it is if `whole_words`.
pub(super) fn split<'t>(
    text: &'t str,
    digits: &Set,
    whole_words: bool,
    each: &mut dyn FnMut(&'t str),
) {
    let mut rest = text;
    let mut gap = 0;
    while let Some(start) = rest[gap..].find(|c| digits.contains(c)) {
        let start = gap + start;
        let length = rest[start..].find(|c| !digits.contains(c));
        let end = length.map_or(rest.len(), |length| start + length);
        if whole_words && rest[end..].chars().next().is_some_and(is_word) {
            gap = end;
            continue;
        }
        if start > 0 {
            each(&rest[..start]);
        }
        let number = &rest[start..end];
        let mut before_group = number.chars().count();
        let mut group = 0;
        for (at, _) in number.char_indices() {
            if at > group && before_group.is_multiple_of(GROUP) {
                each(&number[group..at]);
                group = at;
            }
            before_group -= 1;
        }
        each(&number[group..]);
        (rest, gap) = (&rest[end..], 0);
    }
    if !rest.is_empty() {
        each(rest);
    }
}
