//! Files that are there whole or not at all.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

/// A file under construction beside its place. It takes its name in [`Self::finish`]; dropped before, it is removed.
#[derive(Debug)]
pub(crate) struct NewFile {
    path: PathBuf,
    temporary: PathBuf,
    file: Option<BufWriter<File>>,
}

/// Bytes collected before they are written.
const BUFFER: usize = 1 << 20;

impl NewFile {
    /// Refuses to replace a file unless `force` is given.
    pub(crate) fn create(path: &Path, force: bool) -> Result<Self> {
        if !force && path.exists() {
            bail!(
                "{} exists; give another name, or --force to replace it",
                path.display()
            );
        }
        let mut name = path
            .file_name()
            .map(OsString::from)
            .with_context(|| format!("{} does not name a file", path.display()))?;
        name.push(format!(".{}.part", std::process::id()));
        let temporary = path.with_file_name(name);
        let file = File::create(&temporary)
            .with_context(|| format!("{} can't be written", temporary.display()))?;
        Ok(Self {
            path: path.to_path_buf(),
            temporary,
            file: Some(BufWriter::with_capacity(BUFFER, file)),
        })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        file.write_all(bytes)
            .with_context(|| format!("{} can't be written", self.temporary.display()))
    }

    /// Puts the file in its place once every byte is on the disk.
    pub(crate) fn finish(mut self) -> Result<()> {
        let Some(file) = self.file.take() else {
            return Ok(());
        };
        let failed = || format!("{} can't be written", self.path.display());
        let file = file.into_inner().map_err(|error| error.into_error());
        file.and_then(|file| file.sync_all())
            .and_then(|()| fs::rename(&self.temporary, &self.path))
            .with_context(failed)
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        // After `finish` there is nothing to remove; before it, an unfinished file that can't be removed is no new harm.
        let _ = fs::remove_file(&self.temporary);
    }
}
