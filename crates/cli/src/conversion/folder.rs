//! The files of a folder.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

/// All weights of a folder, memory-mapped.
#[derive(Debug)]
pub(crate) struct Folder {
    files: Vec<(PathBuf, Mmap)>,
}

/// A tensor as it is stored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stored<'a> {
    pub(crate) dtype: Dtype,
    /// Rows · columns.
    pub(super) bytes: &'a [u8],
}

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

impl Folder {
    /// Maps `model.safetensors`, or the files that `model.safetensors.index.json` names.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        let names: BTreeSet<String> = if folder.join(INDEX).exists() {
            let index = json_file(&folder.join(INDEX))?;
            let map = index["weight_map"]
                .as_object()
                .with_context(|| format!("{INDEX} has no weight_map"))?;
            let file = |name: &Value| name.as_str().map(str::to_owned);
            map.values()
                .map(file)
                .collect::<Option<_>>()
                .with_context(|| format!("{INDEX} has a file name that is not a text"))?
        } else {
            [SINGLE.to_owned()].into()
        };
        let files = names.into_iter().map(|name| {
            if Path::new(&name).file_name() != Some(name.as_ref()) {
                bail!("{INDEX} names {name:?}, which is not a file of the folder");
            }
            let path = folder.join(name);
            let map = map(&path)?;
            Ok((path, map))
        });
        Ok(Self {
            files: files.collect::<Result<_>>()?,
        })
    }

    /// Every tensor by name: its dimensions, outermost first, and its bytes.
    pub(crate) fn tensors(&self) -> Result<BTreeMap<String, (Vec<usize>, Stored<'_>)>> {
        let mut tensors = BTreeMap::new();
        for (path, map) in &self.files {
            let file = SafeTensors::deserialize(map)
                .with_context(|| format!("{} can't be read as safetensors", path.display()))?;
            for (name, view) in file.iter() {
                let stored = Stored {
                    dtype: view.dtype(),
                    bytes: view.data(),
                };
                if tensors
                    .insert(name.to_owned(), (view.shape().to_vec(), stored))
                    .is_some()
                {
                    bail!("two files have a tensor {name}");
                }
            }
        }
        Ok(tensors)
    }
}

impl Stored<'_> {
    /// Whether values can be read.
    pub(crate) fn is_float(&self) -> bool {
        matches!(self.dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16)
    }

    /// Fills `values` from value number `start` on.
    pub(crate) fn read(&self, start: usize, values: &mut [f32]) {
        match self.dtype {
            Dtype::F32 => self.fill(start, values, f32::from_le_bytes),
            Dtype::F16 => self.fill(start, values, |b| half::f16::from_le_bytes(b).to_f32()),
            _ => self.fill(start, values, |b| half::bf16::from_le_bytes(b).to_f32()),
        }
    }

    fn fill<const N: usize>(&self, start: usize, values: &mut [f32], one: fn([u8; N]) -> f32) {
        let (chunks, _) = self.bytes.as_chunks::<N>();
        for (value, &bytes) in values.iter_mut().zip(&chunks[start..]) {
            *value = one(bytes);
        }
    }
}

fn map(path: &Path) -> Result<Mmap> {
    let file = File::open(path).with_context(|| format!("{} can't be opened", path.display()))?;
    // SAFETY: the mapping is only read. Another program that shortens the file meanwhile would end this one with a
    // signal; that is the price every memory-mapping reader of weights pays.
    let map = unsafe { Mmap::map(&file) };
    map.with_context(|| format!("{} can't be mapped", path.display()))
}

pub(crate) fn json_file(path: &Path) -> Result<Value> {
    let text =
        fs::read_to_string(path).with_context(|| format!("{} can't be read", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))
}

/// A JSON file that need not be there.
pub(crate) fn optional_json_file(path: &Path) -> Result<Option<Value>> {
    match path.exists() {
        true => json_file(path).map(Some),
        false => Ok(None),
    }
}
