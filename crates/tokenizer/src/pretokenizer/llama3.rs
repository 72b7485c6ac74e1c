//! GPT-4's expression, as Llama 3 and Qwen 2 have it.

use super::class::{Class, class};
use super::{run_length, spaces};

/// Length in bytes of the first match of
///
/// ```text
/// (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,digits}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
/// ```
///
/// at the start of `text`, which is not empty.
pub(super) fn word(text: &str, digits: usize) -> usize {
    if let Some(length) = contraction(text) {
        return length;
    }
    let mut chars = text.chars();
    let Some(first) = chars.next() else { return 0 };
    let after_first = chars.as_str();
    let is_letter = |c| class(c) == Class::Letter;

    let kind = class(first);
    match kind {
        Class::Letter => return run_length(text, is_letter),
        Class::Number => {
            let numbers = text
                .char_indices()
                .take(digits)
                .take_while(|&(_, c)| class(c) == Class::Number);
            return numbers.map(|(at, c)| at + c.len_utf8()).last().unwrap_or(0);
        }
        Class::Space | Class::Other => {}
    }
    if !is_line_end(first) {
        let letters = run_length(after_first, is_letter);
        if letters > 0 {
            return first.len_utf8() + letters;
        }
    }

    let body = text.strip_prefix(' ').unwrap_or(text);
    let others = run_length(body, |c| class(c) == Class::Other);
    if others > 0 {
        let line_ends = run_length(&body[others..], is_line_end);
        return text.len() - body.len() + others + line_ends;
    }

    let run = run_length(text, char::is_whitespace);
    match text[..run].rfind(is_line_end) {
        Some(last_line_end) => last_line_end + 1,
        None => spaces(text),
    }
}

/// Length of an English contraction's end at the start of `text`, in any case. The long s folds to s.
fn contraction(text: &str) -> Option<usize> {
    let mut chars = text.strip_prefix('\'')?.chars().map(|c| match c {
        'ſ' => ('s', c.len_utf8()),
        _ => (c.to_ascii_lowercase(), c.len_utf8()),
    });
    let (first, first_length) = chars.next()?;
    let length = match first {
        's' | 't' | 'm' | 'd' => first_length,
        'r' | 'v' if chars.next()?.0 == 'e' => 2,
        'l' if chars.next()?.0 == 'l' => 2,
        _ => return None,
    };
    Some(1 + length)
}

fn is_line_end(c: char) -> bool {
    matches!(c, '\r' | '\n')
}
