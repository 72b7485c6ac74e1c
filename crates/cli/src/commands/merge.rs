//! `minnow merge`: a split set made one file.

use std::path::PathBuf;

use anyhow::{Result, bail};
use gguf::{HeaderWriter, split};
use serde::Serialize;

use crate::{files::ModelFiles, model_writer::ModelWriter, output, progress};

/// Put a split set together
///
/// The result is the file that was split, to the byte: it does not keep the keys about the set.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// First file of the set
    input: PathBuf,
    /// File to write
    output: PathBuf,
    /// Replace the output if it exists
    #[arg(long)]
    force: bool,
    /// Write one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Output {
    files: usize,
    tensors: usize,
    /// Bytes of the tensors.
    bytes: u64,
}

const SET_KEYS: [&str; 3] = [split::NO_KEY, split::COUNT_KEY, split::TENSORS_KEY];

pub(crate) fn run(args: &Args) -> Result<()> {
    let files = ModelFiles::open(&args.input)?;
    if files.headers().len() == 1 {
        bail!(
            "{} is a whole model; name the first file of a split set, such as model-00001-of-00002.gguf",
            args.input.display()
        );
    }
    let mut header = HeaderWriter::new();
    for (key, value) in files.first_header().metadata.iter() {
        if !SET_KEYS.contains(&key) {
            header = header.with(key, value.clone());
        }
    }
    let tensors = files.tensors().collect::<Result<Vec<_>>>()?;
    for (tensor, _) in &tensors {
        header = header.tensor(&tensor.name, &tensor.shape, tensor.kind);
    }
    let mut file = ModelWriter::create(&args.output, args.force, &header)?;
    let bar = progress::bytes("merging", files.size());
    for (tensor, bytes) in &tensors {
        file.write(bytes)?;
        file.end_tensor()?;
        bar.inc(tensor.size);
    }
    bar.finish_and_clear();
    file.finish()?;
    let result = Output {
        files: files.headers().len(),
        tensors: tensors.len(),
        bytes: tensors.iter().map(|(tensor, _)| tensor.size).sum(),
    };
    if args.json {
        return output::json(&result);
    }
    output::line(&format!(
        "{}: {} tensors of {} files",
        args.output.display(),
        result.tensors,
        result.files
    ))
}
