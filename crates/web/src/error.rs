//! The one place where a Rust error becomes a JavaScript one.

use std::error::Error as _;

use serde::{Deserialize, Serialize};
use tsify::Tsify;
use wasm_bindgen::JsValue;
use web_sys::DomException;

/// What went wrong, as a stable name that a program can switch on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Tsify)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The browser lacks something Minnow cannot do without.
    UnsupportedBrowser,
    /// The model is of a family that Minnow does not compute.
    UnknownArchitecture,
    /// A tensor is stored in a format that Minnow does not compute.
    UnsupportedQuantization,
    /// The file says it is GGUF but contradicts itself, ends early, or lacks a part.
    MalformedModel,
    /// The bytes are something else altogether, such as an HTML page.
    NotAGguf,
    /// The server could not be reached or did not answer with the file.
    DownloadFailed,
    /// Bytes differ from what their hash or their size promises.
    IntegrityMismatch,
    /// The browser grants too little storage.
    QuotaExceeded,
    /// The model, its cache or a request needs more memory than there is.
    OutOfMemory,
    /// The prompt and the answer do not fit the context.
    ContextOverflow,
    /// An argument is missing, of the wrong type, or out of range.
    InvalidRequest,
    /// The model's chat template failed, or refuses the conversation.
    TemplateError,
    /// The model has been unloaded.
    ModelNotLoaded,
    /// The worker stopped; the model must be loaded again.
    WorkerCrashed,
}

/// An error on its way to JavaScript, where it becomes a `MinnowError`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Tsify)]
pub struct ErrorReport {
    /// What went wrong.
    pub code: ErrorCode,
    /// What happened, with the numbers, and what to do about it.
    pub message: String,
}

