//! What a model is and what it will cost, from its header alone.

use gguf::Header;
use kernels::Format;
use kernels::kv::{BLOCK, KvType};

use crate::cache::layouts;
use crate::tensors::{self, Found};
use crate::{Config, Error};

/// A model that can be built: what it is, and the memory it will take.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Its dimensions and constants.
    pub config: Config,
    /// Weights of all tensors, i.e. the number of parameters.
    pub parameters: u64,
    /// Bytes of the packed weights: what [`Model::weight_bytes`](crate::Model::weight_bytes) will say.
    pub weight_bytes: u64,
    /// Bytes that the kernels' form of an activation takes.
    prepared_bytes: usize,
}

impl Plan {
    /// Bytes that one token takes in the key–value cache, as long as no layer has given it back.
    ///
    /// # Errors
    /// [`Error::Kernels`] if the model's heads are not supported.
    pub fn kv_bytes_per_token(&self, kv: KvType) -> Result<usize, Error> {
        let layouts = layouts(&self.config, kv, BLOCK)?;
        Ok(layouts
            .iter()
            .map(|(layout, _)| layout.page_bytes() / BLOCK)
            .sum())
    }

    /// About how many bytes a sequence of `tokens` takes in the key–value cache, in pages of `page` tokens, when at most
    /// `rows` tokens are computed in a batch: layers with a sliding window keep no more than that, a batch and a page.
    ///
    /// # Errors
    /// [`Error::Kernels`] if the model's heads or the page size are not supported.
    pub fn kv_bytes(
        &self,
        kv: KvType,
        tokens: usize,
        rows: usize,
        page: usize,
    ) -> Result<u64, Error> {
        let layouts = layouts(&self.config, kv, page)?;
        Ok(layouts
            .iter()
            .map(|(layout, window)| {
                let kept = window.map_or(tokens, |window| tokens.min(window + rows + 2 * page));
                (kept.div_ceil(page) as u64).saturating_mul(layout.page_bytes() as u64)
            })
            .sum())
    }

    /// About how many bytes intermediate results take when at most `rows` tokens are in a batch and logits are
    /// wanted for `logits` of them.
    pub fn scratch_bytes(&self, rows: usize, logits: usize) -> u64 {
        let config = &self.config;
        // An expert's input and output, and the probabilities of all.
        let (expert_input, expert_floats) = match config.experts {
            None => (0, 0),
            Some(experts) => (
                config.embedding_length,
                config.embedding_length + experts.count,
            ),
        };
        let ropes = 1 + usize::from(config.sliding_window.is_some());
        let activations = config.embedding_length
            + config.heads * config.value_length
            + config.feed_forward_length
            + expert_input;
        let floats = activations
            + expert_floats
            + 2 * config.embedding_length
            + config.heads * config.key_length
            + config.kv_heads * (config.key_length + config.value_length)
            + config.feed_forward_length
            + ropes * config.rope.dims;
        let float_bytes = size_of::<f32>() as u64;
        let row_bytes =
            activations as u64 * self.prepared_bytes as u64 + floats as u64 * float_bytes;
        let logits_bytes = config.vocab_size as u64 * float_bytes;
        (rows as u64)
            .saturating_mul(row_bytes)
            .saturating_add((logits as u64).saturating_mul(logits_bytes))
    }
}

/// Bytes a value takes in the form that products with float weights read: four copies of it.
const PREPARED_FLOAT_BYTES: usize = 4 * size_of::<f32>();

/// As [`PREPARED_FLOAT_BYTES`], for quantized weights: at most four copies of a 16-bit number, and scales.
const PREPARED_QUANTIZED_BYTES: usize = 10;

fn prepared_bytes(found: &[Found]) -> usize {
    let has_floats = found.iter().any(|tensor| {
        tensor.is_matrix() && matches!(tensor.format, Format::F32 | Format::F16 | Format::BF16)
    });
    if has_floats {
        PREPARED_FLOAT_BYTES
    } else {
        PREPARED_QUANTIZED_BYTES
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
        prepared_bytes: prepared_bytes(&found),
        config,
    })
}

/// What becomes of a tensor when it is loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// Its name.
    pub tensor: String,
    /// How the file has it.
    pub format: Format,
    /// Whether it is packed for products with it; otherwise it becomes floats.
    pub packed: bool,
}

/// What becomes of the tensors of a model, in the order in which the model needs them. Tensors that nothing is computed
/// from are missing.
///
/// # Errors
/// As [`inspect`].
pub fn placements(headers: &[Header]) -> Result<Vec<Placement>, Error> {
    let (_, found) = plan(headers)?;
    let placement = |found: Found| Placement {
        packed: found.is_matrix(),
        format: found.format,
        tensor: found.spec.name,
    };
    Ok(found.into_iter().map(placement).collect())
}

/// The configuration and the tensors it needs.
pub(crate) fn plan(headers: &[Header]) -> Result<(Config, Vec<Found>), Error> {
    let config = Config::from_headers(headers)?;
    let found = tensors::find(headers, &config)?;
    Ok((config, found))
}
