//! What can go wrong with a request.

/// Why a request was refused or could not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The prompt leaves no room for an answer.
    #[error(
        "the prompt has {prompt_tokens} tokens, but the context holds {context_length}, of which one must be left for \
         the answer: shorten the prompt or load the model with a larger context"
    )]
    ContextOverflow {
        /// Tokens of the prompt.
        prompt_tokens: usize,
        /// Tokens that one sequence may have.
        context_length: usize,
    },
    /// The request contradicts itself or the model.
    #[error("{0}")]
    InvalidRequest(String),
    /// The engine's own options contradict themselves or the model.
    #[error("{0}")]
    InvalidOptions(String),
    /// A conversation was given, but the model has no chat template.
    #[error("the model carries no chat template: give a prompt, or a template when loading")]
    NoTemplate,
    /// The chat template failed.
    #[error(transparent)]
    Template(#[from] chat::Error),
    /// Sampling failed.
    #[error(transparent)]
    Sampling(#[from] sampler::Error),
    /// The model failed.
    #[error(transparent)]
    Model(#[from] model::Error),
    /// The model failed on a batch that this request was part of.
    #[error("the step that this request was part of failed: {0}")]
    Batch(String),
}
