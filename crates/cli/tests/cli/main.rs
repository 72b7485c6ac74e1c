//! The program as scripts use it, with tiny models.

mod converting;
mod describing;
mod embedding;
mod files;
mod generating;
mod harness;
mod quantizing;
