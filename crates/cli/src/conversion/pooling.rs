//! How states become an embedding, in models that are made for it.

use std::path::{Component, Path};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::folder::{json_file, optional_json_file};

/// The value of `pooling_type`: what sentence-transformers' `modules.json` and the configuration it names say; `None` if
/// there is none.
pub(super) fn pooling(folder: &Path) -> Result<Option<u32>> {
    /// Flags in older files, modes in newer ones, and the numbers of llama.cpp's `llama_pooling_type`.
    const MODES: [(&str, &str, u32); 3] = [
        ("pooling_mode_mean_tokens", "mean", 1),
        ("pooling_mode_cls_token", "cls", 2),
        ("pooling_mode_lasttoken", "lasttoken", 3),
    ];
    let Some(modules) = optional_json_file(&folder.join("modules.json"))? else {
        return Ok(None);
    };
    let is_pooling = |module: &&Value| matches!(module["type"].as_str(), Some(name) if name.ends_with("Pooling"));
    let Some(module) = modules.as_array().into_iter().flatten().find(is_pooling) else {
        return Ok(None);
    };
    let path = module["path"]
        .as_str()
        .map(Path::new)
        .filter(|path| {
            path.components()
                .all(|part| matches!(part, Component::Normal(_)))
        })
        .context("modules.json: the path of pooling is not one within the folder")?;
    let config = json_file(&folder.join(path).join("config.json"))?;
    let flagged = MODES
        .iter()
        .find(|(flag, ..)| config[*flag] == true)
        .or_else(|| {
            MODES
                .iter()
                .find(|(_, mode, _)| config["pooling_mode"] == *mode)
        });
    match flagged {
        Some((.., number)) => Ok(Some(*number)),
        None => bail!(
            "{} pools neither by mean nor the first nor the last token",
            path.join("config.json").display()
        ),
    }
}
