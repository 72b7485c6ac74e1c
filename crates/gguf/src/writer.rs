//! GGUF files for tests and tools.

use crate::{
    ALIGNMENT_KEY, Array, DEFAULT_ALIGNMENT, Error, Limits, MAGIC, TensorType, Value, ValueType,
    metadata::sorted_positions, reader::check_alignment, tensor::bad_shape,
};

/// Collects metadata and tensors, then gives the bytes of a little-endian file.
///
/// ```
/// # fn main() -> Result<(), gguf::Error> {
/// let file = gguf::Writer::new()
///     .with("general.architecture", "llama")
///     .tensor("output_norm.weight", &[2], gguf::TensorType::F32, vec![0; 8])
///     .to_bytes()?;
/// assert_eq!(gguf::Header::parse(&file)?.tensors[0].shape, [2]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Writer {
    header: HeaderWriter,
    /// Bytes of the header's tensors, in its order.
    bytes: Vec<Vec<u8>>,
}

impl Writer {
    /// An empty file of version 3.
    pub fn new() -> Self {
        Self::default()
    }

    /// Chooses the format version, 2 or 3. The two differ only in the number.
    pub fn version(mut self, version: u32) -> Self {
        self.header.version = version;
        self
    }

    /// Adds a metadata entry. The key [`ALIGNMENT_KEY`] (a `u32`) also sets the alignment of the tensors.
    pub fn with(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.header = self.header.with(key, value);
        self
    }

    /// Adds a tensor: its dimensions innermost first, and its bytes as they stand in the file.
    pub fn tensor(
        mut self,
        name: impl Into<String>,
        shape: &[u64],
        kind: TensorType,
        bytes: Vec<u8>,
    ) -> Self {
        self.header = self.header.tensor(name, shape, kind);
        self.bytes.push(bytes);
        self
    }

    /// The whole file.
    ///
    /// # Errors
    /// As [`HeaderWriter::to_bytes`], and if bytes do not fill their tensor.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let mut file = self.header.to_bytes()?;
        let alignment = self.header.alignment()? as usize;
        for (tensor, bytes) in self.header.tensors.iter().zip(&self.bytes) {
            let (expected, actual) = (tensor.bytes()?, bytes.len() as u64);
            if actual != expected {
                return Err(Error::WrongTensorSize {
                    tensor: tensor.name.clone(),
                    expected,
                    actual,
                });
            }
            file.extend_from_slice(bytes);
            file.resize(file.len().next_multiple_of(alignment), 0);
        }
        Ok(file)
    }
}

/// Collects metadata and a tensor directory, then gives the bytes that stand before the tensors.
///
/// For files too large for memory: write [`Self::to_bytes`], then each tensor's bytes in the order of the directory, each
/// followed by zeros up to a multiple of [`Self::alignment`].
#[derive(Debug, Clone)]
pub struct HeaderWriter {
    version: u32,
    metadata: Vec<(String, Value)>,
    tensors: Vec<Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    name: String,
    shape: Vec<u64>,
    kind: TensorType,
}

impl Entry {
    fn bytes(&self) -> Result<u64, Error> {
        self.kind
            .tensor_bytes(&self.shape)
            .map_err(|reason| bad_shape(&self.name, &self.shape, reason))
    }
}

impl Default for HeaderWriter {
    fn default() -> Self {
        Self {
            version: 3,
            metadata: Vec::new(),
            tensors: Vec::new(),
        }
    }
}

impl HeaderWriter {
    /// An empty header of version 3.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a metadata entry. The key [`ALIGNMENT_KEY`] (a `u32`) also sets the alignment of the tensors.
    pub fn with(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.metadata.push((key.into(), value.into()));
        self
    }

    /// Adds a tensor to the directory: its dimensions innermost first.
    pub fn tensor(mut self, name: impl Into<String>, shape: &[u64], kind: TensorType) -> Self {
        self.tensors.push(Entry {
            name: name.into(),
            shape: shape.to_vec(),
            kind,
        });
        self
    }

    /// What each tensor's first byte, counted from the end of the header, is a multiple of.
    ///
    /// # Errors
    /// If [`ALIGNMENT_KEY`] has another type or an unusable value.
    pub fn alignment(&self) -> Result<u64, Error> {
        let alignment = match self.metadata.iter().find(|(key, _)| key == ALIGNMENT_KEY) {
            None => DEFAULT_ALIGNMENT,
            Some((_, Value::U32(alignment))) => u64::from(*alignment),
            Some((key, other)) => {
                return Err(Error::wrong_type(key, "a u32", other.kind().name()));
            }
        };
        check_alignment(alignment, Limits::default().alignment)?;
        Ok(alignment)
    }

