//! Text to token ids and back, from the metadata of a GGUF file.
//!
//! Two families of tokenizers cover the models that Minnow runs: byte-level BPE (`gpt2`, with its pre-tokenizers) and
//! SentencePiece's BPE (`llama`). [`Tokenizer::from_metadata`] builds either; [`StreamDecoder`] turns generated ids into
//! text as they come.

mod bpe;
mod bytes;
mod error;
mod merge;
mod partition;
mod pretokenizer;
mod roles;
mod sentencepiece;
mod stream;
mod tokenizer;
mod vocabulary;

pub use error::Error;
pub use stream::StreamDecoder;
pub use tokenizer::{DecodeOptions, EncodeOptions, Tokenizer};
