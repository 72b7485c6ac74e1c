//! `minnow split`: a model cut into several files.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use gguf::{HeaderWriter, TensorInfo, split};
use serde::Serialize;

use crate::{files::ModelFiles, model_writer::ModelWriter, output, progress};

/// Cut a model into several files
///
/// Files are named OUT-00001-of-0000N.gguf and hold what llama-gguf-split puts in them; the first has the metadata.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// GGUF file
    input: PathBuf,
    /// Start of the names of the files to write
    output: PathBuf,
    /// Most tensors in a file
    #[arg(
        long,
        value_name = "N",
        default_value_t = 128,
        conflicts_with = "split_max_size"
    )]
    split_max_tensors: usize,
    /// Most bytes of tensors in a file, as 400M or 2G; a larger tensor gets a file of its own
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    split_max_size: Option<u64>,
    /// Put no tensors into the first file, so that it has the metadata alone
    #[arg(long)]
    no_tensor_first_split: bool,
    /// Say what would be written, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Replace files that exist
    #[arg(long)]
    force: bool,
    /// Write one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Output {
    files: Vec<Part>,
}

#[derive(Debug, Serialize)]
struct Part {
    file: PathBuf,
    tensors: usize,
    /// Bytes of the tensors.
    bytes: u64,
}

/// Takes llama-gguf-split's sizes: millions and billions of bytes.
fn parse_size(text: &str) -> Result<u64, String> {
    let units = [('M', 1_000_000), ('G', 1_000_000_000)];
    let size = units.into_iter().find_map(|(letter, unit)| {
        let number: u64 = text.strip_suffix(letter)?.parse().ok()?;
        number.checked_mul(unit).filter(|&size| size > 0)
    });
    size.ok_or_else(|| "expected a number with M or G, as 400M".to_owned())
}

/// Tensors of one file with their bytes.
type Tensors<'a> = Vec<(&'a TensorInfo, &'a [u8])>;

pub(crate) fn run(args: &Args) -> Result<()> {
    let files = ModelFiles::open(&args.input)?;
    if files.headers().len() > 1 {
        bail!(
            "{} is a split set already; merge it first",
            args.input.display()
        );
    }
    if args.split_max_tensors == 0 {
        bail!("--split-max-tensors is 0, but a file has at least one tensor");
    }
    let parts = cut(args, files.tensors().collect::<Result<_>>()?);
    let paths = paths(&args.output, parts.len())?;
    if !args.dry_run {
        write(args, &files, &parts, &paths)?;
    }
    let listed = paths.into_iter().zip(&parts).map(|(file, tensors)| Part {
        file,
        tensors: tensors.len(),
        bytes: tensors.iter().map(|(tensor, _)| tensor.size).sum(),
    });
    report(
        args,
        Output {
            files: listed.collect(),
        },
    )
}

/// Which tensors go together.
fn cut<'a>(args: &Args, tensors: Tensors<'a>) -> Vec<Tensors<'a>> {
    let mut parts = vec![Vec::new()];
    if args.no_tensor_first_split {
        parts.push(Vec::new());
    }
    let mut size = 0;
    for (index, (tensor, bytes)) in tensors.into_iter().enumerate() {
        let added = tensor.size.next_multiple_of(gguf::DEFAULT_ALIGNMENT);
        let is_full = match args.split_max_size {
            Some(limit) => size > 0 && size + added > limit,
            None => index > 0 && index % args.split_max_tensors == 0,
        };
        if is_full {
            parts.push(Vec::new());
            size = 0;
        }
        size += added;
        if let Some(part) = parts.last_mut() {
            part.push((tensor, bytes));
        }
    }
    parts
}

fn paths(prefix: &Path, count: usize) -> Result<Vec<PathBuf>> {
    let name = prefix.file_name().and_then(|name| name.to_str());
    let name = name.with_context(|| format!("{} does not name a file", prefix.display()))?;
    let count = u16::try_from(count).with_context(|| {
        format!(
            "{count} files are more than a set can have, {}; choose a larger size",
            u16::MAX
        )
    })?;
    let shard = split::ShardName {
        prefix: name.strip_suffix(".gguf").unwrap_or(name),
        no: 0,
        count,
    };
    Ok(shard
        .all()
        .map(|name| prefix.with_file_name(name))
        .collect())
}

fn write(args: &Args, files: &ModelFiles, parts: &[Tensors<'_>], paths: &[PathBuf]) -> Result<()> {
    if let Some(path) = paths.iter().find(|path| path.exists() && !args.force) {
        bail!(
            "{} exists; give another name, or --force to replace it",
            path.display()
        );
    }
    let tensors: usize = parts.iter().map(Vec::len).sum();
    let count = u16::try_from(parts.len())?;
    let bar = progress::bytes("splitting", files.size());
    for (no, (tensors_here, path)) in (0..count).zip(parts.iter().zip(paths)) {
        let mut header = HeaderWriter::new();
        let metadata = files.first_header().metadata.iter().filter(|_| no == 0);
        for (key, value) in metadata {
            header = header.with(key, value.clone());
        }
        header = header
            .with(split::NO_KEY, no)
            .with(split::TENSORS_KEY, i32::try_from(tensors)?)
            .with(split::COUNT_KEY, count);
        for (tensor, _) in tensors_here {
            header = header.tensor(&tensor.name, &tensor.shape, tensor.kind);
        }
        let mut file = ModelWriter::create(path, args.force, &header)?;
        for (tensor, bytes) in tensors_here {
            file.write(bytes)?;
            file.end_tensor()?;
            bar.inc(tensor.size);
        }
        file.finish()?;
    }
    bar.finish_and_clear();
    Ok(())
}

fn report(args: &Args, result: Output) -> Result<()> {
    const MILLION: f64 = 1e6;
    if args.json {
        return output::json(&result);
    }
    for part in &result.files {
        output::line(&format!(
            "{}: {} tensors, {:.1} MB",
            part.file.display(),
            part.tensors,
            part.bytes as f64 / MILLION
        ))?;
    }
    Ok(())
}
