//! `minnow quantize`: a smaller model of a larger one.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::{Context, Result, bail};
use gguf::{HeaderWriter, TensorInfo, TensorType, split};
use kernels::Pool;
use serde::Serialize;

use crate::{
    files::ModelFiles,
    model_writer::ModelWriter,
    output, progress,
    quantization::{self, Choice, Facts, FileType, Overrides},
    threads,
};

/// Make a smaller model of a larger one
///
/// Which tensor gets which type follows llama-quantize, and so do the bytes. The input may be a split set; the output is
/// one file, which appears when it is complete.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// GGUF file; the first one of a split set
    input: PathBuf,
    /// File to write
    output: PathBuf,
    /// Kind of file, such as Q4_K_M or Q8_0
    #[arg(value_name = "TYPE", value_parser = FileType::parse)]
    file_type: FileType,
    /// Replace the output if it exists
    #[arg(long)]
    force: bool,
    /// Let tensors that are quantized already be quantized again, which loses more than doing it once
    #[arg(long)]
    allow_requantize: bool,
    /// Leave the output matrix as it is
    #[arg(long)]
    leave_output_tensor: bool,
    /// Give every matrix the same type
    #[arg(long)]
    pure: bool,
    /// Type of the output matrix
    #[arg(long, value_name = "TYPE", value_parser = quantization::tensor_type)]
    output_tensor_type: Option<TensorType>,
    /// Type of the token embeddings
    #[arg(long, value_name = "TYPE", value_parser = quantization::tensor_type)]
    token_embedding_type: Option<TensorType>,
    /// Threads; 0 takes as many as the machine offers
    #[arg(short, long, value_name = "N", default_value_t = 0)]
    threads: usize,
    /// Write one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Output {
    #[serde(rename = "type")]
    file_type: &'static str,
    /// Bytes of all tensors before and after.
    input_bytes: u64,
    output_bytes: u64,
    bits_per_weight: f64,
    /// Tensors of each type.
    tensors: BTreeMap<&'static str, usize>,
    /// Tensors that got another type than the rules want, because their columns are not whole blocks of it.
    fallbacks: Vec<Fallback>,
}

#[derive(Debug, Serialize)]
struct Fallback {
    tensor: String,
    columns: u64,
    wanted: &'static str,
    used: &'static str,
}

/// Version of ggml's block layouts: `GGML_QNT_VERSION`.
const QUANTIZATION_VERSION: u32 = 2;
const QUANTIZATION_VERSION_KEY: &str = "general.quantization_version";
const FILE_TYPE_KEY: &str = "general.file_type";

/// Keys that are written anew, or that a file of its own does not have.
const REPLACED: [&str; 5] = [
    QUANTIZATION_VERSION_KEY,
    FILE_TYPE_KEY,
    split::NO_KEY,
    split::COUNT_KEY,
    split::TENSORS_KEY,
];

/// A tensor, its bytes, and what becomes of it.
type Planned<'a> = (&'a TensorInfo, &'a [u8], Choice);

pub(crate) fn run(args: &Args) -> Result<()> {
    let files = ModelFiles::open(&args.input)?;
    let planned = plan(args, &files)?;
    let mut header = HeaderWriter::new();
    for (key, value) in files.first_header().metadata.iter() {
        if !REPLACED.contains(&key) {
            header = header.with(key, value.clone());
        }
    }
    header = header
        .with(QUANTIZATION_VERSION_KEY, QUANTIZATION_VERSION)
        .with(FILE_TYPE_KEY, args.file_type.id());
    for (tensor, _, choice) in &planned {
        header = header.tensor(&tensor.name, &tensor.shape, choice.kind);
    }
    let file = ModelWriter::create(&args.output, args.force, &header)?;
    write(file, &planned, &*threads::pool(args.threads)?)?;
    report(args, &planned)
}

