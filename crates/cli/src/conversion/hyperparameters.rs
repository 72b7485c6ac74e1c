//! A model's shape as metadata.

use std::path::Path;

use anyhow::{Context, Result};

use super::{Config, Entries, Family, encoder, pooling::pooling, rope::Rope};

/// The keys that start with the architecture's name.
pub(crate) fn hyperparameters(family: Family, config: &Config, folder: &Path) -> Result<Entries> {
    if family.is_encoder() {
        return encoder::hyperparameters(family, config, folder);
    }
    let architecture = family.architecture();
    let mut entries = Entries::new();
    let mut put = |key: &str, value: gguf::Value| {
        entries.push((format!("{architecture}.{key}"), value));
    };
    put("block_count", config.need_u32("num_hidden_layers")?.into());
    put(
        "context_length",
        config.need_u32("max_position_embeddings")?.into(),
    );
    put("embedding_length", config.need_u32("hidden_size")?.into());
    put(
        "feed_forward_length",
        config.need_u32("intermediate_size")?.into(),
    );
    put(
        "attention.head_count",
        config.need_u32("num_attention_heads")?.into(),
    );
    put("attention.head_count_kv", config.key_heads()?.into());
    put(
        "attention.layer_norm_rms_epsilon",
        (config.need_f64("rms_norm_eps")? as f32).into(),
    );
    let head_dim = match family {
        Family::Llama | Family::BitNet | Family::Gemma2 | Family::Gemma3 => {
            Some(config.head_dim()?)
        }
        Family::Phi3 => None,
        _ => config.u32("head_dim")?,
    };
    if let Some(head_dim) = head_dim {
        put("attention.key_length", head_dim.into());
        put("attention.value_length", head_dim.into());
    }
    let rope = Rope::new(config)?;
    match family {
        Family::Gemma2 => {}
        Family::Phi3 => {
            entries.extend(phi3(config, &rope)?);
            return Ok(entries);
        }
        _ => rope.entries(architecture, &mut entries)?,
    }
    let mut put = |key: &str, value: gguf::Value| {
        entries.push((format!("{architecture}.{key}"), value));
    };
    match family {
        Family::Llama | Family::SmolLm3 => {
            put("vocab_size", config.need_u32("vocab_size")?.into());
            put("rope.dimension_count", config.head_dim()?.into());
        }
        Family::Qwen3Moe => {
            put("expert_count", config.need_u32("num_experts")?.into());
            put(
                "expert_used_count",
                config.need_u32("num_experts_per_tok")?.into(),
            );
            put(
                "expert_feed_forward_length",
                config.need_u32("moe_intermediate_size")?.into(),
            );
        }
        Family::Gemma2 | Family::Gemma3 => {
            let caps = [
                ("attn_logit_softcapping", "attn_logit_softcapping"),
                ("final_logit_softcapping", "final_logit_softcapping"),
            ];
            for (source, key) in caps {
                if let Some(cap) = config.f64(source)? {
                    put(key, (cap as f32).into());
                }
            }
            put(
                "attention.sliding_window",
                config.need_u32("sliding_window")?.into(),
            );
            if let Some(local) = config.f64("rope_local_base_freq")?
                && family == Family::Gemma3
            {
                put("rope.freq_base_swa", (local as f32).into());
            }
        }
        Family::Qwen2 | Family::Qwen3 => {
            if let Some(pooling) = pooling(folder)? {
                put("pooling_type", pooling.into());
            }
        }
        // What their files have: a scaling that changes nothing.
        Family::BitNet | Family::BitNetB158 if rope.kind().is_none() => {
            put("rope.scaling.type", "linear".into());
            put("rope.scaling.factor", 1_f32.into());
        }
        _ => {}
    }
    Ok(entries)
}

/// Phi 3 rotates a part of each head only, and has factors for short and long contexts.
fn phi3(config: &Config, rope: &Rope) -> Result<Entries> {
    let context = config.need_u32("max_position_embeddings")?;
    let original = config
        .u32("original_max_position_embeddings")?
        .unwrap_or(context);
    let part = config.f64("partial_rotary_factor")?.unwrap_or(1.0);
    let width = (part * f64::from(config.need_u32("hidden_size")?)) as u32;
    let rotated = width.checked_div(config.need_u32("num_attention_heads")?);
    let rotated = rotated.context("num_attention_heads is 0")?;
    let theta = rope.theta.context("config.json has no rope_theta")?;
    let mut entries = vec![
        (
            "phi3.rope.scaling.original_context_length".to_owned(),
            original.into(),
        ),
        ("phi3.rope.dimension_count".to_owned(), rotated.into()),
        ("phi3.rope.freq_base".to_owned(), (theta as f32).into()),
        // Files without a window are told from others by a zero.
        (
            "phi3.attention.sliding_window".to_owned(),
            config.u32("sliding_window")?.unwrap_or(0).into(),
        ),
    ];
    if rope.long_factors()?.is_some() {
        let scale = f64::from(context) / f64::from(original);
        entries.push((
            "phi3.rope.scaling.attn_factor".to_owned(),
            rope.attention_factor(scale, original.into()).into(),
        ));
    }
    Ok(entries)
}
