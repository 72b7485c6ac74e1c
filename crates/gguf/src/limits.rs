//! How much a header may claim before it is refused.

/// Upper bounds on what a header may claim. A claim beyond its bound is refused before anything is allocated for it.
///
/// The defaults leave at least a factor of eight above the largest models published so far
/// (about 262 000 vocabulary strings, 5 000 tensors, 30 MB of header).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes from the start of the file to the start of the tensor data.
    pub header_bytes: u64,
    /// Bytes from the start of the file to the end of the last tensor.
    pub file_bytes: u64,
    /// Metadata entries.
    pub metadata_entries: u64,
    /// Tensors in the directory.
    pub tensors: u64,
    /// Bytes of a metadata key. The format allows 65 535.
    pub key_bytes: u64,
    /// Bytes of one metadata string; chat templates are the longest in practice.
    pub string_bytes: u64,
    /// Elements of one metadata array.
    pub array_elements: u64,
    /// Arrays inside arrays: 1 forbids nesting.
    pub array_depth: usize,
    /// Bytes of a tensor name. The format allows 64.
    pub tensor_name_bytes: u64,
    /// Alignment of tensor data in bytes.
    pub alignment: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_bytes: 256 << 20,
            file_bytes: 1 << 44,
            metadata_entries: 1 << 16,
            tensors: 1 << 17,
            key_bytes: (1 << 16) - 1,
            string_bytes: 16 << 20,
            array_elements: 1 << 24,
            array_depth: 4,
            tensor_name_bytes: 64,
            alignment: 1 << 20,
        }
    }
}
