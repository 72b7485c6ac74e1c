//! Everything a file says before its tensors' bytes.

use crate::{Error, HeaderReader, Metadata, Split, TensorInfo, metadata::sorted_positions};

/// The parsed header of one file.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// Format version, 2 or 3.
    pub version: u32,
    /// Key–value metadata.
    pub metadata: Metadata,
    /// Tensor directory, in the order of the tensors' bytes.
    pub tensors: Vec<TensorInfo>,
    /// Alignment of each tensor in bytes, relative to `data_offset`.
    pub alignment: u64,
    /// First byte of the tensor data, counted from the start of the file.
    pub data_offset: u64,
    /// Positions in `tensors` as parsed, ordered by name.
    by_name: Vec<u32>,
}

impl Header {
    /// Parses a header that is in memory as a whole; bytes after it are ignored.
    ///
    /// # Errors
    /// As [`HeaderReader::push`], and [`Error::Truncated`] if `bytes` end inside the header.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = HeaderReader::new();
        reader.push(bytes)?.ok_or_else(|| reader.truncated())
    }

    pub(crate) fn new(
        version: u32,
        metadata: Metadata,
        tensors: Vec<TensorInfo>,
        alignment: u64,
        data_offset: u64,
    ) -> Result<Self, Error> {
        let by_name = sorted_positions(&tensors, |tensor| &tensor.name).map_err(|name| {
            Error::DuplicateTensor {
                tensor: name.to_owned(),
            }
        })?;
        Ok(Self {
            version,
            metadata,
            tensors,
            alignment,
            data_offset,
            by_name,
        })
    }

    /// The tensor called `name`, found in logarithmic time.
    pub fn tensor(&self, name: &str) -> Option<&TensorInfo> {
        let found = self
            .by_name
            .binary_search_by(|&i| self.tensors[i as usize].name.as_str().cmp(name))
            .ok()?;
        Some(&self.tensors[self.by_name[found] as usize])
    }

    /// Which part of a split set this file is; `None` for a model in one file.
    ///
    /// # Errors
    /// [`Error::WrongType`] or [`Error::BadSplit`] if the `split.*` keys are unusable.
    pub fn split(&self) -> Result<Option<Split>, Error> {
        Split::from_metadata(&self.metadata)
    }

    /// End of the last tensor (of the header, if there are no tensors), counted from the start of the file.
    /// The file itself may be a little longer: writers pad its end to the alignment.
    pub fn file_size(&self) -> u64 {
        self.tensors
            .last()
            .map_or(self.data_offset, TensorInfo::end)
    }
}
