//! GPT-2's expression.

use super::class::{Class, class};
use super::{run_length, spaces};

/// Length in bytes of the first match of
///
/// ```text
/// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
/// ```
///
/// at the start of `text`, which is not empty.
pub(super) fn word(text: &str) -> usize {
    const CONTRACTIONS: [&str; 7] = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"];
    if let Some(contraction) = CONTRACTIONS
        .iter()
        .find(|&&contraction| text.starts_with(contraction))
    {
        return contraction.len();
    }
    let body = text.strip_prefix(' ').unwrap_or(text);
    match body.chars().next().map(class) {
        None | Some(Class::Space) => spaces(text),
        Some(kind) => text.len() - body.len() + run_length(body, |c| class(c) == kind),
    }
}
