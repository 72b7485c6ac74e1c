//! What the rules ask about a model.

use anyhow::Result;
use gguf::{Metadata, TensorInfo, Value};

/// Numbers from the metadata, and what the tensors' names say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(super) layers: usize,
    /// Query heads that share a key head; 0 if the model has none.
    pub(super) query_heads_per_key: u64,
    pub(super) experts: u64,
    /// Whether the token embeddings are the output matrix too.
    pub(super) tied: bool,
    /// Tensors of [`super::category::Category::AttentionValue`].
    pub(super) value_tensors: usize,
    /// Whether values are so much smaller than the other matrices that they can have more bits at no cost.
    pub(super) is_70b: bool,
}

impl Facts {
    pub(crate) fn new<'a>(
        metadata: &Metadata,
        tensors: impl Iterator<Item = &'a TensorInfo>,
    ) -> Result<Self> {
        /// Layers of the models that llama.cpp calls 70B.
        const LAYERS_OF_70B: usize = 80;
        use super::category::Category;
        let architecture = metadata.string("general.architecture")?.unwrap_or_default();
        let key = |suffix: &str| format!("{architecture}.{suffix}");
        let layers = metadata.u32(&key("block_count"))?.unwrap_or(0) as usize;
        let heads = first(metadata, &key("attention.head_count"))?.unwrap_or(0);
        let key_heads = first(metadata, &key("attention.head_count_kv"))?.unwrap_or(heads);
        let (mut tied, mut value_tensors) = (true, 0);
        for tensor in tensors {
            match Category::of(&tensor.name) {
                Category::Output => tied = false,
                Category::AttentionValue => value_tensors += 1,
                _ => {}
            }
        }
        let is_70b = layers == LAYERS_OF_70B
            && (architecture == "qwen2" || architecture == "llama" && heads != key_heads);
        Ok(Self {
            layers,
            query_heads_per_key: heads.checked_div(key_heads).unwrap_or(0),
            experts: metadata.u64(&key("expert_count"))?.unwrap_or(0),
            tied,
            value_tensors,
            is_70b,
        })
    }
}

/// A number, or the first of one for each layer.
fn first(metadata: &Metadata, key: &str) -> Result<Option<u64>> {
    Ok(match metadata.get(key) {
        Some(Value::Array(array)) => array.integer(0).and_then(|n| n.try_into().ok()),
        _ => metadata.u64(key)?,
    })
}
