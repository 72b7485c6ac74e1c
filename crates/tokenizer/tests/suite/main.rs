//! Tests of the tokenizer through its public interface.

mod fixtures;
mod golden;
mod properties;
mod refusals;
