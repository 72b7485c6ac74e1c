//! A header parsed as its bytes arrive.

mod directory;
mod entries;
mod source;
mod value;

use crate::{ALIGNMENT_KEY, DEFAULT_ALIGNMENT, Error, Header, Limits, MAGIC, Metadata};
use directory::DirectoryReader;
use entries::EntriesReader;
use source::{Source, Stash};

/// Smallest alignment: the format asks for a multiple of 8.
const MIN_ALIGNMENT: u64 = 8;

/// Reads a header from pieces of any size.
///
/// Each byte is looked at once, whatever the pieces; memory grows with the bytes that have arrived, never with
/// what the header claims.
///
/// ```
/// # fn main() -> Result<(), gguf::Error> {
/// # let file = gguf::Writer::new().with("general.architecture", "llama").to_bytes()?;
/// let mut reader = gguf::HeaderReader::new();
/// for piece in file.chunks(7) {
///     if let Some(header) = reader.push(piece)? {
///         assert_eq!(header.metadata.string("general.architecture")?, Some("llama"));
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct HeaderReader {
    limits: Limits,
    position: u64,
    stash: Stash,
    state: State,
}

#[derive(Debug)]
enum State {
    Magic,
    Version,
    Counts {
        version: u32,
    },
    Metadata {
        version: u32,
        tensors: u64,
        entries: EntriesReader,
    },
    Directory(DirectoryReader),
    Done,
    Failed(Error),
}

impl Default for HeaderReader {
    fn default() -> Self {
        Self::new()
    }
}

impl HeaderReader {
    /// A reader with the default [`Limits`].
    pub fn new() -> Self {
        Self::with_limits(Limits::default())
    }

    /// A reader with limits of one's own.
    pub fn with_limits(limits: Limits) -> Self {
        Self {
            limits,
            position: 0,
            stash: Stash::default(),
            state: State::Magic,
        }
    }

    /// Takes the next piece of the file. Yields the header once, with the piece that completes it; bytes after
    /// the header belong to the tensors and are ignored.
    ///
    /// # Errors
    /// What is wrong with the header. The reader stays failed: every later call gives the same error.
    pub fn push(&mut self, piece: &[u8]) -> Result<Option<Header>, Error> {
        let mut source = Source::new(&mut self.stash, piece, &mut self.position);
        loop {
            match self.state.advance(&mut source, &self.limits) {
                Ok(Progress::Next(next)) => self.state = next,
                Ok(Progress::Starved) => return Ok(None),
                Ok(Progress::Complete(header)) => {
                    self.state = State::Done;
                    return Ok(Some(header));
                }
                Err(error) => {
                    self.state = State::Failed(error.clone());
                    return Err(error);
                }
            }
        }
    }

    /// Bytes of the header read so far.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The error for a file that ends before its header is complete.
    pub fn truncated(&self) -> Error {
        Error::Truncated {
            bytes: self.position,
        }
    }
}

/// What a section of the header led to.
enum Progress {
    /// The section is complete, and this one follows.
    Next(State),
    /// The piece is used up; go on with the next one.
    Starved,
    /// The header is complete.
    Complete(Header),
}

impl State {
    fn advance(&mut self, source: &mut Source<'_>, limits: &Limits) -> Result<Progress, Error> {
        Ok(Progress::Next(match self {
            Self::Magic => match source.take::<4>() {
                None => return Ok(Progress::Starved),
                Some(MAGIC) => Self::Version,
                Some(first) => return Err(Error::NotGguf { first }),
            },
            Self::Version => match source.take().map(u32::from_le_bytes) {
                None => return Ok(Progress::Starved),
                Some(version) => Self::Counts {
                    version: supported_version(version)?,
                },
            },
            Self::Counts { version } => match source.take().map(u128::from_le_bytes) {
                None => return Ok(Progress::Starved),
                Some(counts) => {
                    let (tensors, entries) = (counts as u64, (counts >> 64) as u64);
                    at_most(
                        || "the number of tensors".to_owned(),
                        tensors,
                        limits.tensors,
                    )?;
                    at_most(
                        || "the number of metadata entries".to_owned(),
                        entries,
                        limits.metadata_entries,
                    )?;
                    Self::Metadata {
                        version: *version,
                        tensors,
                        entries: EntriesReader::new(entries),
                    }
                }
            },
            Self::Metadata {
                version,
                tensors,
                entries,
            } => match entries.read(source, limits)? {
                None => return Ok(Progress::Starved),
                Some(entries) => {
                    let metadata = Metadata::from_entries(entries)?;
                    let alignment = alignment(&metadata, limits)?;
                    let directory = DirectoryReader::new(*version, metadata, *tensors, alignment);
                    Self::Directory(directory)
                }
            },
            Self::Directory(directory) => {
                return Ok(match directory.read(source, limits)? {
                    None => Progress::Starved,
                    Some(header) => Progress::Complete(header),
                });
            }
            Self::Done => return Ok(Progress::Starved),
            Self::Failed(error) => return Err(error.clone()),
        }))
    }
}

/// Checks the version, telling foreign byte order from the future.
fn supported_version(version: u32) -> Result<u32, Error> {
    // Versions are small, so in a big-endian file the two bytes that come first are zero.
    if version != 0 && version & 0xffff == 0 {
        return Err(Error::BigEndian {
            version: version.swap_bytes(),
        });
    }
    match version {
        2 | 3 => Ok(version),
        _ => Err(Error::UnsupportedVersion { version }),
    }
}

fn alignment(metadata: &Metadata, limits: &Limits) -> Result<u64, Error> {
    let alignment = metadata.u64(ALIGNMENT_KEY)?.unwrap_or(DEFAULT_ALIGNMENT);
    check_alignment(alignment, limits.alignment)?;
    Ok(alignment)
}

/// The format asks for a multiple of 8, ggml for a power of two.
pub(crate) fn check_alignment(alignment: u64, limit: u64) -> Result<(), Error> {
    if alignment.is_power_of_two() && (MIN_ALIGNMENT..=limit).contains(&alignment) {
        Ok(())
    } else {
        Err(Error::BadAlignment { alignment, limit })
    }
}

fn at_most(what: impl FnOnce() -> String, value: u64, limit: u64) -> Result<(), Error> {
    if value > limit {
        return Err(Error::TooLarge {
            what: what(),
            value,
            limit,
        });
    }
    Ok(())
}

fn utf8(bytes: Vec<u8>, what: impl FnOnce() -> String) -> Result<String, Error> {
    String::from_utf8(bytes).map_err(|_| Error::InvalidUtf8 { what: what() })
}
