//! `config.json`.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

use super::folder::json_file;

/// What a model's folder says about its shape. The keys of a multimodal model's `text_config` stand at the top level.
#[derive(Debug)]
pub(crate) struct Config(Map<String, Value>);

const FILE: &str = "config.json";

impl Config {
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let Value::Object(mut config) = json_file(&folder.join(FILE))? else {
            bail!("{FILE} in {} is not a JSON object", folder.display());
        };
        if let Some(Value::Object(text)) = config.remove("text_config") {
            let architectures = config.get("architectures").cloned();
            config.extend(text);
            // The part's own name would hide the whole's.
            config.extend(architectures.map(|names| ("architectures".to_owned(), names)));
        }
        Ok(Self(config))
    }

    /// The class of transformers that the weights belong to.
    pub(crate) fn architecture(&self) -> Result<&str> {
        self.0
            .get("architectures")
            .and_then(|names| names.get(0)?.as_str())
            .with_context(|| {
                format!("{FILE} does not name an architecture under \"architectures\"")
            })
    }

    /// A value that is there and not null.
    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    pub(crate) fn u32(&self, key: &str) -> Result<Option<u32>> {
        let number = |value: &Value| value.as_u64().and_then(|number| number.try_into().ok());
        self.typed(key, "a whole number", number)
    }

    pub(crate) fn f64(&self, key: &str) -> Result<Option<f64>> {
        self.typed(key, "a number", Value::as_f64)
    }

    pub(crate) fn need_u32(&self, key: &str) -> Result<u32> {
        self.u32(key)?.with_context(|| missing(key))
    }

    pub(crate) fn need_f64(&self, key: &str) -> Result<f64> {
        self.f64(key)?.with_context(|| missing(key))
    }

    fn typed<T>(
        &self,
        key: &str,
        what: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        read(value)
            .map(Some)
            .with_context(|| format!("{FILE}: {key} is {value}, where {what} is needed"))
    }

    /// The classes of a classifier, by number; none if their names are those that transformers makes up for two.
    pub(crate) fn labels(&self) -> Result<Vec<&str>> {
        const MADE_UP: &str = "LABEL_0";
        let Some(Value::Object(given)) = self.get("id2label") else {
            return Ok(Vec::new());
        };
        let mut labels = given
            .iter()
            .map(|(id, label)| Some((id.parse::<u32>().ok()?, label.as_str()?)))
            .collect::<Option<Vec<_>>>()
            .with_context(|| {
                format!("{FILE}: id2label needs numbers as keys and texts as values")
            })?;
        labels.sort_unstable();
        if matches!(labels[..], [(0, MADE_UP), _]) {
            labels.clear();
        }
        Ok(labels.into_iter().map(|(_, label)| label).collect())
    }

    /// Features of a head.
    pub(crate) fn head_dim(&self) -> Result<u32> {
        match self.u32("head_dim")? {
            Some(given) => Ok(given),
            None => self
                .need_u32("hidden_size")?
                .checked_div(self.need_u32("num_attention_heads")?)
                .context("num_attention_heads is 0"),
        }
    }

    pub(crate) fn key_heads(&self) -> Result<u32> {
        match self.u32("num_key_value_heads")? {
            Some(given) => Ok(given),
            None => self.need_u32("num_attention_heads"),
        }
    }
}

fn missing(key: &str) -> String {
    format!("{FILE} has no {key}; the folder is not complete, or of a family that is not supported")
}
