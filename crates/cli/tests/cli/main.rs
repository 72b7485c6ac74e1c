//! The program as scripts use it, with tiny models.

mod describing;
mod embedding;
mod files;
mod generating;
mod harness;
mod quantizing;
