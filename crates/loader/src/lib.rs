//! Where a model comes from and which bytes are still missing: sans-IO.
