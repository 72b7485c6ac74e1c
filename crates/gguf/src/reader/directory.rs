//! The tensor directory, read as its bytes arrive.

use super::{
    at_most,
    source::{MAX_FIELD_BYTES, Source, StringReader},
    utf8,
};
use crate::{
    Error, Header, Limits, Metadata, TensorInfo, TensorType,
    tensor::{MAX_DIMENSIONS, bad_shape},
};

const _: () = assert!(MAX_DIMENSIONS * size_of::<u64>() <= MAX_FIELD_BYTES);

/// No limit lets a file end beyond this, so that sums of two positions fit in 64 bits.
const MAX_FILE_BYTES: u64 = i64::MAX as u64;

/// The directory under construction. Offsets stay relative to the tensor data until [`Self::finish`].
#[derive(Debug)]
pub(super) struct DirectoryReader {
    version: u32,
    metadata: Metadata,
    alignment: u64,
    remaining: u64,
    tensors: Vec<TensorInfo>,
    step: Step,
}

/// Where in an entry the reader stands.
#[derive(Debug)]
enum Step {
    Name(StringReader),
    DimensionCount { name: String },
    Dimensions { name: String, count: usize },
    TypeAndOffset { name: String, shape: Vec<u64> },
}

impl DirectoryReader {
    pub(super) fn new(version: u32, metadata: Metadata, tensors: u64, alignment: u64) -> Self {
        Self {
            version,
            metadata,
            alignment,
            remaining: tensors,
            tensors: Vec::new(),
            step: Step::Name(StringReader::default()),
        }
    }

    /// The header, once the directory is complete.
    pub(super) fn read(
        &mut self,
        source: &mut Source<'_>,
        limits: &Limits,
    ) -> Result<Option<Header>, Error> {
        while self.remaining > 0 {
            let index = self.tensors.len();
            match &mut self.step {
                Step::Name(reader) => {
                    let what = || format!("the length of the name of tensor {index}");
                    let Some(bytes) = reader.read(source, limits.tensor_name_bytes, what)? else {
                        return Ok(None);
                    };
                    let name = utf8(bytes, || format!("the name of tensor {index}"))?;
                    self.step = Step::DimensionCount { name };
                }
                Step::DimensionCount { name } => {
                    let Some(count) = source.take().map(u32::from_le_bytes) else {
                        return Ok(None);
                    };
                    at_most(
                        || format!("the number of dimensions of tensor \"{name}\""),
                        count.into(),
                        MAX_DIMENSIONS as u64,
                    )?;
                    self.step = Step::Dimensions {
                        name: std::mem::take(name),
                        count: count as usize,
                    };
                }
                Step::Dimensions { name, count } => {
                    let mut field = [0; MAX_FIELD_BYTES];
                    let field = &mut field[..*count * size_of::<u64>()];
                    if !source.take_into(field) {
                        return Ok(None);
                    }
                    let dimensions = field.as_chunks().0.iter();
                    self.step = Step::TypeAndOffset {
                        name: std::mem::take(name),
                        shape: dimensions.map(|&bytes| u64::from_le_bytes(bytes)).collect(),
                    };
                }
                Step::TypeAndOffset { name, shape } => {
                    let Some([t0, t1, t2, t3, offset @ ..]) = source.take::<12>() else {
                        return Ok(None);
                    };
                    let id = u32::from_le_bytes([t0, t1, t2, t3]);
                    let (name, shape) = (std::mem::take(name), std::mem::take(shape));
                    self.step = Step::Name(StringReader::default());
                    self.add(name, shape, id, u64::from_le_bytes(offset), limits)?;
                    self.remaining -= 1;
                }
            }
            at_most(
                || "the header's size in bytes".to_owned(),
                source.position(),
                limits.header_bytes,
            )?;
        }
        self.finish(source.position(), limits).map(Some)
    }

    fn add(
        &mut self,
        name: String,
        shape: Vec<u64>,
        id: u32,
        offset: u64,
        limits: &Limits,
    ) -> Result<(), Error> {
        let Some(kind) = TensorType::from_id(id) else {
            return Err(Error::UnknownTensorType { tensor: name, id });
        };
        let size = kind
            .tensor_bytes(&shape)
            .map_err(|reason| bad_shape(&name, &shape, reason))?;
        if !offset.is_multiple_of(self.alignment) {
            return Err(Error::MisalignedTensor {
                tensor: name,
                offset,
                alignment: self.alignment,
            });
        }
        let previous_end = self.tensors.last().map_or(0, TensorInfo::end);
        if offset < previous_end {
            return Err(Error::OverlappingTensor {
                tensor: name,
                offset,
                previous_end,
            });
        }
        at_most(
            || format!("the end of tensor \"{name}\" in bytes"),
            offset.saturating_add(size),
            limits.file_bytes.min(MAX_FILE_BYTES),
        )?;
        self.tensors.push(TensorInfo {
            name,
            shape,
            kind,
            offset,
            size,
        });
        Ok(())
    }

    /// The header, given where the directory ends.
    fn finish(&mut self, end: u64, limits: &Limits) -> Result<Header, Error> {
        let mut tensors = std::mem::take(&mut self.tensors);
        // Without tensors there is no data to align, and writers may end the file right here.
        let data_offset = match tensors.is_empty() {
            true => end,
            false => end.next_multiple_of(self.alignment),
        };
        for tensor in &mut tensors {
            tensor.offset = tensor.offset.saturating_add(data_offset);
            at_most(
                || format!("the end of tensor \"{}\" in bytes", tensor.name),
                tensor.offset.saturating_add(tensor.size),
                limits.file_bytes.min(MAX_FILE_BYTES),
            )?;
        }
        let metadata = std::mem::take(&mut self.metadata);
        Header::new(self.version, metadata, tensors, self.alignment, data_offset)
    }
}
