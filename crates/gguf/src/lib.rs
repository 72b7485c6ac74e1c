//! GGUF files: an incremental header reader, typed metadata, tensor directory, split sets, and a writer.
