//! How SentencePiece's vocabularies write spaces, which WordPiece's in GGUF have taken over.

use std::borrow::Cow;

/// A space, in the spelling of a vocabulary.
pub(crate) const MARK: &str = "\u{2581}";

/// The bytes that the token spelled `token` stands for.
pub(crate) fn decode(token: &[u8]) -> Cow<'_, [u8]> {
    match str::from_utf8(token) {
        Ok(text) if text.contains(MARK) => Cow::Owned(text.replace(MARK, " ").into_bytes()),
        _ => Cow::Borrowed(token),
    }
}
