//! How large the package is for those who download it, and how large it may be.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, bail};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::wasm::{GLUE, MODULE, VARIANTS};

/// Bytes of a variant's module, gzipped; `docs/packaging.md` says what takes them.
const MODULE_BUDGET: usize = 600_000;

/// Bytes of all JavaScript that a page and its worker load for a variant, gzipped.
const SCRIPT_BUDGET: usize = 25_000;

/// Prints each variant's sizes, and fails when one is over its budget.
pub(super) fn check(dist: &Path) -> Result<()> {
    let mut scripts = Vec::new();
    for entry in fs::read_dir(dist)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "js") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            scripts.push((name.into_owned(), gzipped(&path)?));
        }
    }
    let mut over = Vec::new();
    for variant in VARIANTS {
        let folder = dist.join("wasm").join(variant.name);
        let module = gzipped(&folder.join(MODULE))?;
        let of_others = |name: &str| {
            VARIANTS.iter().any(|other| {
                other.name != variant.name
                    && (name == format!("worker.{}", other.name)
                        || name == format!("compute.{}", other.name))
            })
        };
        let common = scripts.iter().filter(|(name, _)| !of_others(name));
        let scripts = common.map(|(_, size)| size).sum::<usize>() + gzipped(&folder.join(GLUE))?;
        println!(
            "{:15} wasm {module:7} B gzipped, JavaScript {scripts:6} B gzipped",
            variant.name
        );
        for (what, size, budget) in [
            ("wasm", module, MODULE_BUDGET),
            ("JavaScript", scripts, SCRIPT_BUDGET),
        ] {
            if size > budget {
                over.push(format!(
                    "{}'s {what} is {size} B of {budget} B",
                    variant.name
                ));
            }
        }
    }
    if !over.is_empty() {
        bail!("over the size budget, gzipped: {}", over.join("; "));
    }
    Ok(())
}

/// A file's size as a server sends it.
fn gzipped(path: &Path) -> Result<usize> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&bytes)?;
    Ok(encoder.finish()?.len())
}
