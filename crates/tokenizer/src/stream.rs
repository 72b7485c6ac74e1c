//! Decoding one token at a time without ever showing half a character.

use crate::Tokenizer;

/// Turns token ids into text as they come, and holds a character back until its last byte has arrived.
///
/// What all calls return together is what [`Tokenizer::decode`] returns for all ids.
#[derive(Debug, Clone, Default)]
pub struct StreamDecoder {
    special: bool,
    /// Nothing has been shown yet, so a space that encoding put in front may still have to go.
    at_start: bool,
    /// The first bytes of a character.
    held: Vec<u8>,
}

impl StreamDecoder {
    /// A decoder at the start of a text. `special` shows control tokens by their text.
    pub fn new(special: bool) -> Self {
        Self {
            special,
            at_start: true,
            held: Vec::new(),
        }
    }

    /// A decoder in the middle of a text, for the ids that continue a prompt: a space at their start is part of the
    /// text, whatever the tokenizer puts in front of a whole one.
    pub fn continuing(special: bool) -> Self {
        Self {
            at_start: false,
            ..Self::new(special)
        }
    }

    /// The whole characters that are there once `id` has been added; often none.
    pub fn push(&mut self, tokenizer: &Tokenizer, id: u32) -> String {
        let Some(bytes) = tokenizer.token_bytes(id, self.special) else {
            return String::new();
        };
        let mut bytes = &bytes[..];
        if self.at_start && !bytes.is_empty() {
            self.at_start = false;
            if tokenizer.space_prefix() {
                bytes = bytes.strip_prefix(b" ").unwrap_or(bytes);
            }
        }
        self.held.extend_from_slice(bytes);

        let mut text = String::new();
        let mut whole = 0;
        for chunk in self.held.utf8_chunks() {
            text.push_str(chunk.valid());
            whole += chunk.valid().len();
            let invalid = chunk.invalid();
            if !invalid.is_empty() {
                if whole + invalid.len() == self.held.len() && is_unfinished(invalid) {
                    break;
                }
                text.push(char::REPLACEMENT_CHARACTER);
                whole += invalid.len();
            }
        }
        self.held.drain(..whole);
        text
    }

    /// What was held back, as U+FFFD. The decoder is then at the start of a text.
    pub fn finish(&mut self) -> String {
        let text = String::from_utf8_lossy(&self.held).into_owned();
        *self = Self::new(self.special);
        text
    }
}

/// Whether more bytes could make `bytes` a character.
fn is_unfinished(bytes: &[u8]) -> bool {
    str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}
