//! Quantized block formats, packed weights and the arithmetic of a transformer, scalar and SIMD.

pub mod activation;
mod activations;
pub mod attention;
mod dequantize;
mod error;
mod format;
pub mod kv;
mod matmul;
mod matrix;
pub mod norm;
mod pool;
pub mod rope;
pub mod softmax;
mod sum;
mod threads;

pub use activations::Activations;
pub use dequantize::dequantize;
pub use error::Error;
pub use format::Format;
pub use matmul::matmul;
pub use matrix::{Matrix, Packer};
pub use pool::{Pool, Serial, for_each_chunk, for_each_item};
pub use threads::{Crew, MAX_THREADS, Threads};
