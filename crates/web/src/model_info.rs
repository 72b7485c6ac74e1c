//! What a model's headers say about it.

use gguf::{Header, Metadata};
use serde::Serialize;
use tsify::Tsify;

use crate::Error;

/// A model, as its files describe it.
#[derive(Debug, Clone, Serialize, Tsify)]
#[serde(rename_all = "camelCase")]
pub struct ModelInfo {
    /// The model's own name; empty where it has none.
    pub name: String,
    /// Its family, such as `llama` or `qwen3`.
    pub architecture: String,
    /// Number of weights.
    pub parameters: u64,
    /// The format that most of its bytes are in, such as `Q4_1`.
    pub quantization: String,
    /// Bytes of all its files.
    pub size: u64,
    /// Tokens of context it was trained for.
    pub context_length: usize,
    /// Transformer blocks.
    pub layers: usize,
    /// Floats of the residual stream per token.
    pub embedding_length: usize,
    /// Tokens in the vocabulary.
    pub vocabulary_size: usize,
    /// Its chat template, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[tsify(optional)]
    pub chat_template: Option<String>,
}

impl ModelInfo {
    /// Reads the headers of one model, the first file's first.
    ///
    /// # Errors
    /// Where the model is of an unknown family, or its metadata are damaged.
    pub(crate) fn from_headers(headers: &[Header]) -> Result<Self, Error> {
        let first = headers.first().ok_or(model::Error::NoHeader)?;
        let config = model::Config::from_header(first)?;
        let tensors = || headers.iter().flat_map(|header| &header.tensors);
        Ok(Self {
            name: text(&first.metadata, "general.name")?.unwrap_or_default(),
            architecture: config.architecture.name().to_owned(),
            parameters: tensors()
                .map(|tensor| tensor.shape.iter().product::<u64>())
                .sum(),
            quantization: prevailing_format(headers),
            size: headers.iter().map(Header::file_size).sum(),
            context_length: config.context_length,
            layers: config.layers,
            embedding_length: config.embedding_length,
            vocabulary_size: config.vocab_size,
            chat_template: text(&first.metadata, "tokenizer.chat_template")?,
        })
    }
}

fn text(metadata: &Metadata, key: &str) -> Result<Option<String>, gguf::Error> {
    Ok(metadata.string(key)?.map(str::to_owned))
}

/// The tensor type with the most bytes.
fn prevailing_format(headers: &[Header]) -> String {
    let mut bytes: Vec<(&str, u64)> = Vec::new();
    for tensor in headers.iter().flat_map(|header| &header.tensors) {
        let name = tensor.kind.name();
        match bytes.iter_mut().find(|(known, _)| *known == name) {
            Some((_, sum)) => *sum += tensor.size,
            None => bytes.push((name, tensor.size)),
        }
    }
    bytes
        .iter()
        .max_by_key(|(_, sum)| *sum)
        .map_or_else(String::new, |(name, _)| (*name).to_owned())
}
