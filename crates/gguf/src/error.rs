//! Everything that can be wrong with a GGUF file.

use crate::ValueType;

/// Why a file, a key or a set of files was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The first bytes are not those of a GGUF file.
    #[error(
        "not a GGUF file: it starts with \"{}\" instead of \"GGUF\"; check that the address leads to the file itself and not to a web page",
        .first.escape_ascii()
    )]
    NotGguf {
        /// The first four bytes found.
        first: [u8; 4],
    },
    /// The file was written for big-endian machines.
    #[error(
        "this is a big-endian GGUF file (version {version}); use the little-endian build of the model"
    )]
    BigEndian {
        /// Version after swapping its bytes.
        version: u32,
    },
    /// Version 1, or a version newer than this reader.
    #[error(
        "GGUF version {version} is not supported (versions 2 and 3 are); convert the model again with a current converter"
    )]
    UnsupportedVersion {
        /// The version the file states.
        version: u32,
    },
    /// The file ended inside its header.
    #[error(
        "the file ends inside its GGUF header, after {bytes} bytes; the download or the file is incomplete"
    )]
    Truncated {
        /// Bytes read before the end.
        bytes: u64,
    },
    /// A count or length beyond [`crate::Limits`].
    #[error(
        "{what} is {value}, more than the limit of {limit}; the file is damaged or not meant for this reader"
    )]
    TooLarge {
        /// What was counted, and where.
        what: String,
        /// The number in the file.
        value: u64,
        /// The largest number accepted.
        limit: u64,
    },
    /// A number that does not name a metadata value type.
    #[error(
        "metadata key \"{key}\" has the unknown value type {id}; the file is damaged or newer than this reader"
    )]
    UnknownValueType {
        /// The key whose value it is.
        key: String,
        /// The number in the file.
        id: u32,
    },
    /// A number that does not name a tensor type.
    #[error("tensor \"{tensor}\" has the unknown type {id}; use another quantization of the model")]
    UnknownTensorType {
        /// The tensor.
        tensor: String,
        /// The number in the file.
        id: u32,
    },
    /// A key, tensor name or string value is not UTF-8.
    #[error("{what} is not valid UTF-8; the file is damaged")]
    InvalidUtf8 {
        /// Which text, and where.
        what: String,
    },
    /// A boolean byte that is neither 0 nor 1.
    #[error(
        "metadata key \"{key}\" holds a boolean with value {byte}, which is neither 0 nor 1; the file is damaged"
    )]
    InvalidBool {
        /// The key whose value it is.
        key: String,
        /// The byte found.
        byte: u8,
    },
    /// A metadata key without characters.
    #[error("metadata entry {index} has an empty key; the file is damaged")]
    EmptyKey {
        /// Position in the file, from 0.
        index: u64,
    },
    /// The same metadata key twice.
    #[error("metadata key \"{key}\" appears twice; the file is damaged")]
    DuplicateKey {
        /// The key.
        key: String,
    },
    /// The same tensor twice, in one file or in a split set.
    #[error("tensor \"{tensor}\" appears twice; the file is damaged")]
    DuplicateTensor {
        /// The tensor.
        tensor: String,
    },
    /// A metadata value of another type than its reader asked for, or out of the range asked for.
    #[error(
        "metadata key \"{key}\" is {found}, where {expected} is needed; the file was made by a faulty converter"
    )]
    WrongType {
        /// The key.
        key: String,
        /// What the caller asked for.
        expected: &'static str,
        /// What the file holds.
        found: String,
    },
    /// `general.alignment` is not a power of two from 8 to the limit.
    #[error(
        "alignment {alignment} is not a power of two between 8 and {limit}; the file is damaged"
    )]
    BadAlignment {
        /// The value of `general.alignment`.
        alignment: u64,
        /// The largest alignment accepted.
        limit: u64,
    },
    /// A tensor whose dimensions make no sense for its type.
    #[error("tensor \"{tensor}\" has a bad shape {shape:?}: {reason}")]
    BadShape {
        /// The tensor.
        tensor: String,
        /// Its dimensions, innermost first.
        shape: Vec<u64>,
        /// What is wrong with them.
        reason: String,
    },
    /// A tensor that does not start at a multiple of the alignment.
    #[error(
        "tensor \"{tensor}\" starts at offset {offset}, which is not a multiple of the alignment {alignment}; the file is damaged"
    )]
    MisalignedTensor {
        /// The tensor.
        tensor: String,
        /// Offset from the start of the tensor data.
        offset: u64,
        /// The file's alignment.
        alignment: u64,
    },
    /// A tensor that starts before the one listed before it ends.
    #[error(
        "tensor \"{tensor}\" starts at offset {offset}, before the previous tensor ends at {previous_end}; the file is damaged"
    )]
    OverlappingTensor {
        /// The tensor.
        tensor: String,
        /// Offset from the start of the tensor data.
        offset: u64,
        /// First offset that is free.
        previous_end: u64,
    },
    /// Split metadata that contradicts itself or the other files of its set.
    #[error("split set: {reason}")]
    BadSplit {
        /// What does not fit, with numbers.
        reason: String,
    },
    /// Arrays inside arrays, deeper than [`crate::Limits::array_depth`].
    #[error(
        "metadata key \"{key}\" holds arrays nested deeper than {limit}; the file is damaged or not meant for this reader"
    )]
    ArrayTooDeep {
        /// The key.
        key: String,
        /// The deepest nesting accepted.
        limit: usize,
    },
    /// The writer was given bytes that do not fill the tensor.
    #[error(
        "tensor \"{tensor}\" takes {expected} bytes in this shape and type, but {actual} were given"
    )]
    WrongTensorSize {
        /// The tensor.
        tensor: String,
        /// Bytes that its shape and type take.
        expected: u64,
        /// Bytes given.
        actual: u64,
    },
}

impl Error {
    pub(crate) fn wrong_type(key: &str, expected: &'static str, found: impl ToString) -> Self {
        Self::WrongType {
            key: key.to_owned(),
            expected,
            found: found.to_string(),
        }
    }

    pub(crate) fn unknown_value_type(key: &str, id: u32) -> Self {
        debug_assert!(ValueType::from_id(id).is_none());
        Self::UnknownValueType {
            key: key.to_owned(),
            id,
        }
    }
}
