//! The tensors of a model: which there must be and may be.

use std::collections::HashMap;

use gguf::{Header, TensorInfo, TensorType};
use kernels::{Format, Packer};

use crate::config::LONG_ROPE_TENSORS;
use crate::{Config, Error, Pooling, families};

/// What a tensor is used as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Packed for products: `columns` inputs, `rows` outputs.
    Matrix { columns: usize, rows: usize },
    /// `count` matrices in one tensor, packed for products one below the other.
    Matrices {
        columns: usize,
        rows: usize,
        count: usize,
    },
    /// Kept as floats.
    Vector { len: usize },
}

impl Shape {
    /// In ggml's order, columns first.
    fn dimensions(self) -> Vec<u64> {
        match self {
            Self::Matrix { columns, rows } => vec![columns as u64, rows as u64],
            Self::Matrices {
                columns,
                rows,
                count,
            } => vec![columns as u64, rows as u64, count as u64],
            Self::Vector { len } => vec![len as u64],
        }
    }

    /// Columns and rows of what is packed for products, those of all matrices.
    pub(crate) fn packed(self) -> Option<(usize, usize)> {
        match self {
            Self::Matrix { columns, rows } => Some((columns, rows)),
            Self::Matrices {
                columns,
                rows,
                count,
            } => Some((columns, rows.saturating_mul(count))),
            Self::Vector { .. } => None,
        }
    }
}

/// A tensor that a model has or may have.
#[derive(Debug, Clone)]
pub(crate) struct Spec {
    pub(crate) name: String,
    pub(crate) shape: Shape,
    pub(crate) required: bool,
    /// The transformer block it belongs to.
    pub(crate) layer: Option<usize>,
}

/// Collects the specs of a model.
#[derive(Debug, Default)]
pub(crate) struct Specs {
    list: Vec<Spec>,
}

impl Specs {
    pub(crate) fn matrix(&mut self, name: &str, columns: usize, rows: usize) {
        self.push(name.to_owned(), Shape::Matrix { columns, rows }, true, None);
    }

    pub(crate) fn vector(&mut self, name: &str, len: usize) {
        self.push(name.to_owned(), Shape::Vector { len }, true, None);
    }

    pub(crate) fn optional_vector(&mut self, name: &str, len: usize) {
        self.push(name.to_owned(), Shape::Vector { len }, false, None);
    }

    pub(crate) fn optional_matrix(&mut self, name: &str, columns: usize, rows: usize) {
        self.push(
            name.to_owned(),
            Shape::Matrix { columns, rows },
            false,
            None,
        );
    }

    /// A layer norm of the residual stream.
    pub(crate) fn layer_norm(&mut self, name: &str, config: &Config) {
        self.vector(&format!("{name}.weight"), config.embedding_length);
        self.vector(&format!("{name}.bias"), config.embedding_length);
    }

    /// What the frequencies of the rotary embedding are divided by.
    pub(crate) fn rope_factors(&mut self, config: &Config) {
        let pairs = config.rope.dims / 2;
        if config.long_rope {
            for name in LONG_ROPE_TENSORS {
                self.vector(name, pairs);
            }
        } else {
            self.optional_vector("rope_freqs.weight", pairs);
        }
    }

    /// What makes scores of a pooled state, where the model is for ranking.
    pub(crate) fn ranking_head(&mut self, config: &Config) {
        let shape = Shape::Matrix {
            columns: config.embedding_length,
            rows: config.labels.len().max(1),
        };
        let required = config.pooling == Pooling::Rank;
        self.push("cls.output.weight".to_owned(), shape, required, None);
    }

    /// Those of transformer block `index`, whose names are given without their `blk.N.`.
    pub(crate) fn layer(&mut self, index: usize) -> LayerSpecs<'_> {
        LayerSpecs { specs: self, index }
    }

    pub(crate) fn into_vec(self) -> Vec<Spec> {
        self.list
    }

    fn push(&mut self, name: String, shape: Shape, required: bool, layer: Option<usize>) {
        self.list.push(Spec {
            name,
            shape,
            required,
            layer,
        });
    }
}

