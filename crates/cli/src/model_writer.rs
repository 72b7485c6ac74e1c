//! GGUF files written tensor by tensor.

use std::path::Path;

use anyhow::Result;
use gguf::HeaderWriter;

use crate::new_file::NewFile;

/// A file whose header is written and whose tensors follow in the order of its directory.
#[derive(Debug)]
pub(crate) struct ModelWriter {
    file: NewFile,
    alignment: usize,
    /// Bytes written of the tensor in progress.
    written: usize,
}

impl ModelWriter {
    /// Refuses to replace a file unless `force` is given.
    pub(crate) fn create(path: &Path, force: bool, header: &HeaderWriter) -> Result<Self> {
        let bytes = header.to_bytes()?;
        let mut file = NewFile::create(path, force)?;
        file.write(&bytes)?;
        Ok(Self {
            file,
            alignment: usize::try_from(header.alignment()?)?,
            written: 0,
        })
    }

    /// Adds bytes to the tensor in progress.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.written += bytes.len();
        self.file.write(bytes)
    }

    /// Ends the tensor in progress: the next one starts at a multiple of the alignment.
    pub(crate) fn end_tensor(&mut self) -> Result<()> {
        let padding = self.written.next_multiple_of(self.alignment) - self.written;
        self.written = 0;
        self.file.write(&vec![0; padding])
    }

    /// Puts the file in its place.
    pub(crate) fn finish(self) -> Result<()> {
        self.file.finish()
    }
}
