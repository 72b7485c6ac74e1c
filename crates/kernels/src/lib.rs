//! Quantized block formats, packed weights and the arithmetic of a transformer, scalar and SIMD.

pub mod activation;
mod activations;
pub mod attention;
mod bands;
mod decode;
mod dequantize;
mod dot;
mod error;
mod finite;
mod format;
mod isa;
pub mod kv;
mod layout;
mod line;
mod matmul;
mod matrix;
pub mod norm;
mod packer;
pub mod peak;
mod pool;
mod prefill;
mod prepared;
mod products;
pub mod quantize;
pub mod rope;
mod shared;
pub mod softmax;
mod sum;
#[cfg(test)]
mod testing;
mod threads;
mod tuning;

pub use activations::Activations;
pub use dequantize::dequantize;
pub use error::Error;
pub use format::Format;
pub use isa::Isa;
pub use matmul::{matmul, matmul_rows, matmul_with};
pub use matrix::Matrix;
pub use packer::Packer;
pub use pool::{Pool, Serial, for_each_chunk, for_each_item, for_rows};
pub use products::{Product, Then, matmul_each, matmul_pair};
pub use threads::{Crew, MAX_THREADS, Threads};
pub use tuning::Tuning;
