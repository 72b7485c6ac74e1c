//! What can be wrong with sampling parameters or with logits.

/// Why a token could not be drawn.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A parameter lies outside its range.
    #[error("{name} is {value}, but must be {allowed}")]
    OutOfRange {
        /// The parameter's name, as in [`crate::Params`].
        name: &'static str,
        /// The value that was given.
        value: f64,
        /// The values that are allowed, in words.
        allowed: &'static str,
    },
    /// A logit bias has a value that no logit can be shifted by.
    #[error(
        "logit_bias of token {token} is {value}, but must be a finite number, or -inf to forbid the token"
    )]
    Bias {
        /// The token whose bias it is.
        token: u32,
        /// The value that was given.
        value: f32,
    },
    /// A token id that the vocabulary does not have.
    #[error("token {token} is not in the vocabulary, which has {vocabulary} tokens (0 to {last})", last = vocabulary.saturating_sub(1))]
    UnknownToken {
        /// The id that was given.
        token: u32,
        /// Number of logits, which is the number of tokens.
        vocabulary: usize,
    },
    /// The model produced a logit that is NaN or +infinity: its weights or its input are damaged.
    #[error(
        "the logit of token {token} is {value}: the model's weights are damaged or its numbers overflowed"
    )]
    NotFinite {
        /// The first token with such a logit.
        token: u32,
        /// NaN or +infinity.
        value: f32,
    },
    /// Every token is forbidden.
    #[error("no token is left to choose from: all {vocabulary} logits are -inf")]
    NoCandidates {
        /// Number of logits.
        vocabulary: usize,
    },
}
