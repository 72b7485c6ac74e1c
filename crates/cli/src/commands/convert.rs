//! `minnow convert`: a Hugging Face folder made a GGUF file.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::{Context, Result};
use clap::ValueEnum;
use gguf::{HeaderWriter, TensorType};
use kernels::Pool;
use serde::Serialize;

use crate::{
    conversion::{self, Config, Family, Folder, Reranker, Tensor},
    model_writer::ModelWriter,
    output, progress,
    quantization::{self, FileType, Rows},
    threads,
};

/// Make a GGUF file of a Hugging Face folder
///
/// The folder has config.json, weights as safetensors, and a tokenizer. The result has the metadata and tensors that
/// llama.cpp's convert_hf_to_gguf.py writes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder
    input: PathBuf,
    /// File to write
    output: PathBuf,
    /// Type of the matrices
    #[arg(long, value_enum, default_value = "auto")]
    outtype: OutType,
    /// The model's name; that of the folder if not given
    #[arg(long, alias = "model-name", value_name = "NAME")]
    name: Option<String>,
    /// Pre-tokenizer, by llama.cpp's name, if the folder's is not recognized
    #[arg(long, value_name = "NAME")]
    pre: Option<String>,
    /// Replace the output if it exists
    #[arg(long)]
    force: bool,
    /// Threads; 0 takes as many as the machine offers
    #[arg(short, long, value_name = "N", default_value_t = 0)]
    threads: usize,
    /// Write one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum OutType {
    F32,
    F16,
    Bf16,
    #[value(name = "q8_0")]
    Q8_0,
    #[value(name = "tq1_0")]
    Tq1_0,
    #[value(name = "tq2_0")]
    Tq2_0,
    /// BF16 if the folder's weights are, F16 otherwise
    Auto,
}

#[derive(Debug, Serialize)]
struct Output {
    architecture: &'static str,
    #[serde(rename = "type")]
    file_type: &'static str,
    /// Bytes of all tensors.
    bytes: u64,
    /// Tensors of each type.
    tensors: BTreeMap<&'static str, usize>,
}

/// Version of ggml's block layouts: `GGML_QNT_VERSION`.
const QUANTIZATION_VERSION: u32 = 2;

pub(crate) fn run(args: &Args) -> Result<()> {
    let config = Config::read(&args.input)?;
    let family = Family::of(config.architecture()?)?;
    let folder = Folder::open(&args.input)?;
    let (vocabulary, count) =
        conversion::vocabulary(family, &config, &args.input, args.pre.as_deref())?;
    let mut tensors = conversion::tensors(family, &config, &folder, count)?;
    let reranker = Reranker::of(family, &config, &args.input, &vocabulary)?;
    if let Some(reranker) = &reranker {
        reranker.classify(&mut tensors)?;
    }
    let file_type = file_type(args.outtype, &tensors);
    let folder_name = args.input.canonicalize().ok();
    let folder_name = folder_name
        .as_ref()
        .and_then(|path| path.file_name()?.to_str());
    let name = args
        .name
        .as_deref()
        .or(folder_name)
        .context("the folder has no name; give --name")?;
    let mut header = HeaderWriter::new()
        .with("general.architecture", family.architecture())
        .with("general.type", "model")
        .with("general.name", name);
    for (key, value) in conversion::hyperparameters(family, &config, &args.input)? {
        header = header.with(key, value);
    }
    header = header.with("general.file_type", file_type.id());
    let ranking = reranker.map(|_| Reranker::entries()).unwrap_or_default();
    for (key, value) in vocabulary.into_iter().chain(ranking) {
        header = header.with(key, value);
    }
    header = header.with("general.quantization_version", QUANTIZATION_VERSION);
    let planned: Vec<_> = tensors
        .into_iter()
        .map(|tensor| (kind(file_type, &tensor), tensor))
        .collect();
    for (kind, tensor) in &planned {
        header = header.tensor(&tensor.name, &tensor.shape, *kind);
    }
    let file = ModelWriter::create(&args.output, args.force, &header)?;
    let bytes = write(file, &planned, &*threads::pool(args.threads)?)?;
    let mut result = Output {
        architecture: family.architecture(),
        file_type: file_type.name(),
        bytes,
        tensors: BTreeMap::new(),
    };
    for (kind, _) in &planned {
        *result.tensors.entry(kind.name()).or_default() += 1;
    }
    if args.json {
        return output::json(&result);
    }
    const MILLION: f64 = 1e6;
    output::line(&format!(
        "{}: {} tensors of a {} model as {}, {:.1} MB",
        args.output.display(),
        planned.len(),
        result.architecture,
        result.file_type,
        bytes as f64 / MILLION
    ))
}

fn file_type(out_type: OutType, tensors: &[Tensor<'_>]) -> FileType {
    match out_type {
        OutType::F32 => FileType::F32,
        OutType::F16 => FileType::F16,
        OutType::Bf16 => FileType::BF16,
        OutType::Q8_0 => FileType::Q8_0,
        OutType::Tq1_0 => FileType::TQ1_0,
        OutType::Tq2_0 => FileType::TQ2_0,
        OutType::Auto => match tensors
            .iter()
            .any(|tensor| tensor.shape.len() > 1 && tensor.is_bf16())
        {
            true => FileType::BF16,
            false => FileType::F16,
        },
    }
}

/// A tensor's type: vectors, norms, routers, and what is added to embeddings stay exact.
fn kind(file_type: FileType, tensor: &Tensor<'_>) -> TensorType {
    let name = &tensor.name;
    let is_exact = tensor.shape.len() == 1
        || name.ends_with("_norm.weight")
        || name.ends_with(".ffn_gate_inp.weight")
        || matches!(name.as_str(), "position_embd.weight" | "token_types.weight")
        || !name.ends_with(".weight");
    let is_ternary = matches!(file_type, FileType::TQ1_0 | FileType::TQ2_0);
    match file_type.base() {
        _ if is_exact => TensorType::F32,
        _ if is_ternary && matches!(name.as_str(), "token_embd.weight" | "output.weight") => {
            TensorType::F16
        }
        base if tensor.shape[0].is_multiple_of(base.block_len()) => base,
        _ => TensorType::F16,
    }
}

/// Writes the tensors; returns their bytes.
fn write(
    mut file: ModelWriter,
    planned: &[(TensorType, Tensor<'_>)],
    pool: &dyn Pool,
) -> Result<u64> {
    let values = |tensor: &Tensor<'_>| tensor.shape.iter().product::<u64>();
    let bar = progress::steps(
        "converting",
        planned.iter().map(|(_, tensor)| values(tensor)).sum(),
    );
    let mut written = 0;
    for (kind, tensor) in planned {
        let rows = Rows {
            name: &tensor.name,
            columns: tensor.columns(),
            count: tensor.rows(),
            read: &|range, values| {
                tensor.read(range, values);
                Ok(())
            },
        };
        quantization::encode(pool, &rows, *kind, |bytes| {
            written += bytes.len() as u64;
            file.write(bytes)
        })?;
        file.end_tensor()?;
        bar.inc(values(tensor));
    }
    bar.finish_and_clear();
    file.finish()?;
    Ok(written)
}
