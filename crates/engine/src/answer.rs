//! From chosen tokens to text that may be shown.

use tokenizer::{StreamDecoder, Tokenizer};

use crate::{FinishReason, stop::StopMatcher};

/// The text of one answer: whole characters only, nothing of a stop string.
#[derive(Debug)]
pub(crate) struct Answer {
    decoder: StreamDecoder,
    stop: StopMatcher,
}

impl Answer {
    /// An empty answer. `special` shows the text of control tokens.
    pub(crate) fn new(stop: Vec<String>, special: bool) -> Self {
        Self {
            decoder: StreamDecoder::continuing(special),
            stop: StopMatcher::new(stop),
        }
    }

    /// The text that became certain with `token`.
    pub(crate) fn push(&mut self, tokenizer: &Tokenizer, token: u32) -> String {
        let text = self.decoder.push(tokenizer, token);
        self.stop.push(&text)
    }

    /// Whether a stop string has appeared.
    pub(crate) fn stopped(&self) -> bool {
        self.stop.stopped()
    }

    /// The text that was held back. A character whose last bytes never came is shown as U+FFFD if the model ended
    /// there, and left out if it was cut off.
    pub(crate) fn finish(&mut self, reason: FinishReason) -> String {
        let broken = self.decoder.finish();
        let mut text = match reason {
            FinishReason::Stop => self.stop.push(&broken),
            FinishReason::Length | FinishReason::Abort => String::new(),
        };
        text.push_str(&self.stop.finish());
        text
    }
}
