//! Packed weights and products with them, against naive code that works on the file's blocks.

mod data;
mod matmul;
mod packing;
#[cfg(not(target_arch = "wasm32"))]
mod properties;
mod reference;
