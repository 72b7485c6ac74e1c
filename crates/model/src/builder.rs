//! Building a model from bytes as they arrive.

use std::collections::HashMap;

use gguf::Header;
use kernels::{Matrix, Packer, dequantize};

use crate::loaded::Loaded;
use crate::plan::plan;
use crate::rotation::RopeFactors;
use crate::tensors::{self, Found};
use crate::weights::Layer;
use crate::{Config, Error, Model, families};

/// A tensor whose last byte has arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Landed {
    /// Its name.
    pub tensor: String,
    /// The transformer block that is complete with it: all its tensors have landed.
    pub layer: Option<usize>,
}

/// Takes the bytes of a model's tensors and packs them for the kernels as they come, so that the file never needs to
/// be in memory.
///
/// Tensors may come in any order and interleaved, each tensor's own bytes in order, in pieces of any length.
#[derive(Debug)]
pub struct Builder {
    config: Config,
    entries: Vec<Entry>,
    by_name: HashMap<String, usize>,
    /// Tensors each block still waits for.
    layer_missing: Vec<usize>,
    /// Tensors that have landed and are not part of a block below.
    loaded: Loaded,
    /// The first blocks, as far as they are complete.
    layers: Vec<Layer>,
}

#[derive(Debug)]
struct Entry {
    found: Found,
    written: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    Waiting,
    Packing(Packer),
    Collecting(Vec<u8>),
    Landed,
}

/// A whole tensor.
#[derive(Debug)]
enum Whole {
    Matrix(Matrix),
    Vector(Vec<f32>),
}

impl Entry {
    fn is_complete(&self) -> bool {
        matches!(self.state, State::Landed)
    }
}

impl Builder {
    /// A builder for the model that `headers` describe: of one file, or of all parts of a split set.
    ///
    /// # Errors
    /// As [`inspect`](crate::inspect).
    pub fn new(headers: &[Header]) -> Result<Self, Error> {
        let (config, found) = plan(headers)?;
        let mut layer_missing = vec![0; config.layers];
        let mut by_name = HashMap::new();
        let mut entries = Vec::with_capacity(found.len());
        for found in found {
            if let Some(layer) = found.spec.layer {
                layer_missing[layer] += 1;
            }
            by_name.insert(found.spec.name.clone(), entries.len());
            entries.push(Entry {
                found,
                written: 0,
                state: State::Waiting,
            });
        }
        Ok(Self {
            config,
            entries,
            by_name,
            layer_missing,
            loaded: Loaded::default(),
            layers: Vec::new(),
        })
    }

    /// The model's configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Takes the next bytes of a tensor. Says so when they were its last; bytes of tensors that nothing is computed
    /// from are ignored.
    ///
    /// # Errors
    /// [`Error::UnknownTensor`], [`Error::TooManyBytes`]; [`Error::Kernels`] if a weight is not a finite number;
    /// [`Error::OutOfMemory`].
    pub fn write(&mut self, tensor: &str, bytes: &[u8]) -> Result<Option<Landed>, Error> {
        let Some(&index) = self.by_name.get(tensor) else {
            if tensors::is_ignored(tensor) {
                return Ok(None);
            }
            return Err(Error::UnknownTensor {
                tensor: tensor.to_owned(),
            });
        };
        let entry = &mut self.entries[index];
        let left = entry.found.size - entry.written;
        if bytes.len() as u64 > left {
            return Err(Error::TooManyBytes {
                tensor: tensor.to_owned(),
                size: entry.found.size,
                surplus: bytes.len() - left as usize,
            });
        }
        if entry.is_complete() {
            return Ok(None);
        }
        let name = tensor.to_owned();
        match entry.take(bytes)? {
            Some(Whole::Matrix(matrix)) => self.loaded.insert_matrix(name, matrix),
            Some(Whole::Vector(vector)) => self.loaded.insert_vector(name, vector),
            None => return Ok(None),
        }
        let layer = entry.found.spec.layer.filter(|&layer| {
            self.layer_missing[layer] -= 1;
            self.layer_missing[layer] == 0
        });
        while self.layer_missing.get(self.layers.len()) == Some(&0) {
            let index = self.layers.len();
            let layer = families::assemble_layer(&mut self.loaded, index, &self.config)?;
            self.layers.push(layer);
        }
        Ok(Some(Landed {
            tensor: tensor.to_owned(),
            layer,
        }))
    }

    /// The tensors that are not complete, in the order of the model.
    pub fn missing(&self) -> Vec<&str> {
        self.entries
            .iter()
            .filter(|entry| !entry.is_complete())
            .map(|entry| entry.found.spec.name.as_str())
            .collect()
    }

    /// The model.
    ///
    /// # Errors
    /// [`Error::Incomplete`] if bytes are missing.
    pub fn finish(self) -> Result<Model, Error> {
        let missing = self.missing();
        if let Some(&first) = missing.first() {
            return Err(Error::Incomplete {
                count: missing.len(),
                first: first.to_owned(),
            });
        }
        families::assemble(self.config, self.loaded, self.layers)
    }

    /// The first blocks, as far as they are complete.
    pub(crate) fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The embedding, once it and what rotations are made with are there: what comes before the first block.
    pub(crate) fn embedding(&self) -> Option<&Matrix> {
        let incomplete = |name: &&str| {
            let index = self.by_name.get(*name);
            index.is_some_and(|&index| !self.entries[index].is_complete())
        };
        if families::ROPE_TENSORS.iter().any(incomplete) {
            return None;
        }
        self.loaded.peek_matrix(families::EMBEDDING)
    }

    /// What rotations are made with, as far as it is there.
    pub(crate) fn rope_factors(&self) -> RopeFactors {
        families::rope_factors(&self.loaded)
    }
}

impl Entry {
    /// Takes bytes that are known to fit; gives the tensor with the last.
    fn take(&mut self, bytes: &[u8]) -> Result<Option<Whole>, Error> {
        let found = &self.found;
        let Found { spec, format, size } = found;
        if matches!(self.state, State::Waiting) {
            self.state = match spec.shape.packed() {
                Some((columns, rows)) => State::Packing(Packer::new(*format, rows, columns)?),
                None => State::Collecting(Vec::with_capacity(*size as usize)),
            };
        }
        self.written += bytes.len() as u64;
        match &mut self.state {
            State::Packing(packer) => packer.write(bytes)?,
            State::Collecting(collected) => collected.extend_from_slice(bytes),
            State::Waiting | State::Landed => {}
        }
        if self.written < *size {
            return Ok(None);
        }
        Ok(match std::mem::replace(&mut self.state, State::Landed) {
            State::Packing(packer) => Some(Whole::Matrix(packer.finish()?)),
            State::Collecting(collected) => Some(Whole::Vector(floats(found, &collected)?)),
            State::Waiting | State::Landed => None,
        })
    }
}

fn floats(found: &Found, bytes: &[u8]) -> Result<Vec<f32>, Error> {
    let mut floats = vec![0.0; found.elements() as usize];
    dequantize(found.format, bytes, &mut floats)?;
    Ok(floats)
}