fn plan<'a>(args: &Args, files: &'a ModelFiles) -> Result<Vec<Planned<'a>>> {
    let mut tensors = files.tensors().collect::<Result<Vec<_>>>()?;
    tensors.sort_by_key(|(tensor, _)| quantization::file_order(&tensor.name));
    let infos: Vec<_> = tensors.iter().map(|&(tensor, _)| tensor).collect();
    let facts = Facts::new(&files.first_header().metadata, infos.iter().copied())?;
    let overrides = Overrides {
        pure: args.pure,
        leave_output: args.leave_output_tensor,
        output: args.output_tensor_type,
        token_embedding: args.token_embedding_type,
    };
    let choices = quantization::choose(args.file_type, &facts, &overrides, &infos)?;
    let again = infos
        .iter()
        .zip(&choices)
        .find(|(tensor, choice)| tensor.kind != choice.kind && tensor.kind.block_len() > 1);
    if let Some((tensor, choice)) = again
        && !args.allow_requantize
    {
        bail!(
            "tensor {} is {} already, and making it {} loses more than starting from the original; use a file with F32, \
             F16 or BF16 weights, or give --allow-requantize",
            tensor.name,
            tensor.kind.name(),
            choice.kind.name()
        );
    }
    let planned = tensors.into_iter().zip(choices);
    Ok(planned
        .map(|((tensor, bytes), choice)| (tensor, bytes, choice))
        .collect())
}

fn write(mut file: ModelWriter, planned: &[Planned<'_>], pool: &dyn Pool) -> Result<()> {
    let bar = progress::bytes(
        "quantizing",
        planned.iter().map(|(tensor, ..)| tensor.size).sum(),
    );
    for (tensor, bytes, choice) in planned {
        if tensor.kind == choice.kind {
            file.write(bytes)?;
        } else {
            quantization::convert(pool, tensor, bytes, choice.kind, |rows| file.write(rows))?;
        }
        file.end_tensor()?;
        bar.inc(tensor.size);
    }
    bar.finish_and_clear();
    file.finish()
}

fn report(args: &Args, planned: &[Planned<'_>]) -> Result<()> {
    const BITS: f64 = 8.0;
    const MILLION: f64 = 1e6;
    let mut result = Output {
        file_type: args.file_type.name(),
        input_bytes: 0,
        output_bytes: 0,
        bits_per_weight: 0.0,
        tensors: BTreeMap::new(),
        fallbacks: Vec::new(),
    };
    let mut weights = 0;
    for (tensor, _, choice) in planned {
        weights += tensor.elements();
        result.input_bytes += tensor.size;
        let size = choice.kind.tensor_bytes(&tensor.shape);
        result.output_bytes += size.ok().context("the header has been written")?;
        *result.tensors.entry(choice.kind.name()).or_default() += 1;
        result
            .fallbacks
            .extend(choice.instead_of.map(|wanted| Fallback {
                tensor: tensor.name.clone(),
                columns: tensor.shape[0],
                wanted: wanted.name(),
                used: choice.kind.name(),
            }));
    }
    result.bits_per_weight = result.output_bytes as f64 * BITS / weights.max(1) as f64;
    if args.json {
        return output::json(&result);
    }
    let types: Vec<_> = result
        .tensors
        .iter()
        .map(|(name, count)| format!("{count} × {name}"))
        .collect();
    output::line(&format!(
        "{:.1} MB → {:.1} MB, {:.2} bits per weight ({})",
        result.input_bytes as f64 / MILLION,
        result.output_bytes as f64 / MILLION,
        result.bits_per_weight,
        types.join(", ")
    ))?;
    let mut replaced = BTreeMap::<_, usize>::new();
    for fallback in &result.fallbacks {
        *replaced
            .entry((fallback.wanted, fallback.used))
            .or_default() += 1;
    }
    for ((wanted, used), count) in replaced {
        output::line(&format!(
            "{count} tensors are {used} where the rules want {wanted}, as their columns are not whole blocks of that"
        ))?;
    }
    Ok(())
}
