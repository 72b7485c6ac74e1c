//! The tensors of a model that have been read.

use std::collections::HashMap;

use kernels::Matrix;

use crate::Error;
use crate::weights::{LayerNorm, Linear};

/// Tensors that have been read, by name.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    matrices: HashMap<String, Matrix>,
    vectors: HashMap<String, Vec<f32>>,
    bytes: usize,
}

impl Loaded {
    pub(crate) fn insert_matrix(&mut self, name: String, matrix: Matrix) {
        self.bytes += matrix.packed_bytes();
        self.matrices.insert(name, matrix);
    }

    pub(crate) fn insert_vector(&mut self, name: String, vector: Vec<f32>) {
        self.bytes += size_of_val(vector.as_slice());
        self.vectors.insert(name, vector);
    }

    /// Takes a matrix out.
    pub(crate) fn matrix(&mut self, name: &str) -> Result<Matrix, Error> {
        self.matrices
            .remove(name)
            .ok_or_else(|| Error::MissingTensor {
                tensor: name.to_owned(),
            })
    }

    /// Takes a matrix out with its scale and its bias: `{name}.weight`, `{name}.scale`, `{name}.bias`.
    pub(crate) fn linear(&mut self, name: &str) -> Result<Linear, Error> {
        let weight = self.matrix(&format!("{name}.weight"))?;
        let scale = self.vector(&format!("{name}.scale"));
        Ok(Linear {
            weight,
            scale: scale.first().map_or(1.0, |&scale| scale),
            bias: self.vector(&format!("{name}.bias")),
        })
    }

    /// Takes a layer norm out: `{name}.weight`, `{name}.bias`.
    pub(crate) fn norm(&mut self, name: &str) -> LayerNorm {
        LayerNorm {
            weight: self.vector(&format!("{name}.weight")),
            bias: self.vector(&format!("{name}.bias")),
        }
    }

    /// Takes a vector out; one that the files do not have is empty.
    pub(crate) fn vector(&mut self, name: &str) -> Vec<f32> {
        self.vectors.remove(name).unwrap_or_default()
    }

    /// A matrix that stays.
    pub(crate) fn peek_matrix(&self, name: &str) -> Option<&Matrix> {
        self.matrices.get(name)
    }

    /// A copy of a vector; one that the files do not have is empty.
    pub(crate) fn peek_vector(&self, name: &str) -> Vec<f32> {
        self.vectors.get(name).cloned().unwrap_or_default()
    }

    /// Bytes of everything that was inserted.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}
