//! The metadata section, read as its bytes arrive.

use super::{
    at_most,
    source::{Source, StringReader},
    utf8,
    value::ValueReader,
};
use crate::{Error, Limits, Value, ValueType};

/// The entries under construction.
#[derive(Debug)]
pub(super) struct EntriesReader {
    remaining: u64,
    entries: Vec<(String, Value)>,
    step: Step,
}

/// Where in an entry the reader stands.
#[derive(Debug)]
enum Step {
    Key(StringReader),
    Type { key: String },
    Value { key: String, value: ValueReader },
}

impl EntriesReader {
    pub(super) fn new(count: u64) -> Self {
        Self {
            remaining: count,
            entries: Vec::new(),
            step: Step::Key(StringReader::default()),
        }
    }

    /// All entries, in file order, once they are complete.
    pub(super) fn read(
        &mut self,
        source: &mut Source<'_>,
        limits: &Limits,
    ) -> Result<Option<Vec<(String, Value)>>, Error> {
        while self.remaining > 0 {
            let index = self.entries.len() as u64;
            match &mut self.step {
                Step::Key(reader) => {
                    let what = || format!("the length of metadata key {index}");
                    let Some(bytes) = reader.read(source, limits.key_bytes, what)? else {
                        return Ok(None);
                    };
                    if bytes.is_empty() {
                        return Err(Error::EmptyKey { index });
                    }
                    let key = utf8(bytes, || format!("metadata key {index}"))?;
                    self.step = Step::Type { key };
                }
                Step::Type { key } => {
                    let Some(id) = source.take().map(u32::from_le_bytes) else {
                        return Ok(None);
                    };
                    let kind =
                        ValueType::from_id(id).ok_or_else(|| Error::unknown_value_type(key, id))?;
                    self.step = Step::Value {
                        key: std::mem::take(key),
                        value: ValueReader::new(kind),
                    };
                }
                Step::Value { key, value } => {
                    let Some(value) = value.read(source, key, limits)? else {
                        return Ok(None);
                    };
                    self.entries.push((std::mem::take(key), value));
                    self.remaining -= 1;
                    self.step = Step::Key(StringReader::default());
                }
            }
            at_most(
                || "the header's size in bytes".to_owned(),
                source.position(),
                limits.header_bytes,
            )?;
        }
        Ok(Some(std::mem::take(&mut self.entries)))
    }
}
