//! Benchmarks in a headless browser: the kernels, whole models as their context fills, other engines.
//!
//! Nothing here passes or fails: what is printed are medians and ratios of one run. `docs/performance.md` keeps the record.

mod references;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::project::{Project, run, say};
use crate::{models, pkg, tools};

/// The bench's folder: its Node scripts and their packages.
const FOLDER: &str = "tests/peers";

/// What the Qwen3-0.6B shape is measured in; the first also as its context fills.
const QWEN3_TYPES: [&str; 4] = ["q4_0", "q8_0", "q5_1", "q4_k_m"];

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Run only these: kernels, contexts, loads, peers
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Repetitions of each measurement of a whole model; the median counts
    #[arg(long, default_value_t = 3)]
    repetitions: usize,
    /// Threads to compute on
    #[arg(long, value_delimiter = ',', default_value = "1,2")]
    threads: Vec<usize>,
    /// Folder of GGUF files to measure, instead of the default model and the Qwen3-0.6B shape that would be made;
    /// tests/peers/workloads/index.json names those that have a prompt
    #[arg(long)]
    models: Option<PathBuf>,
    /// llama.cpp's `llama-bench`, instead of the one that would be built
    #[arg(long)]
    llama_bench: Option<PathBuf>,
    /// Where the tables, JSON files and charts go
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
}

struct Part {
    name: &'static str,
    run: fn(&Project, &Options) -> Result<()>,
}

const PARTS: &[Part] = &[
    Part {
        name: "kernels",
        run: kernels,
    },
    Part {
        name: "contexts",
        run: contexts,
    },
    Part {
        name: "loads",
        run: loads,
    },
    Part {
        name: "peers",
        run: peers,
    },
];

/// Runs the chosen parts, one after the other.
pub(crate) fn run_all(project: &Project, options: &Options) -> Result<()> {
    if let Some(unknown) = options
        .only
        .iter()
        .find(|name| PARTS.iter().all(|part| part.name != **name))
    {
        bail!("there is no part {unknown}: take kernels, contexts, loads or peers");
    }
    tools::npm_packages(project, FOLDER)?;
    for part in PARTS {
        if options.only.is_empty() || options.only.iter().any(|name| name == part.name) {
            say(format!("bench: {}", part.name));
            (part.run)(project, options)?;
        }
    }
    say(format!(
        "JSON and charts are in {}",
        project.path(&options.out).display()
    ));
    Ok(())
}

/// A script of the bench, which finds the browser and writes to the output folder.
fn script(project: &Project, options: &Options, name: &str) -> Result<std::process::Command> {
    let mut node = tools::node(project)?;
    node.arg(project.path(FOLDER).join(name))
        .arg("--out")
        .arg(project.path(&options.out))
        .env("CHROMIUM", tools::chromium()?);
    Ok(node)
}

fn kernels(project: &Project, options: &Options) -> Result<()> {
    let mut builds = Vec::new();
    for variant in pkg::VARIANTS.iter().filter(|variant| !variant.threads) {
        let module = pkg::example(project, variant, "bench", &[])?;
        builds.push(format!("{}={}", variant.name, module.display()));
    }
    run(script(project, options, "kernels.mjs")?
        .arg("--builds")
        .arg(builds.join(",")))?;
    threads(project, None)
}

/// What it costs to hand work to threads, in the build that most pages get, and, where they are `expected`, whether the
/// products are right.
pub(crate) fn threads(project: &Project, expected: Option<&Path>) -> Result<()> {
    const VARIANT: &str = "relaxed-threads";
    // What a page starts workers with.
    const EXPORTS: [&str; 3] = ["work", "room", "__stack_pointer"];
    tools::npm_packages(project, FOLDER)?;
    let variant = pkg::VARIANTS.iter().find(|variant| variant.name == VARIANT);
    let variant = variant.context("there is a build with threads")?;
    let module = pkg::example(project, variant, "threads", &EXPORTS)?;
    let mut node = tools::node(project)?;
    node.arg(project.path(FOLDER).join("threads.mjs"))
        .arg("--builds")
        .arg(format!("{VARIANT}={}", module.display()))
        .env("CHROMIUM", tools::chromium()?);
    if let Some(expected) = expected {
        node.arg("--expected").arg(expected);
    }
    run(&mut node)
}

fn contexts(project: &Project, options: &Options) -> Result<()> {
    pkg::run(project, &pkg::Options::default())?;
    let models = models(project, options, &QWEN3_TYPES[..1])?;
    run(whole_models(project, options, "contexts.mjs")?.args(models.arguments()))
}

fn loads(project: &Project, options: &Options) -> Result<()> {
    pkg::run(project, &pkg::Options::default())?;
    let models = models(project, options, &QWEN3_TYPES[..1])?;
    run(whole_models(project, options, "loads.mjs")?.args(models.arguments()))
}

fn peers(project: &Project, options: &Options) -> Result<()> {
    pkg::run(project, &pkg::Options::default())?;
    let models = models(project, options, &QWEN3_TYPES)?;
    let llama_bench = match &options.llama_bench {
        Some(path) => path.clone(),
        None => references::llama_cpp(project)?.join("llama-bench"),
    };
    run(whole_models(project, options, "run.mjs")?
        .args(models.arguments())
        .arg("--llama-bench")
        .arg(llama_bench))
}

fn whole_models(project: &Project, options: &Options, name: &str) -> Result<std::process::Command> {
    let threads: Vec<String> = options.threads.iter().map(usize::to_string).collect();
    let mut node = script(project, options, name)?;
    node.args(["--repetitions", &options.repetitions.to_string()])
        .args(["--threads", &threads.join(",")]);
    Ok(node)
}

/// GGUF files of one folder.
struct Models {
    folder: PathBuf,
    files: Vec<String>,
}

impl Models {
    fn arguments(&self) -> [std::ffi::OsString; 4] {
        [
            "--models-dir".into(),
            self.folder.clone().into(),
            "--models".into(),
            self.files.join(",").into(),
        ]
    }
}

/// The files of the folder that was named; else the default model and the Qwen3-0.6B shape in `types`.
fn models(project: &Project, options: &Options, types: &[&str]) -> Result<Models> {
    if let Some(folder) = &options.models {
        let mut files: Vec<String> = fs::read_dir(folder)
            .with_context(|| format!("cannot read {}", folder.display()))?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| name.ends_with(".gguf"))
            .collect();
        files.sort();
        if files.is_empty() {
            bail!("{} has no .gguf file", folder.display());
        }
        return Ok(Models {
            folder: folder.clone(),
            files,
        });
    }
    models::SMOLLM2.fetch(project)?;
    let mut files = vec![models::SMOLLM2.file.to_owned()];
    files.extend(references::qwen3_shape(project, types)?);
    Ok(Models {
        folder: project.cached("models"),
        files,
    })
}
