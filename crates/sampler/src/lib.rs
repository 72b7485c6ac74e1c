//! Logits to a token id: penalties, filters, a seeded draw.
//!
//! The chain, its names, its order and its defaults are llama.cpp's:
//!
//! ```text
//! logit bias → penalties → top_k → typical_p → top_p → min_p → temperature → draw
//! ```
//!
//! A [`Sampler`] belongs to one sequence: it remembers that sequence's latest tokens for the penalties and the
//! state of its random generator. The same parameters, seed and logits always give the same tokens, natively and
//! in a browser: the only transcendental functions used are `libm`'s, never the platform's.
//!
//! [`Logprobs`] reports probabilities of the model itself, before any penalty or filter, as OpenAI's `logprobs` does.

mod candidates;
mod error;
mod filters;
mod logprobs;
mod params;
mod penalties;
#[cfg(test)]
mod reference;
mod sampler;

pub use error::Error;
pub use logprobs::{Logprob, Logprobs, logprobs};
pub use params::Params;
pub use sampler::Sampler;
