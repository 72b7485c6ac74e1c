//! What can go wrong between a model's name and its bytes.

/// The class of an [`Error`], stable enough to switch on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The source, or an option given with it, is wrong.
    InvalidRequest,
    /// The server could not be reached, or did not answer with the file.
    DownloadFailed,
    /// What arrived is not GGUF.
    NotAGguf,
    /// The file is GGUF but contradicts itself or ends early.
    MalformedModel,
    /// Nothing of what was found is in a format that can be computed.
    UnsupportedQuantization,
    /// Bytes differ from what their hash promises.
    IntegrityMismatch,
}

/// Everything that can go wrong in this crate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text names no model.
    #[error(
        "{text:?} names no model: {reason}. Give https://host/model.gguf, hf:owner/repo:QUANT, hf:owner/repo/file.gguf, or files"
    )]
    InvalidSource {
        /// What was given, cut to a readable length.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The weights would come from somewhere the application does not allow.
    #[error(
        "{origin} is not among the allowed origins; add it to allowedOrigins to load models from there"
    )]
    OriginNotAllowed {
        /// Scheme, host and port.
        origin: String,
    },
    /// A list of names that is neither a split set nor the parts of one file.
    #[error("the {count} files given are not one model: {reason}")]
    NotOneModel {
        /// How many were given.
        count: usize,
        /// What is missing or in the way.
        reason: String,
    },
    /// The hub's answer could not be understood.
    #[error(
        "{endpoint} answered the request for the files of {repository} with something else: {reason}"
    )]
    HubAnswer {
        /// Base address of the hub.
        endpoint: String,
        /// `owner/name`.
        repository: String,
        /// What was wrong with the answer.
        reason: String,
    },
    /// The repository has no such file.
    #[error("{repository} has no {wanted}; it has: {available}")]
    HubFileMissing {
        /// `owner/name`.
        repository: String,
        /// The file or quantization asked for.
        wanted: String,
        /// What could be asked for instead.
        available: String,
    },
    /// The repository has models, but in no format that can be computed.
    #[error("{repository} has no file in a supported quantization. {skipped}")]
    HubNothingSupported {
        /// `owner/name`.
        repository: String,
        /// Every quantization found, with the reason it was passed over.
        skipped: String,
    },
    /// The server answered with a status that trying again will not change.
    #[error("{url} answered {status}{hint}")]
    Status {
        /// The address asked.
        url: String,
        /// HTTP status code.
        status: u16,
        /// What to do about it; starts with a separator, or is empty.
        hint: &'static str,
    },
    /// The answer cannot be used, and trying again will not change that.
    #[error("{url} gave an answer that cannot be used: {reason}")]
    BadResponse {
        /// The address asked.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Every attempt failed.
    #[error(
        "{url} failed {attempts} times in a row, the last time because {reason}; what is stored of it stays, and loading again goes on from there"
    )]
    GaveUp {
        /// The address asked.
        url: String,
        /// Attempts without a chunk gained between them.
        attempts: u32,
        /// The last failure.
        reason: String,
    },
    /// The file changed on the server more often than a download could follow.
    #[error(
        "{url} kept changing while it was downloaded ({restarts} restarts); nothing of it is kept"
    )]
    KeptChanging {
        /// The address asked.
        url: String,
        /// How often the download began again.
        restarts: u32,
    },
    /// What arrived is not GGUF.
    #[error("{file} is not a GGUF file: it begins with {head:?}{hint}")]
    NotAGguf {
        /// Name of the file.
        file: String,
        /// The first bytes, as text where they are text.
        head: String,
        /// What it looks like instead; starts with a separator, or is empty.
        hint: &'static str,
    },
    /// The file is GGUF but its header is wrong.
    #[error("{file}: {source}")]
    Header {
        /// Name of the file.
        file: String,
        /// What the header reader said.
        source: gguf::Error,
    },
    /// The file ends before its header does.
    #[error("{file} is cut short: it ends within its header")]
    HeaderTruncated {
        /// Name of the file.
        file: String,
    },
    /// The file ends before its last tensor does.
    #[error("{file} is cut short: its header describes {expected} bytes, and it has {actual}")]
    Truncated {
        /// Name of the file.
        file: String,
        /// End of the last tensor in bytes.
        expected: u64,
        /// Size of the file in bytes.
        actual: u64,
    },
    /// Shards that do not belong together.
    #[error("the files are not one split set: {reason}")]
    SplitSet {
        /// Which shard says what.
        reason: String,
    },
    /// The whole file differs from what its publisher says it is.
    #[error(
        "{file} has SHA-256 {actual} but should have {expected}; nothing of it is kept. Load again, or ask its publisher"
    )]
    Integrity {
        /// Name of the file.
        file: String,
        /// Hexadecimal digest promised.
        expected: String,
        /// Hexadecimal digest of what arrived.
        actual: String,
    },
}

impl Error {
    /// The class of this error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::InvalidSource { .. }
            | Self::OriginNotAllowed { .. }
            | Self::NotOneModel { .. }
            | Self::HubFileMissing { .. } => ErrorKind::InvalidRequest,
            Self::HubAnswer { .. }
            | Self::Status { .. }
            | Self::BadResponse { .. }
            | Self::GaveUp { .. }
            | Self::KeptChanging { .. } => ErrorKind::DownloadFailed,
            Self::HubNothingSupported { .. } => ErrorKind::UnsupportedQuantization,
            Self::NotAGguf { .. } => ErrorKind::NotAGguf,
            Self::Header {
                source: gguf::Error::UnknownTensorType { .. },
                ..
            } => ErrorKind::UnsupportedQuantization,
            Self::Header { .. }
            | Self::HeaderTruncated { .. }
            | Self::Truncated { .. }
            | Self::SplitSet { .. } => ErrorKind::MalformedModel,
            Self::Integrity { .. } => ErrorKind::IntegrityMismatch,
        }
    }

    /// Whether a failed load leaves what has arrived in the store, to go on from next time.
    ///
    /// True where the bytes themselves were never in doubt.
    pub fn keeps_progress(&self) -> bool {
        matches!(
            self,
            Self::Status { .. }
                | Self::BadResponse { .. }
                | Self::GaveUp { .. }
                | Self::OriginNotAllowed { .. }
        )
    }
}
