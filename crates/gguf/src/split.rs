//! Models split over several files, as `llama-gguf-split` writes them.
//!
//! Each file is a GGUF file of its own with some of the tensors. The first also has the model's metadata; all have
//! the keys `split.no`, `split.count` and `split.tensors.count`. Files are named
//! `<prefix>-<number>-of-<count>.gguf`, both numbers with at least five digits, counted from 1.

use std::collections::BTreeSet;

use crate::{Error, Header, Metadata};

/// Metadata key of a file's number in its set, from 0.
pub const NO_KEY: &str = "split.no";
/// Metadata key of the number of files in the set.
pub const COUNT_KEY: &str = "split.count";
/// Metadata key of the number of tensors in all files of the set.
pub const TENSORS_KEY: &str = "split.tensors.count";

const EXTENSION: &str = ".gguf";
const SEPARATOR: &str = "-of-";
const DIGITS: usize = 5;

/// A file's place in its split set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Split {
    /// This file's number, from 0.
    pub no: u16,
    /// Files in the set, at least 2.
    pub count: u16,
    /// Tensors in all files together.
    pub tensors: u32,
}

impl Split {
    pub(crate) fn from_metadata(metadata: &Metadata) -> Result<Option<Self>, Error> {
        let count = match metadata.u32(COUNT_KEY)? {
            None | Some(0 | 1) => return Ok(None),
            Some(count) => narrow(COUNT_KEY, count)?,
        };
        let no = narrow(NO_KEY, required(metadata, NO_KEY)?)?;
        if no >= count {
            return Err(bad(format!("{NO_KEY} is {no}, but {COUNT_KEY} is {count}")));
        }
        let tensors = required(metadata, TENSORS_KEY)?;
        Ok(Some(Self { no, count, tensors }))
    }
}

fn required(metadata: &Metadata, key: &str) -> Result<u32, Error> {
    metadata
        .u32(key)?
        .ok_or_else(|| bad(format!("{key} is missing, though {COUNT_KEY} is present")))
}

fn narrow(key: &str, value: u32) -> Result<u16, Error> {
    u16::try_from(value).map_err(|_| bad(format!("{key} is {value}, more than {}", u16::MAX)))
}

fn bad(reason: String) -> Error {
    Error::BadSplit { reason }
}

/// Checks that `headers`, in order, are all the files of one model: a single file, or a complete split set.
///
/// # Errors
/// [`Error::BadSplit`] if files are missing, surplus, in the wrong order or of different sets;
/// [`Error::DuplicateTensor`] if two files have the same tensor.
pub fn check_set(headers: &[Header]) -> Result<(), Error> {
    let Some(first) = headers.first() else {
        return Err(bad("there are no files".to_owned()));
    };
    let Some(set) = first.split()? else {
        return match headers.len() {
            1 => Ok(()),
            n => Err(bad(format!(
                "{n} files were given, but the first is a whole model"
            ))),
        };
    };
    if headers.len() != usize::from(set.count) {
        return Err(bad(format!(
            "{} files were given, but {COUNT_KEY} is {}",
            headers.len(),
            set.count
        )));
    }
    let mut names = BTreeSet::new();
    for (position, header) in headers.iter().enumerate() {
        let split = header
            .split()?
            .ok_or_else(|| bad(format!("file {position} does not belong to a set")))?;
        if usize::from(split.no) != position {
            return Err(bad(format!("file {position} has {NO_KEY} {}", split.no)));
        }
        if (split.count, split.tensors) != (set.count, set.tensors) {
            return Err(bad(format!(
                "file {position} is of a set of {} files and {} tensors, the first file of {} and {}",
                split.count, split.tensors, set.count, set.tensors
            )));
        }
        for tensor in &header.tensors {
            if !names.insert(tensor.name.as_str()) {
                return Err(Error::DuplicateTensor {
                    tensor: tensor.name.clone(),
                });
            }
        }
    }
    if names.len() != set.tensors as usize {
        return Err(bad(format!(
            "the files have {} tensors, but {TENSORS_KEY} is {}",
            names.len(),
            set.tensors
        )));
    }
    Ok(())
}

/// A file name of the form `<prefix>-00001-of-00003.gguf`; the prefix may be a path or the start of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardName<'a> {
    /// What stands before the numbers.
    pub prefix: &'a str,
    /// The file's number, from 0 (the name counts from 1).
    pub no: u16,
    /// Files in the set.
    pub count: u16,
}

impl<'a> ShardName<'a> {
    /// Takes a name apart; `None` if it is not the name of a file in a set.
    pub fn parse(name: &'a str) -> Option<Self> {
        let stem = name.strip_suffix(EXTENSION)?;
        let (rest, count) = stem.rsplit_once(SEPARATOR)?;
        let (prefix, number) = rest.rsplit_once('-')?;
        let (number, count) = (digits(number)?, digits(count)?);
        let valid = !prefix.is_empty() && (1..=count).contains(&number);
        valid.then(|| Self {
            prefix,
            no: number - 1,
            count,
        })
    }

    /// Name of file `no` (from 0) of the same set.
    pub fn sibling(&self, no: u16) -> String {
        let number = u32::from(no) + 1;
        format!(
            "{}-{number:0DIGITS$}{SEPARATOR}{:0DIGITS$}{EXTENSION}",
            self.prefix, self.count
        )
    }

    /// Names of all files of the set, in order.
    pub fn all(&self) -> impl ExactSizeIterator<Item = String> + '_ {
        (0..self.count).map(|no| self.sibling(no))
    }
}

fn digits(text: &str) -> Option<u16> {
    let valid = text.len() >= DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
    valid.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shard_names_are_taken_apart_and_put_together() {
        let name = "https://example.org/a-b/model-q4-00002-of-00003.gguf";
        let shard = ShardName::parse(name).expect("a shard");
        assert_eq!(shard.prefix, "https://example.org/a-b/model-q4");
        assert_eq!((shard.no, shard.count), (1, 3));
        assert_eq!(shard.sibling(1), name);
        assert_eq!(
            ShardName {
                prefix: "m",
                no: 0,
                count: 2
            }
            .all()
            .collect::<Vec<_>>(),
            ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"]
        );
    }

    #[test]
    fn other_names_are_not_shards() {
        for name in [
            "model.gguf",
            "model-00001-of-00002",
            "model-00000-of-00002.gguf",
            "model-00003-of-00002.gguf",
            "model-0001-of-0002.gguf",
            "model-+0001-of-00002.gguf",
            "model-99999-of-99999.gguf",
            "-00001-of-00002.gguf",
            "00001-of-00002.gguf",
            "",
        ] {
            assert_eq!(ShardName::parse(name), None, "{name}");
        }
    }
}
