//! Configuration and weights and a paged KV cache to logits.
