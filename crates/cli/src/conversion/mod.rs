//! Hugging Face folders to GGUF: what llama.cpp's `convert_hf_to_gguf.py` writes, for the families Minnow runs.
//!
//! A folder has a `config.json`, weights in one or more safetensors files, and a tokenizer. Names and meanings of metadata
//! keys and tensors are llama.cpp's (`conversion/*.py` and `gguf-py`).

mod config;
mod encoder;
mod family;
mod folder;
mod hyperparameters;
mod names;
mod pooling;
mod reranker;
mod rope;
mod tensors;
mod ternary;
mod vocabulary;

pub(crate) use config::Config;
pub(crate) use family::Family;
pub(crate) use folder::Folder;
pub(crate) use hyperparameters::hyperparameters;
pub(crate) use reranker::Reranker;
pub(crate) use tensors::{Tensor, tensors};
pub(crate) use vocabulary::vocabulary;

/// Metadata in the order in which it is written.
pub(crate) type Entries = Vec<(String, gguf::Value)>;
