//! Why a prompt could not be made.

/// Why a template does not compile or render.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The template is at fault, or refuses the conversation (`raise_exception`).
    #[error("chat template, line {line}: {message}")]
    Template {
        /// The template's line, from 1; 0 where it is not known.
        line: usize,
        /// The cause.
        message: String,
    },
}
