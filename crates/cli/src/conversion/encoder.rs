//! What is particular to BERT and its kin: shapes, pooling, classifiers.

use std::path::Path;

use anyhow::{Result, bail, ensure};
use gguf::{Array, StringArray};
use serde_json::{Value, json};

use super::{Config, Entries, Family, pooling::pooling};

/// The keys that start with the architecture's name.
pub(super) fn hyperparameters(family: Family, config: &Config, folder: &Path) -> Result<Entries> {
    /// What transformers takes where `config.json` has none.
    const DEFAULT_EPSILON: f64 = 1e-12;
    let (mut shape, epsilon) = match family {
        Family::NomicBert => (nomic(config)?, config.f64("layer_norm_epsilon")?),
        _ => (bert(config)?, config.f64("layer_norm_eps")?),
    };
    shape.extend([
        (
            "attention.layer_norm_epsilon",
            (epsilon.unwrap_or(DEFAULT_EPSILON) as f32).into(),
        ),
        ("attention.causal", false.into()),
    ]);
    if let Some(pooling) = pooling(folder)? {
        shape.push(("pooling_type", pooling.into()));
    }
    let labels = config.labels()?;
    if !labels.is_empty() {
        let labels: StringArray = labels.into_iter().collect();
        shape.push((
            "classifier.output_labels",
            gguf::Value::Array(Array::Strings(labels)),
        ));
    }
    let architecture = family.architecture();
    let named = shape.into_iter();
    Ok(named
        .map(|(key, value)| (format!("{architecture}.{key}"), value))
        .collect())
}

type Shape = Vec<(&'static str, gguf::Value)>;

fn bert(config: &Config) -> Result<Shape> {
    let keys = [
        ("block_count", "num_hidden_layers"),
        ("context_length", "max_position_embeddings"),
        ("embedding_length", "hidden_size"),
        ("feed_forward_length", "intermediate_size"),
        ("attention.head_count", "num_attention_heads"),
    ];
    let read = |(key, source)| Ok((key, config.need_u32(source)?.into()));
    keys.into_iter().map(read).collect()
}

fn nomic(config: &Config) -> Result<Shape> {
    let required = [
        ("activation_function", json!("swiglu")),
        ("causal", json!(false)),
        ("qkv_proj_bias", json!(false)),
        ("mlp_fc1_bias", json!(false)),
        ("mlp_fc2_bias", json!(false)),
        ("prenorm", json!(false)),
        ("rotary_emb_interleaved", json!(false)),
    ];
    for (key, value) in required {
        let given = config.get(key).unwrap_or(&Value::Null);
        ensure!(
            *given == value,
            "config.json: {key} is {given}; a nomic-bert file can only say {value}"
        );
    }
    ensure!(
        config.u32("moe_every_n_layers")?.unwrap_or(0) == 0,
        "mixtures of experts of this family can't be converted"
    );
    ensure!(
        config.f64("rotary_emb_fraction")? == Some(1.0)
            && config.get("rotary_emb_scale_base").is_none(),
        "config.json: heads have to be rotated as a whole, without a rotary_emb_scale_base"
    );
    let keys = [
        ("block_count", "n_layer"),
        ("embedding_length", "n_embd"),
        ("feed_forward_length", "n_inner"),
        ("attention.head_count", "n_head"),
    ];
    let read = |(key, source)| Ok((key, config.need_u32(source)?.into()));
    let mut shape: Shape = keys.into_iter().map(read).collect::<Result<_>>()?;
    shape.push(("context_length", nomic_context(config)?.into()));
    if let Some(base) = config.f64("rotary_emb_base")? {
        shape.push(("rope.freq_base", (base as f32).into()));
    }
    Ok(shape)
}

/// How many tokens a model was trained with, which is less than `config.json` promises.
fn nomic_context(config: &Config) -> Result<u32> {
    const TRAINED: u32 = 2048;
    let trained = config.u32("max_trained_positions")?.unwrap_or(TRAINED);
    match (config.need_u32("n_positions")?, trained) {
        // nomic-embed-text v1 and v1.5.
        (8192, TRAINED) => Ok(TRAINED),
        (TRAINED, TRAINED) => Ok(512),
        (positions, trained) => bail!(
            "config.json: n_positions is {positions} and max_trained_positions {trained}; how much context that stands for is only known for 8192 or 2048 and 2048"
        ),
    }
}

/// A classifier with labels is the last stage, where others are the one before.
pub(super) fn classifier(source: &str, has_labels: bool) -> String {
    match source.rsplit_once('.') {
        Some(("classifier", parameter)) if has_labels => {
            format!("classifier.out_proj.{parameter}")
        }
        _ => source.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classifiers_with_labels_are_the_last_stage() {
        assert_eq!(
            classifier("classifier.bias", true),
            "classifier.out_proj.bias"
        );
        assert_eq!(classifier("classifier.bias", false), "classifier.bias");
        assert_eq!(
            classifier("classifier.dense.bias", true),
            "classifier.dense.bias"
        );
    }
}
