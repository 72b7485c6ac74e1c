//! Helpers for tests: tiny GGUF models, approximate equality, tables of cases, a repeatable random sequence.
//!
//! A dev-dependency only. Being for tests, it panics where other crates return errors.

mod blocks;
mod compare;
mod model;
mod rng;
mod table;
mod vocabulary;

pub use blocks::{COMPUTABLE, random_tensor};
pub use compare::{argmax, assert_close, max_abs_diff, normalized_rms_error};
pub use model::{Architecture, TinyModel};
pub use rng::Rng;
pub use table::check_table;
pub use vocabulary::{BEGIN, END_OF_TEXT, END_OF_TURN, START_OF_TURN, Vocabulary, vocabulary};
