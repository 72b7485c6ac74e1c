//! Making a smaller model of a larger one: which type each tensor gets, and how it gets there.
//!
//! The rules are those of llama.cpp's `llama-quantize` without an importance matrix (`src/llama-quant.cpp`), so that the
//! files are the same.

mod category;
mod facts;
mod file_type;
mod mixture;
mod tensor;

pub(crate) use facts::Facts;
pub(crate) use file_type::FileType;
pub(crate) use mixture::{Choice, Overrides, choose, file_order};
pub(crate) use tensor::{Rows, convert, encode, tensor_type};
