//! Helpers for tests: tiny GGUF models, approximate equality.
