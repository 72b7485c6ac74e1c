//! Text to token ids and back, from the metadata of a GGUF file.
//!
//! Four kinds of tokenizers cover the models that Minnow runs: byte-level BPE (`gpt2`, with its pre-tokenizers),
//! SentencePiece's BPE (`llama`) and unigram model (`t5`), and BERT's WordPiece (`bert`). [`Tokenizer::from_metadata`]
//! builds any of them; [`StreamDecoder`] turns generated ids into text as they come.

mod accents;
mod bpe;
mod bytes;
mod category;
mod charsmap;
mod error;
mod merge;
mod partition;
mod prefixes;
mod pretokenizer;
mod roles;
mod sentencepiece;
mod spaces;
mod stream;
mod tokenizer;
mod unigram;
mod vocabulary;
mod wordpiece;

pub use error::Error;
pub use stream::StreamDecoder;
pub use tokenizer::{DecodeOptions, EncodeOptions, Tokenizer};
