use gguf::TensorType;

/// What can go wrong between a header and logits.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file's metadata could not be read as needed.
    #[error(transparent)]
    Gguf(#[from] gguf::Error),
    /// The arithmetic refused a format or a shape.
    #[error(transparent)]
    Kernels(kernels::Error),
    /// There is no header at all.
    #[error("no GGUF header was given; a model needs at least one file")]
    NoHeader,
    /// The architecture is not one of those implemented.
    #[error(
        "unknown architecture {name:?}; supported are {supported}: choose a model of one of these families"
    )]
    UnknownArchitecture {
        /// What `general.architecture` says.
        name: String,
        /// The names of the implemented ones.
        supported: String,
    },
    /// A metadata key that has no default is absent.
    #[error(
        "the GGUF header has no {key:?}, which this architecture needs; convert the model again with a current converter"
    )]
    MissingKey {
        /// The key.
        key: String,
    },
    /// A metadata value that the format allows but that is not implemented, or makes no sense.
    #[error("{key:?} is {value}, but {expected}")]
    UnsupportedValue {
        /// The key.
        key: String,
        /// Its value, as text.
        value: String,
        /// What is supported instead, as the rest of a sentence.
        expected: String,
    },
    /// A tensor the architecture needs is not in any of the files.
    #[error(
        "tensor {tensor:?} is missing; the file may be incomplete, or one part of a split set may not have been given"
    )]
    MissingTensor {
        /// Its name.
        tensor: String,
    },
    /// A tensor is there that the architecture has no use for: what would be computed is not what the model is.
    #[error(
        "tensor {tensor:?} is not part of a {architecture} model as implemented here; the model is of a variant that is not supported"
    )]
    UnexpectedTensor {
        /// Its name.
        tensor: String,
        /// The architecture.
        architecture: &'static str,
    },
    /// Two files of a split set define the same tensor.
    #[error("tensor {tensor:?} is in more than one file; give each part of the split set once")]
    DuplicateTensor {
        /// Its name.
        tensor: String,
    },
    /// A tensor has another shape than the metadata ask for.
    #[error(
        "tensor {tensor:?} has shape {found:?}, but the metadata ask for {expected:?} (columns first)"
    )]
    Shape {
        /// Its name.
        tensor: String,
        /// Its shape, in ggml's order.
        found: Vec<u64>,
        /// The shape needed.
        expected: Vec<u64>,
    },
    /// A tensor is stored in a format without kernels.
    #[error("tensor {tensor:?} is stored as {}, which is not supported; choose a file in one of: {supported}", kind.name())]
    UnsupportedTensorType {
        /// Its name.
        tensor: String,
        /// How it is stored.
        kind: TensorType,
        /// The formats that have kernels.
        supported: String,
    },
    /// A tensor was written to that is not part of the model.
    #[error("the model has no tensor {tensor:?}")]
    UnknownTensor {
        /// The name given.
        tensor: String,
    },
    /// More bytes were written to a tensor than it has.
    #[error("tensor {tensor:?} has {size} bytes, but {surplus} more were written to it")]
    TooManyBytes {
        /// Its name.
        tensor: String,
        /// Its size in bytes.
        size: u64,
        /// How many bytes too many.
        surplus: usize,
    },
    /// The builder was asked to finish before all bytes had come.
    #[error("{count} tensors are not complete, {first:?} among them; write all their bytes first")]
    Incomplete {
        /// How many.
        count: usize,
        /// One of them.
        first: String,
    },
    /// The key–value cache has no room for what was asked.
    #[error(
        "the key–value cache is full: {needed} more pages of {page} tokens are needed, {free} of {capacity} are free; \
         release or truncate sequences, or create the context with a larger capacity"
    )]
    CacheFull {
        /// Pages needed.
        needed: usize,
        /// Pages that are free.
        free: usize,
        /// Pages in all.
        capacity: usize,
        /// Tokens of a page.
        page: usize,
    },
    /// Memory could not be allocated.
    #[error(
        "{bytes} bytes could not be allocated for {purpose}; close other programs, or choose a smaller model or context"
    )]
    OutOfMemory {
        /// How many bytes were asked for.
        bytes: usize,
        /// What they were for.
        purpose: &'static str,
    },
    /// A token id is not in the vocabulary.
    #[error("token {token} is not in the vocabulary of {vocab_size} tokens")]
    TokenOutOfRange {
        /// The id.
        token: u32,
        /// How many there are.
        vocab_size: usize,
    },
    /// A sequence id is not, or no longer, in use.
    #[error("sequence {index} does not exist (it may have been released)")]
    UnknownSequence {
        /// Its number.
        index: u32,
    },
    /// A batch names a sequence twice.
    #[error("sequence {index} is in the batch more than once; give all its tokens in one input")]
    RepeatedSequence {
        /// Its number.
        index: u32,
    },
    /// A batch, or an input in it, has no tokens.
    #[error("an input without tokens was given to forward; leave the sequence out of the batch")]
    EmptyInput,
    /// A sequence is to be cut back to where the next token would see tokens that have left the sliding window.
    #[error(
        "sequence {index} can't be cut back to {asked} tokens: keys and values that the next token would see have left the \
         sliding window; keep {least} at least, or none"
    )]
    LeftWindow {
        /// The sequence's number.
        index: u32,
        /// The length asked for.
        asked: usize,
        /// The shortest length possible, besides 0.
        least: usize,
    },
    /// Logits were asked of a model that only makes embeddings.
    #[error("this model makes embeddings and does not generate text; ask it for an embedding")]
    NoLogits,
    /// A text is longer than the model has embeddings of positions.
    #[error(
        "the text has {tokens} tokens, but the model knows only {positions} positions; split the text"
    )]
    BeyondPositions {
        /// Tokens of the text.
        tokens: usize,
        /// Positions the model knows.
        positions: usize,
    },
    /// Scores were asked of a model that has no head for them.
    #[error(
        "this model has no ranking head (\"cls.output.weight\"), so it can't score texts; choose a reranker, or another pooling"
    )]
    NoRankingHead,
    /// A length asked for lies beyond the end of a sequence.
    #[error("sequence {index} has {len} tokens; a prefix of {asked} can't be taken")]
    BeyondEnd {
        /// The sequence's number.
        index: u32,
        /// Its length.
        len: usize,
        /// The length asked for.
        asked: usize,
    },
}

impl From<kernels::Error> for Error {
    fn from(error: kernels::Error) -> Self {
        match error {
            kernels::Error::OutOfMemory { bytes } => Self::OutOfMemory {
                bytes,
                purpose: "weights or the key–value cache",
            },
            other => Self::Kernels(other),
        }
    }
}
