//! GGUF files: an incremental header reader, typed metadata, tensor directory, split sets, and a writer.
//!
//! A GGUF file is a header (counts, key–value metadata, tensor directory) followed by the tensors' bytes.
//! [`HeaderReader`] takes the file in pieces of any size and yields a [`Header`] as soon as the last byte of the
//! directory has arrived, so that a model can be refused, or its download planned, before a weight is fetched.
//!
//! The bytes come from strangers. Every count, length and offset is checked against [`Limits`] before it is used,
//! memory grows only with bytes that really arrived, and nothing here panics on input.
//!
//! Format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>, versions 2 and 3, little-endian.

mod array;
mod error;
mod header;
mod limits;
mod metadata;
mod reader;
pub mod split;
mod tensor;
mod value;
mod writer;

pub use array::{Array, StringArray};
pub use error::Error;
pub use header::Header;
pub use limits::Limits;
pub use metadata::Metadata;
pub use reader::HeaderReader;
pub use split::Split;
pub use tensor::{TensorInfo, TensorType};
pub use value::{Value, ValueType};
pub use writer::{HeaderWriter, Writer};

/// First four bytes of every GGUF file.
pub const MAGIC: [u8; 4] = *b"GGUF";

/// Alignment of tensor data in bytes when `general.alignment` is absent.
pub const DEFAULT_ALIGNMENT: u64 = 32;

/// Metadata key that overrides [`DEFAULT_ALIGNMENT`].
pub const ALIGNMENT_KEY: &str = "general.alignment";
