//! What can be wrong with a file's tokenizer.

/// Why no tokenizer could be built from a file's metadata.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A metadata value has the wrong type.
    #[error(transparent)]
    Metadata(#[from] gguf::Error),

    /// A key that every tokenizer of this kind needs is absent.
    #[error("the file has no `{key}`, without which its tokenizer cannot be built")]
    MissingKey {
        /// The absent key.
        key: &'static str,
    },

    /// The tokenizer's algorithm is not one of ours.
    #[error(
        "`tokenizer.ggml.model` is `{value}`; supported are `gpt2` (byte-level BPE), `llama` (SentencePiece BPE), `t5` (unigram) and `bert` (WordPiece)"
    )]
    UnknownModel {
        /// The file's value.
        value: String,
    },

    /// The rule that cuts text into words is not one of ours. Guessing another would give wrong ids without notice.
    #[error(
        "`tokenizer.ggml.pre` is `{value}`, a pre-tokenizer that is not supported; words would be cut in the wrong places"
    )]
    UnknownPreTokenizer {
        /// The file's value.
        value: String,
    },

    /// An array that goes with the vocabulary is shorter than it.
    #[error("`{key}` has {found} elements for {expected} tokens")]
    TooShort {
        /// The array's key.
        key: &'static str,
        /// Tokens in the vocabulary.
        expected: usize,
        /// Elements in the array.
        found: usize,
    },

    /// An array holds elements of an unusable type.
    #[error("`{key}` holds {found}; expected {expected}")]
    WrongElement {
        /// The array's key.
        key: &'static str,
        /// What the elements should be.
        expected: &'static str,
        /// What they are.
        found: &'static str,
    },

    /// A merge is not two tokens with a space between them.
    #[error(
        "merge {rank} in `tokenizer.ggml.merges` is `{text}`; expected two tokens with a space between them"
    )]
    MalformedMerge {
        /// The merge's position.
        rank: usize,
        /// The merge, with U+FFFD for bytes that are not UTF-8.
        text: String,
    },

    /// The rules of normalization are cut short.
    #[error(
        "`tokenizer.ggml.precompiled_charsmap` of {length} bytes is incomplete; expected a length, an array of that many bytes, and texts that each end with a zero byte"
    )]
    MalformedCharsMap {
        /// Bytes in the file's value.
        length: usize,
    },

    /// A token of type byte does not name a byte.
    #[error("token {id} is `{text}` and of type byte; expected `<0x00>` to `<0xFF>`")]
    MalformedByteToken {
        /// The token's id.
        id: u32,
        /// The token, with U+FFFD for bytes that are not UTF-8.
        text: String,
    },

    /// A token that every text needs, or may need, is absent.
    #[error(
        "the model's texts need the token of `{key}`, but the file gives no id within its vocabulary"
    )]
    MissingSpecialToken {
        /// The key that should hold the id.
        key: &'static str,
    },
}
