//! `minnow inspect`: what a file says about its model.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
};

use anyhow::Result;
use gguf::{Header, Value};
use kernels::kv::{BLOCK, KvType};
use serde::Serialize;

use crate::{files::ModelFiles, output};

/// Show what a model is, from its header
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// GGUF file; the first one of a split set
    model: PathBuf,
    /// List every tensor
    #[arg(long)]
    tensors: bool,
    /// Write one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Output {
    name: Option<String>,
    architecture: Option<String>,
    /// Number of weights.
    parameters: u64,
    /// By the name of the tensor type.
    quantization: BTreeMap<&'static str, Share>,
    context_length: Option<u64>,
    vocab_size: Option<usize>,
    chat_template: Option<String>,
    /// GGUF version.
    version: u32,
    /// Bytes of all files.
    size: u64,
    files: usize,
    /// Whether it can be run; otherwise why not.
    supported: bool,
    reason: Option<String>,
    /// Bytes it takes to run, if it can be run.
    memory: Option<Memory>,
    /// The vector instructions that kernels use on this machine.
    instructions: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tensors: Option<Vec<Tensor>>,
}

/// What a model takes when it runs.
#[derive(Debug, Serialize)]
struct Memory {
    /// Packed weights.
    weights: u64,
    /// Key-value cache of one token, as 16-bit floats.
    kv_per_token: usize,
    /// Key-value cache of as many tokens as the model was trained for: layers with a sliding window do not keep all.
    kv_at_context_length: u64,
}

/// What is stored in one tensor type.
#[derive(Debug, Default, Serialize)]
struct Share {
    tensors: usize,
    parameters: u64,
    bytes: u64,
}

#[derive(Debug, Serialize)]
struct Tensor {
    name: String,
    #[serde(rename = "type")]
    kind: &'static str,
    /// Columns first, as the file has it.
    shape: Vec<u64>,
    offset: u64,
    size: u64,
    /// What multiplies it, if the model can be run and needs it.
    kernel: Option<Kernel>,
}

/// How the weights of a tensor are computed with.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum Kernel {
    /// Packed: the name of the layout, each of which has kernels in every instruction set.
    Packed(&'static str),
    /// As single-precision numbers: norms, biases and the like.
    Floats,
}

impl std::fmt::Display for Kernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Packed(layout) => write!(f, "packed as {layout}"),
            Self::Floats => f.write_str("kept as floats"),
        }
    }
}

/// Prompt tokens computed at a time, as `minnow run` does if not told otherwise.
const BATCH: usize = 128;

pub(crate) fn run(args: &Args) -> Result<()> {
    let files = ModelFiles::open(&args.model)?;
    let result = describe(&files, args.tensors)?;
    if args.json {
        output::json(&result)
    } else {
        output::write(&text(&result))
    }
}

fn describe(files: &ModelFiles, tensors: bool) -> Result<Output> {
    let Header {
        metadata, version, ..
    } = files.first_header();
    let string =
        |key: &str| -> Result<Option<String>> { Ok(metadata.string(key)?.map(str::to_owned)) };
    let architecture = string("general.architecture")?;
    let context_length = match &architecture {
        Some(name) => metadata.u64(&format!("{name}.context_length"))?,
        None => None,
    };
    let vocab_size = match metadata.get("tokenizer.ggml.tokens") {
        Some(Value::Array(tokens)) => Some(tokens.len()),
        _ => None,
    };
    let all = || files.headers().iter().flat_map(|header| &header.tensors);
    let mut quantization = BTreeMap::<_, Share>::new();
    for tensor in all() {
        let share = quantization.entry(tensor.kind.name()).or_default();
        share.tensors += 1;
        share.parameters += tensor.elements();
        share.bytes += tensor.size;
    }
    let memory = model::inspect(files.headers()).and_then(|plan| {
        Ok(Memory {
            weights: plan.weight_bytes,
            kv_per_token: plan.kv_bytes_per_token(KvType::F16)?,
            kv_at_context_length: plan.kv_bytes(
                KvType::F16,
                plan.config.context_length,
                BATCH,
                BLOCK,
            )?,
        })
    });
    let reason = memory.as_ref().err().map(ToString::to_string);
    Ok(Output {
        name: string("general.name")?,
        architecture,
        parameters: all().map(gguf::TensorInfo::elements).sum(),
        quantization,
        context_length,
        vocab_size,
        chat_template: string("tokenizer.chat_template")?,
        version: *version,
        size: files.size(),
        files: files.headers().len(),
        supported: reason.is_none(),
        reason,
        memory: memory.ok(),
        instructions: kernels::Isa::best().name(),
        tensors: tensors.then(|| {
            let kernels = kernels_of(files.headers());
            let listed = all().map(|tensor| Tensor {
                kernel: kernels.get(&tensor.name).copied(),
                name: tensor.name.clone(),
                kind: tensor.kind.name(),
                shape: tensor.shape.clone(),
                offset: tensor.offset,
                size: tensor.size,
            });
            listed.collect()
        }),
    })
}

/// What computes with each tensor, by name; nothing if the model cannot be run.
fn kernels_of(headers: &[Header]) -> HashMap<String, Kernel> {
    let placements = model::placements(headers).unwrap_or_default();
    let kernels = placements.into_iter().map(|placement| {
        let kernel = match placement.packed {
            true => Kernel::Packed(placement.format.layout()),
            false => Kernel::Floats,
        };
        (placement.tensor, kernel)
    });
    kernels.collect()
}

/// The same for people.
fn text(result: &Output) -> String {
    const MILLION: f64 = 1e6;
    let known = |value: &Option<String>| value.clone().unwrap_or_else(|| "unknown".into());
    let number =
        |value: Option<u64>| value.map_or_else(|| "unknown".into(), |value| value.to_string());
    let mut lines = vec![
        format!("name            {}", known(&result.name)),
        format!("architecture    {}", known(&result.architecture)),
        format!(
            "parameters      {:.1} million",
            result.parameters as f64 / MILLION
        ),
        format!("context length  {}", number(result.context_length)),
        format!(
            "vocabulary      {}",
            number(result.vocab_size.map(|size| size as u64))
        ),
        format!(
            "chat template   {}",
            if result.chat_template.is_some() {
                "yes"
            } else {
                "no"
            }
        ),
        format!(
            "size            {:.1} MB in {} file(s), GGUF v{}",
            result.size as f64 / MILLION,
            result.files,
            result.version
        ),
        format!(
            "runs here       {}",
            result.reason.as_deref().unwrap_or("yes")
        ),
    ];
    lines.extend(result.memory.iter().map(|memory| {
        format!(
            "memory          {:.1} MB, and {} bytes per token of context, {:.1} MB at full length",
            memory.weights as f64 / MILLION,
            memory.kv_per_token,
            memory.kv_at_context_length as f64 / MILLION
        )
    }));
    lines.push(format!("instructions    {}", result.instructions));
    lines.extend(result.quantization.iter().map(|(kind, share)| {
        format!(
            "{kind:<8}        {} tensors, {:.1} MB",
            share.tensors,
            share.bytes as f64 / MILLION
        )
    }));
    lines.extend(result.tensors.iter().flatten().map(|tensor| {
        let kernel = tensor
            .kernel
            .map_or("not used".into(), |kernel| kernel.to_string());
        format!(
            "{:<40} {:<6} {:?}, {} bytes, {kernel}",
            tensor.name, tensor.kind, tensor.shape, tensor.size
        )
    }));
    lines.push(String::new());
    lines.join("\n")
}