/// Collects the specs of one transformer block.
#[derive(Debug)]
pub(crate) struct LayerSpecs<'a> {
    specs: &'a mut Specs,
    index: usize,
}

impl LayerSpecs<'_> {
    /// Grouped-query attention with a norm before it, without biases.
    pub(crate) fn attention(&mut self, config: &Config) {
        self.vector("attn_norm.weight", config.embedding_length);
        self.attention_matrices(config);
    }

    /// The four projections of attention.
    pub(crate) fn attention_matrices(&mut self, config: &Config) {
        let width = config.embedding_length;
        self.matrix("attn_q.weight", width, config.heads * config.key_length);
        self.matrix("attn_k.weight", width, config.kv_heads * config.key_length);
        self.matrix(
            "attn_v.weight",
            width,
            config.kv_heads * config.value_length,
        );
        self.matrix(
            "attn_output.weight",
            config.heads * config.value_length,
            width,
        );
    }

    /// As [`Self::attention`], with queries, keys and values in one tensor, in this order.
    pub(crate) fn fused_attention(&mut self, config: &Config) {
        self.vector("attn_norm.weight", config.embedding_length);
        self.fused_attention_matrices(config);
    }

    /// As [`Self::attention_matrices`], with queries, keys and values in one tensor.
    pub(crate) fn fused_attention_matrices(&mut self, config: &Config) {
        let width = config.embedding_length;
        self.matrix(
            "attn_qkv.weight",
            width,
            config.heads * config.key_length
                + config.kv_heads * (config.key_length + config.value_length),
        );
        self.matrix(
            "attn_output.weight",
            config.heads * config.value_length,
            width,
        );
    }

    /// As [`Self::gated_feed_forward`], with the gate and what it multiplies in one tensor, in this order.
    pub(crate) fn fused_gated_feed_forward(&mut self, config: &Config) {
        let (width, inner) = (config.embedding_length, config.feed_forward_length);
        self.vector("ffn_norm.weight", width);
        self.matrix("ffn_up.weight", width, 2 * inner);
        self.matrix("ffn_down.weight", inner, width);
    }

    /// A gated feed-forward network with a norm before it, without biases.
    pub(crate) fn gated_feed_forward(&mut self, config: &Config) {
        let (width, inner) = (config.embedding_length, config.feed_forward_length);
        self.vector("ffn_norm.weight", width);
        self.matrix("ffn_gate.weight", width, inner);
        self.matrix("ffn_up.weight", width, inner);
        self.matrix("ffn_down.weight", inner, width);
    }

    /// A mixture of gated feed-forward networks with a norm before it.
    pub(crate) fn mixture(&mut self, config: &Config) {
        let count = config.experts.map_or(0, |experts| experts.count);
        let (width, inner) = (config.embedding_length, config.feed_forward_length);
        self.vector("ffn_norm.weight", width);
        self.matrix("ffn_gate_inp.weight", width, count);
        for (part, columns, rows) in [
            ("ffn_gate_exps.weight", width, inner),
            ("ffn_up_exps.weight", width, inner),
            ("ffn_down_exps.weight", inner, width),
        ] {
            let shape = Shape::Matrices {
                columns,
                rows,
                count,
            };
            self.push(part, shape, true);
        }
    }

    /// A layer norm of the residual stream.
    pub(crate) fn layer_norm(&mut self, part: &str, config: &Config) {
        self.vector(&format!("{part}.weight"), config.embedding_length);
        self.vector(&format!("{part}.bias"), config.embedding_length);
    }

    pub(crate) fn vector(&mut self, part: &str, len: usize) {
        self.push(part, Shape::Vector { len }, true);
    }

    pub(crate) fn optional_vector(&mut self, part: &str, len: usize) {
        self.push(part, Shape::Vector { len }, false);
    }

    pub(crate) fn matrix(&mut self, part: &str, columns: usize, rows: usize) {
        self.push(part, Shape::Matrix { columns, rows }, true);
    }

    fn push(&mut self, part: &str, shape: Shape, required: bool) {
        self.specs.push(
            format!("blk.{}.{part}", self.index),
            shape,
            required,
            Some(self.index),
        );
    }
}

