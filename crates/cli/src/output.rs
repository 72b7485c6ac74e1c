//! Standard output.

use std::io::{Write, stdout};

use anyhow::{Context, Result};
use serde::Serialize;

/// Writes one JSON value and a line break.
pub(crate) fn json(value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string(value).context("the result can't be written as JSON")?;
    line(&text)
}

/// Writes a line.
pub(crate) fn line(text: &str) -> Result<()> {
    write(&format!("{text}\n"))
}

/// Writes text at once, without waiting for the end of the line.
pub(crate) fn write(text: &str) -> Result<()> {
    let mut out = stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .context("standard output can't be written")
}
