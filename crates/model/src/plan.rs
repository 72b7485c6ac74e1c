//! What a model is and what it will cost, from its header alone.

use gguf::Header;
use kernels::kv::{BLOCK, KvLayout, KvType};

use crate::tensors::{self, Found};
use crate::{Config, Error};

/// A model that can be built: what it is, and the memory it will take.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Its dimensions and constants.
    pub config: Config,
    /// Weights of all tensors, i.e. the number of parameters.
    pub parameters: u64,
    /// Bytes of the packed weights. They are as large as in the file, but for padding at the end of a matrix.
    pub weight_bytes: u64,
}

impl Plan {
    /// Bytes that one token takes in the key–value cache.
    pub fn kv_bytes_per_token(&self, kv: KvType) -> Result<usize, Error> {
        let config = &self.config;
        let layout = KvLayout::new(
            kv,
            config.layers,
            config.kv_heads,
            config.key_length,
            config.value_length,
            BLOCK,
        )?;
        Ok(layout.page_bytes() / BLOCK)
    }

    /// About how many bytes intermediate results take when at most `rows` tokens are in a batch and logits are wanted
    /// for `logits` of them.
    pub fn scratch_bytes(&self, rows: usize, logits: usize) -> usize {
        let config = &self.config;
        // Activations keep up to four more bytes per value for their quantized forms.
        let activations = 2
            * (config.embedding_length
                + config.heads * config.value_length
                + config.feed_forward_length);
        let floats = 2 * config.embedding_length
            + config.heads * config.key_length
            + config.kv_heads * (config.key_length + config.value_length)
            + 2 * config.feed_forward_length
            + config.rope.dims;
        (rows * (activations + floats) + logits * config.vocab_size) * size_of::<f32>()
    }
}

/// Checks that a model can be built from files with these `headers` (one, or all parts of a split set), before any
/// weight is read.
///
/// # Errors
/// [`Error::NoHeader`], [`Error::UnknownArchitecture`], [`Error::MissingKey`], [`Error::UnsupportedValue`],
/// [`Error::MissingTensor`], [`Error::UnexpectedTensor`], [`Error::DuplicateTensor`], [`Error::Shape`],
/// [`Error::UnsupportedTensorType`]; [`Error::Gguf`] if a key has a value of the wrong type.
pub fn inspect(headers: &[Header]) -> Result<Plan, Error> {
    let (config, found) = plan(headers)?;
    Ok(Plan {
        parameters: found.iter().map(Found::elements).sum(),
        weight_bytes: found.iter().map(Found::packed_bytes).sum(),
        config,
    })
}

/// The configuration and the tensors it needs.
pub(crate) fn plan(headers: &[Header]) -> Result<(Config, Vec<Found>), Error> {
    let config = Config::from_headers(headers)?;
    let found = tensors::find(headers, &config)?;
    Ok((config, found))
}