/// A tensor of the files, found to be what the model needs.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) spec: Spec,
    pub(crate) format: Format,
    /// Bytes in the file.
    pub(crate) size: u64,
}

impl Found {
    /// Weights in the tensor.
    pub(crate) fn elements(&self) -> u64 {
        self.spec.shape.dimensions().iter().product()
    }

    /// Whether it is packed for products.
    pub(crate) fn is_matrix(&self) -> bool {
        self.spec.shape.packed().is_some()
    }

    /// Bytes it takes when loaded.
    pub(crate) fn packed_bytes(&self) -> u64 {
        match self.spec.shape.packed() {
            Some((columns, rows)) => Packer::packed_bytes(self.format, rows, columns),
            None => self.elements() * size_of::<f32>() as u64,
        }
    }
}

/// Tensors that some converters write and that nothing is computed from: rotary tables that the metadata replace.
const IGNORED_SUFFIXES: [&str; 2] = [".attn_rot_embd.weight", ".rotary_emb.inv_freq"];

/// Whether a tensor's bytes are of no use.
pub(crate) fn is_ignored(name: &str) -> bool {
    IGNORED_SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
}

/// Matches the tensors of `headers` with those that `config` asks for.
///
/// # Errors
/// [`Error::DuplicateTensor`], [`Error::MissingTensor`], [`Error::UnexpectedTensor`], [`Error::Shape`],
/// [`Error::UnsupportedTensorType`].
pub(crate) fn find(headers: &[Header], config: &Config) -> Result<Vec<Found>, Error> {
    let mut files: HashMap<&str, &TensorInfo> = HashMap::new();
    for info in headers.iter().flat_map(|header| &header.tensors) {
        if files.insert(&info.name, info).is_some() {
            return Err(Error::DuplicateTensor {
                tensor: info.name.clone(),
            });
        }
    }
    let mut found = Vec::new();
    for spec in families::tensors(config) {
        match files.remove(spec.name.as_str()) {
            Some(info) => found.push(check(spec, info)?),
            None if spec.required => return Err(Error::MissingTensor { tensor: spec.name }),
            None => {}
        }
    }
    let unexpected = files.into_keys().filter(|name| !is_ignored(name)).min();
    if let Some(name) = unexpected {
        return Err(Error::UnexpectedTensor {
            tensor: name.to_owned(),
            architecture: config.architecture.name(),
        });
    }
    Ok(found)
}

fn check(spec: Spec, info: &TensorInfo) -> Result<Found, Error> {
    let expected = spec.shape.dimensions();
    // Dimensions of one at the end say nothing: some writers always give the same number of dimensions.
    let agrees = info.shape.starts_with(&expected)
        && info.shape[expected.len()..]
            .iter()
            .all(|&length| length == 1);
    if !agrees {
        return Err(Error::Shape {
            tensor: spec.name,
            found: info.shape.clone(),
            expected,
        });
    }
    let formats: &[Format] = match spec.shape {
        Shape::Matrix { .. } | Shape::Matrices { .. } => &Format::ALL,
        Shape::Vector { .. } => &VECTOR_FORMATS,
    };
    match formats
        .iter()
        .find(|format| format.name() == info.kind.name())
    {
        Some(&format) => Ok(Found {
            spec,
            format,
            size: info.size,
        }),
        None => Err(unsupported(spec.name, info.kind, formats)),
    }
}

/// Formats in which norms and biases come.
const VECTOR_FORMATS: [Format; 3] = [Format::F32, Format::F16, Format::BF16];

fn unsupported(tensor: String, kind: TensorType, formats: &[Format]) -> Error {
    let names: Vec<_> = formats.iter().map(|format| format.name()).collect();
    Error::UnsupportedTensorType {
        tensor,
        kind,
        supported: names.join(", "),
    }
}