/// Everything that can go wrong below the JavaScript boundary.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller's signal ended the call.
    #[error("the operation was aborted")]
    Aborted,
    /// A failure that this crate names itself, most often one of the browser's.
    #[error("{message}")]
    Browser {
        /// What went wrong.
        code: ErrorCode,
        /// The cause, with numbers and remedy.
        message: String,
    },
    /// The chat template.
    #[error(transparent)]
    Chat(#[from] chat::Error),
    /// A request, or the engine's options.
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// A GGUF file.
    #[error(transparent)]
    Gguf(#[from] gguf::Error),
    /// Where the model comes from, and its bytes.
    #[error(transparent)]
    Loader(#[from] loader::Error),
    /// The model's configuration or its weights.
    #[error(transparent)]
    Model(#[from] model::Error),
    /// The tokenizer in the model's metadata.
    #[error(transparent)]
    Tokenizer(#[from] tokenizer::Error),
}

impl Error {
    /// A failure that this crate names itself.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self::Browser {
            code,
            message: message.into(),
        }
    }

    /// An argument that is missing, of the wrong type, or out of range.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidRequest, message)
    }

    /// What the page is told; `None` for an abort, which is the web's `AbortError`.
    pub fn report(&self) -> Option<ErrorReport> {
        Some(ErrorReport {
            code: self.code()?,
            message: self.to_string(),
        })
    }

    /// The stable name; `None` for an abort, which is the web's `AbortError`.
    pub fn code(&self) -> Option<ErrorCode> {
        Some(match self {
            Self::Aborted => return None,
            Self::Browser { code, .. } => *code,
            Self::Chat(_) => ErrorCode::TemplateError,
            Self::Engine(error) => engine_code(error),
            Self::Gguf(error) => gguf_code(error),
            Self::Loader(error) => loader_code(error.kind()),
            Self::Model(error) => model_code(error),
            Self::Tokenizer(_) => ErrorCode::MalformedModel,
        })
    }
}

fn engine_code(error: &engine::Error) -> ErrorCode {
    match error {
        engine::Error::ContextOverflow { .. } => ErrorCode::ContextOverflow,
        engine::Error::NoTemplate | engine::Error::Template(_) => ErrorCode::TemplateError,
        engine::Error::Model(error) => model_code(error),
        _ => ErrorCode::InvalidRequest,
    }
}

fn gguf_code(error: &gguf::Error) -> ErrorCode {
    match error {
        gguf::Error::NotGguf { .. } => ErrorCode::NotAGguf,
        gguf::Error::UnknownTensorType { .. } => ErrorCode::UnsupportedQuantization,
        _ => ErrorCode::MalformedModel,
    }
}

fn loader_code(kind: loader::ErrorKind) -> ErrorCode {
    match kind {
        loader::ErrorKind::InvalidRequest => ErrorCode::InvalidRequest,
        loader::ErrorKind::DownloadFailed => ErrorCode::DownloadFailed,
        loader::ErrorKind::NotAGguf => ErrorCode::NotAGguf,
        loader::ErrorKind::MalformedModel => ErrorCode::MalformedModel,
        loader::ErrorKind::UnsupportedQuantization => ErrorCode::UnsupportedQuantization,
        loader::ErrorKind::IntegrityMismatch => ErrorCode::IntegrityMismatch,
    }
}

fn model_code(error: &model::Error) -> ErrorCode {
    match error {
        model::Error::Gguf(error) => gguf_code(error),
        model::Error::UnknownArchitecture { .. } | model::Error::UnexpectedTensor { .. } => {
            ErrorCode::UnknownArchitecture
        }
        model::Error::UnsupportedTensorType { .. } => ErrorCode::UnsupportedQuantization,
        model::Error::OutOfMemory { .. } => ErrorCode::OutOfMemory,
        model::Error::CacheFull { .. } => ErrorCode::ContextOverflow,
        model::Error::TokenOutOfRange { .. } => ErrorCode::InvalidRequest,
        _ => ErrorCode::MalformedModel,
    }
}

impl From<&engine::Error> for ErrorReport {
    fn from(error: &engine::Error) -> Self {
        Self {
            code: engine_code(error),
            message: error.to_string(),
        }
    }
}

/// An `ErrorReport`, or a `DOMException` named `AbortError`.
impl From<Error> for JsValue {
    fn from(error: Error) -> Self {
        match error.report() {
            Some(report) => serde_wasm_bindgen::to_value(&report).unwrap_or_else(Self::from),
            None => DomException::new_with_message_and_name(&error.to_string(), "AbortError")
                .map_or_else(|failure| failure, Self::from),
        }
    }
}

/// A value from the page that is not what its type promises.
impl From<tsify::Error> for Error {
    fn from(error: tsify::Error) -> Self {
        // Its own message names Rust types, which tell the page nothing.
        let cause = error
            .source()
            .map_or_else(|| error.to_string(), ToString::to_string);
        Self::invalid(format!(
            "an argument cannot be read: {}",
            cause.trim_start_matches("Error: ")
        ))
    }
}

#[cfg(test)]
mod tests {
    use js_sys::Reflect;
    use wasm_bindgen::JsCast;
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[wasm_bindgen_test]
    fn an_error_keeps_its_code_and_message_on_the_way_to_javascript() {
        let error = Error::from(model::Error::UnknownArchitecture {
            name: "rwkv".to_owned(),
            supported: "llama".to_owned(),
        });
        let message = error.to_string();
        let value = JsValue::from(error);
        let get = |name: &str| {
            Reflect::get(&value, &name.into())
                .ok()
                .and_then(|value| value.as_string())
        };
        assert_eq!(get("code").as_deref(), Some("unknown_architecture"));
        assert_eq!(get("message"), Some(message));
    }

    #[wasm_bindgen_test]
    fn an_abort_is_the_webs_own() {
        let value = JsValue::from(Error::Aborted);
        let exception = value.dyn_into::<DomException>().expect("a DOMException");
        assert_eq!(exception.name(), "AbortError");
    }

    #[wasm_bindgen_test]
    fn causes_keep_their_codes_through_the_crates_in_between() {
        let html = gguf::Error::NotGguf { first: *b"<!do" };
        assert_eq!(
            Error::from(model::Error::from(html)).code(),
            Some(ErrorCode::NotAGguf)
        );
        let memory = model::Error::OutOfMemory {
            bytes: 1,
            purpose: "a test",
        };
        assert_eq!(
            Error::from(engine::Error::from(memory)).code(),
            Some(ErrorCode::OutOfMemory)
        );
        assert_eq!(
            Error::from(engine::Error::NoTemplate).code(),
            Some(ErrorCode::TemplateError)
        );
    }
}
