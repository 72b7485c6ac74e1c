//! Rotary scaling: what `config.json` says, and the factors that GGUF has as tensors.

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

use super::{Config, Entries};

/// The scaling of a model's rotations.
#[derive(Debug)]
pub(super) struct Rope {
    scaling: Map<String, Value>,
    pub(super) theta: Option<f64>,
}

impl Rope {
    pub(super) fn new(config: &Config) -> Result<Self> {
        let given = config
            .get("rope_parameters")
            .or_else(|| config.get("rope_scaling"));
        let mut scaling = given
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        // Newer files have one set for each kind of layer.
        if let Some(Value::Object(global)) = scaling.remove("full_attention") {
            scaling = global;
        }
        let theta = scaling.get("rope_theta").and_then(Value::as_f64);
        Ok(Self {
            theta: theta.or(config.f64("rope_theta")?),
            scaling,
        })
    }

    /// The kind of scaling; `None` if there is none.
    pub(super) fn kind(&self) -> Option<&str> {
        let kind = self
            .scaling
            .get("rope_type")
            .or_else(|| self.scaling.get("type"));
        kind.and_then(Value::as_str)
    }

    fn f64(&self, key: &str) -> Option<f64> {
        self.scaling.get(key).and_then(Value::as_f64)
    }

    /// The keys of linear and YaRN scaling and LongRoPE, and the base.
    pub(super) fn entries(&self, architecture: &str, entries: &mut Entries) -> Result<()> {
        let mut put = |key: &str, value: gguf::Value| {
            entries.push((format!("{architecture}.rope.{key}"), value));
        };
        let factor = self.f64("factor");
        match (self.kind(), factor) {
            (Some(kind @ ("linear" | "yarn")), Some(factor)) => {
                put("scaling.type", kind.into());
                put("scaling.factor", (factor as f32).into());
                if kind == "yarn" {
                    let original = self.f64("original_max_position_embeddings");
                    let original =
                        original.context("yarn scaling needs original_max_position_embeddings")?;
                    put("scaling.original_context_length", (original as u32).into());
                    let attention = self
                        .f64("attention_factor")
                        .or_else(|| self.f64("attn_factor"));
                    let optional = [
                        ("scaling.yarn_ext_factor", self.f64("extrapolation_factor")),
                        ("scaling.yarn_attn_factor", attention),
                        ("scaling.yarn_beta_fast", self.f64("beta_fast")),
                        ("scaling.yarn_beta_slow", self.f64("beta_slow")),
                    ];
                    for (key, value) in optional {
                        if let Some(value) = value {
                            put(key, (value as f32).into());
                        }
                    }
                }
            }
            (Some("su" | "longrope"), _) => put("scaling.type", "longrope".into()),
            (None | Some("default" | "llama3"), _) => {}
            (Some(other), _) => bail!("rotary scaling of type {other} is not supported"),
        }
        if let Some(theta) = self.theta {
            put("freq_base", (theta as f32).into());
        }
        Ok(())
    }

    /// Llama 3's factors, one for each rotated pair: long waves are stretched, short ones stay.
    pub(super) fn llama3_factors(&self, head_dim: u32) -> Option<Vec<f32>> {
        const DEFAULT_BASE: f64 = 10_000.0;
        if self.kind() != Some("llama3") {
            return None;
        }
        let number = |key: &str, default: f64| self.f64(key).unwrap_or(default);
        let base = self.theta.unwrap_or(DEFAULT_BASE) as f32;
        let factor = number("factor", 8.0);
        let low = number("low_freq_factor", 1.0);
        let high = number("high_freq_factor", 4.0);
        let original = number("original_max_position_embeddings", 8192.0);
        let one = |pair: u32| {
            let frequency = 1.0 / base.powf((2 * pair) as f32 / head_dim as f32);
            let wavelength = f64::from((2.0 * std::f64::consts::PI) as f32 / frequency);
            if wavelength < original / high {
                return 1.0;
            }
            if wavelength > original / low {
                return factor as f32;
            }
            let smooth = (original as f32 / wavelength as f32 - low as f32) / (high - low) as f32;
            1.0 / ((1.0 - smooth) / factor as f32 + smooth)
        };
        Some((0..head_dim / 2).map(one).collect())
    }

    /// LongRoPE's factors for short and long contexts.
    pub(super) fn long_factors(&self) -> Result<Option<[Vec<f32>; 2]>> {
        let list = |key: &str| -> Option<Vec<f32>> {
            let numbers = self.scaling.get(key)?.as_array()?;
            numbers
                .iter()
                .map(|n| n.as_f64().map(|n| n as f32))
                .collect()
        };
        match (list("short_factor"), list("long_factor")) {
            (None, None) => Ok(None),
            (Some(short), Some(long)) if short.len() == long.len() => Ok(Some([short, long])),
            _ => bail!("rope_scaling needs short_factor and long_factor, of the same length"),
        }
    }

    /// What LongRoPE multiplies attention with, for contexts that are `scale` times the original one.
    pub(super) fn attention_factor(&self, scale: f64, original: f64) -> f32 {
        let factor = match self.kind() {
            _ if scale <= 1.0 => 1.0,
            Some("yarn") => 0.1 * scale.ln() + 1.0,
            _ => (1.0 + scale.ln() / original.ln()).sqrt(),
        };
        factor as f32
    }
}
