//! Packed weights and products with them, against naive code that works on the file's blocks.

mod matmul;
mod packing;
mod reference;
