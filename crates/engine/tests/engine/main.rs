//! The engine with a tiny model: every way through it, and what it promises about each.

mod batching;
mod cancelling;
mod early;
mod embedding;
mod errors;
mod harness;
mod prefixes;
mod pressure;
mod stopping;
mod windows;
