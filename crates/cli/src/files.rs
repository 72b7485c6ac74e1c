//! Model files on disk, memory-mapped, with their headers.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, bail};
use gguf::{Header, HeaderReader, TensorInfo, split::ShardName};
use memmap2::Mmap;

/// All files of one model, in order.
#[derive(Debug)]
pub(crate) struct ModelFiles {
    files: Vec<(PathBuf, Mmap)>,
    headers: Vec<Header>,
}

/// Bytes given to the header reader at a time: the header of a model with a large vocabulary is a few megabytes, so
/// that the weights behind it are never touched for it.
const HEADER_CHUNK: usize = 1 << 20;

impl ModelFiles {
    /// Maps a model and reads its headers. `path` may be the first file of a split set; the others lie beside it.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let mut files = Vec::new();
        let mut headers = Vec::new();
        for path in parts(path)? {
            let map = map(&path)?;
            let header = header(&map)
                .with_context(|| format!("{} can't be read as GGUF", path.display()))?;
            headers.push(header);
            files.push((path, map));
        }
        gguf::split::check_set(&headers).context("the files do not make a model")?;
        Ok(Self { files, headers })
    }

    pub(crate) fn headers(&self) -> &[Header] {
        &self.headers
    }

    /// The header with the metadata: the first file's. There is always one.
    pub(crate) fn first_header(&self) -> &Header {
        &self.headers[0]
    }

    /// Bytes of all files together.
    pub(crate) fn size(&self) -> u64 {
        self.files.iter().map(|(_, map)| map.len() as u64).sum()
    }

    /// Every tensor with its bytes, in file order.
    pub(crate) fn tensors(&self) -> impl Iterator<Item = Result<(&TensorInfo, &[u8])>> {
        self.headers
            .iter()
            .zip(&self.files)
            .flat_map(|(header, (path, map))| {
                header.tensors.iter().map(move |tensor| {
                    let bytes = usize::try_from(tensor.offset)
                        .ok()
                        .zip(usize::try_from(tensor.end()).ok())
                        .and_then(|(start, end)| map.get(start..end));
                    let bytes = bytes.ok_or_else(|| {
                    anyhow!(
                        "{} is truncated: tensor {} ends at byte {}, the file at {}; get it again",
                        path.display(),
                        tensor.name,
                        tensor.end(),
                        map.len()
                    )
                })?;
                    Ok((tensor, bytes))
                })
            })
    }
}

/// The files that belong to the one that was named.
fn parts(path: &Path) -> Result<Vec<PathBuf>> {
    let name = path.file_name().and_then(|name| name.to_str());
    let Some(shard) = name.and_then(ShardName::parse) else {
        return Ok(vec![path.to_path_buf()]);
    };
    if shard.no != 0 {
        bail!(
            "{} is not the first file of its split set; name {}",
            path.display(),
            shard.sibling(0)
        );
    }
    Ok(shard.all().map(|name| path.with_file_name(name)).collect())
}

fn map(path: &Path) -> Result<Mmap> {
    let file = File::open(path).with_context(|| format!("{} can't be opened", path.display()))?;
    // SAFETY: the mapping is only read. Another program that shortens the file meanwhile would end this one with a
    // signal; that is the price every memory-mapping reader of weights pays.
    let map = unsafe { Mmap::map(&file) };
    map.with_context(|| format!("{} can't be mapped", path.display()))
}

fn header(bytes: &[u8]) -> Result<Header> {
    let mut reader = HeaderReader::new();
    for chunk in bytes.chunks(HEADER_CHUNK) {
        if let Some(header) = reader.push(chunk)? {
            return Ok(header);
        }
    }
    bail!(
        "the header is incomplete after all {} bytes of the file; get it again",
        bytes.len()
    )
}