    /// The bytes before the first tensor, padded to where it starts.
    ///
    /// # Errors
    /// Whatever would make a reader refuse the file: an unsupported version or alignment, a duplicate or empty key,
    /// a duplicate tensor, a shape that does not fit the type.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        if !matches!(self.version, 2 | 3) {
            return Err(Error::UnsupportedVersion {
                version: self.version,
            });
        }
        self.check_names()?;
        let alignment = self.alignment()?;
        let mut file = MAGIC.to_vec();
        file.extend(self.version.to_le_bytes());
        file.extend((self.tensors.len() as u64).to_le_bytes());
        file.extend((self.metadata.len() as u64).to_le_bytes());
        for (key, value) in &self.metadata {
            put_text(&mut file, key.as_bytes());
            file.extend(value.kind().id().to_le_bytes());
            put_value(&mut file, value);
        }
        let mut offset = 0;
        for tensor in &self.tensors {
            put_text(&mut file, tensor.name.as_bytes());
            file.extend((tensor.shape.len() as u32).to_le_bytes());
            for dimension in &tensor.shape {
                file.extend(dimension.to_le_bytes());
            }
            file.extend(tensor.kind.id().to_le_bytes());
            file.extend(u64::to_le_bytes(offset));
            offset += tensor.bytes()?.next_multiple_of(alignment);
        }
        file.resize(file.len().next_multiple_of(alignment as usize), 0);
        Ok(file)
    }

    /// Refuses names that a reader would refuse.
    fn check_names(&self) -> Result<(), Error> {
        if let Some(index) = self.metadata.iter().position(|(key, _)| key.is_empty()) {
            return Err(Error::EmptyKey {
                index: index as u64,
            });
        }
        sorted_positions(&self.metadata, |(key, _)| key).map_err(|key| Error::DuplicateKey {
            key: key.to_owned(),
        })?;
        sorted_positions(&self.tensors, |tensor| &tensor.name).map_err(|name| {
            Error::DuplicateTensor {
                tensor: name.to_owned(),
            }
        })?;
        Ok(())
    }
}

fn put_text(file: &mut Vec<u8>, text: &[u8]) {
    file.extend((text.len() as u64).to_le_bytes());
    file.extend_from_slice(text);
}

fn put_value(file: &mut Vec<u8>, value: &Value) {
    match value {
        Value::U8(v) => file.extend(v.to_le_bytes()),
        Value::I8(v) => file.extend(v.to_le_bytes()),
        Value::U16(v) => file.extend(v.to_le_bytes()),
        Value::I16(v) => file.extend(v.to_le_bytes()),
        Value::U32(v) => file.extend(v.to_le_bytes()),
        Value::I32(v) => file.extend(v.to_le_bytes()),
        Value::U64(v) => file.extend(v.to_le_bytes()),
        Value::I64(v) => file.extend(v.to_le_bytes()),
        Value::F32(v) => file.extend(v.to_le_bytes()),
        Value::F64(v) => file.extend(v.to_le_bytes()),
        Value::Bool(v) => file.push((*v).into()),
        Value::String(v) => put_text(file, v.as_bytes()),
        Value::Array(array) => put_array(file, array),
    }
}

fn put_array(file: &mut Vec<u8>, array: &Array) {
    let element: ValueType = array.element();
    file.extend(element.id().to_le_bytes());
    file.extend((array.len() as u64).to_le_bytes());
    match array {
        Array::U8(v) => file.extend_from_slice(v),
        Array::I8(v) => v.iter().for_each(|x| file.extend(x.to_le_bytes())),
        Array::U16(v) => v.iter().for_each(|x| file.extend(x.to_le_bytes())),
        Array::I16(v) => v.iter().for_each(|x| file.extend(x.to_le_bytes())),
        Array::U32(v) => v.iter().for_each(|x| file.extend(x.to_le_bytes())),
        Array::I32(v) => v.iter().for_each(|x| file.extend(x.to_le_bytes())),
        Array::U64(v) => v.iter().for_each(|x| file.extend(x.to_le_bytes())),
        Array::I64(v) => v.iter().for_each(|x| file.extend(x.to_le_bytes())),
        Array::F32(v) => v.iter().for_each(|x| file.extend(x.to_le_bytes())),
        Array::F64(v) => v.iter().for_each(|x| file.extend(x.to_le_bytes())),
        Array::Bool(v) => file.extend(v.iter().map(|&flag| u8::from(flag))),
        Array::Strings(v) => v.iter().for_each(|text| put_text(file, text)),
        Array::Arrays(v) => v.iter().for_each(|inner| put_array(file, inner)),
    }
}
