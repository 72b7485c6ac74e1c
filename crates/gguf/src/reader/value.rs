//! One metadata value, read as its bytes arrive.

use super::{
    at_most,
    source::{Source, StringReader, read_text},
    utf8,
};
use crate::{Array, Error, Limits, Value, ValueType};

/// A value under construction.
#[derive(Debug)]
pub(super) enum ValueReader {
    Scalar(ValueType),
    String(StringReader),
    Array(ArrayReader),
}

impl ValueReader {
    pub(super) fn new(kind: ValueType) -> Self {
        match kind {
            ValueType::String => Self::String(StringReader::default()),
            ValueType::Array => Self::Array(ArrayReader::default()),
            _ => Self::Scalar(kind),
        }
    }

    /// The value of `key` once it is complete.
    pub(super) fn read(
        &mut self,
        source: &mut Source<'_>,
        key: &str,
        limits: &Limits,
    ) -> Result<Option<Value>, Error> {
        match self {
            Self::Scalar(kind) => read_scalar(*kind, source, key),
            Self::String(reader) => {
                let what = || format!("the length of the value of metadata key \"{key}\"");
                let Some(bytes) = reader.read(source, limits.string_bytes, what)? else {
                    return Ok(None);
                };
                let text = utf8(bytes, || format!("the value of metadata key \"{key}\""))?;
                Ok(Some(Value::String(text)))
            }
            Self::Array(reader) => Ok(reader.read(source, key, limits)?.map(Value::Array)),
        }
    }
}

fn read_scalar(
    kind: ValueType,
    source: &mut Source<'_>,
    key: &str,
) -> Result<Option<Value>, Error> {
    let mut array = Array::empty(kind);
    let mut field = [0; 8];
    let field = &mut field[..kind.min_bytes() as usize];
    if !source.take_into(field) {
        return Ok(None);
    }
    extend(&mut array, field, key)?;
    Ok(first(array))
}

/// The only element of an array of numbers or booleans.
fn first(array: Array) -> Option<Value> {
    match array {
        Array::U8(v) => v.first().map(|&x| x.into()),
        Array::I8(v) => v.first().map(|&x| x.into()),
        Array::U16(v) => v.first().map(|&x| x.into()),
        Array::I16(v) => v.first().map(|&x| x.into()),
        Array::U32(v) => v.first().map(|&x| x.into()),
        Array::I32(v) => v.first().map(|&x| x.into()),
        Array::U64(v) => v.first().map(|&x| x.into()),
        Array::I64(v) => v.first().map(|&x| x.into()),
        Array::F32(v) => v.first().map(|&x| x.into()),
        Array::F64(v) => v.first().map(|&x| x.into()),
        Array::Bool(v) => v.first().map(|&x| x.into()),
        Array::Strings(_) | Array::Arrays(_) => None,
    }
}

/// An array under construction, inside the arrays that hold it.
#[derive(Debug, Default)]
pub(super) struct ArrayReader {
    /// Outermost first; the last one is being filled.
    open: Vec<Open>,
}

#[derive(Debug)]
struct Open {
    array: Array,
    /// Elements yet to come.
    remaining: u64,
    /// Bytes yet to come of the text being read, for an array of texts.
    text_remaining: Option<u64>,
}

impl ArrayReader {
    fn read(
        &mut self,
        source: &mut Source<'_>,
        key: &str,
        limits: &Limits,
    ) -> Result<Option<Array>, Error> {
        loop {
            let Some(open) = self.open.last_mut() else {
                if !self.open_next(source, key, limits)? {
                    return Ok(None);
                }
                continue;
            };
            if open.remaining == 0 {
                open.array.shrink_to_fit();
                let Some(Open { array, .. }) = self.open.pop() else {
                    return Ok(None);
                };
                match self.open.last_mut() {
                    None => return Ok(Some(array)),
                    Some(Open {
                        array: Array::Arrays(outer),
                        remaining,
                        ..
                    }) => {
                        outer.push(array);
                        *remaining -= 1;
                    }
                    Some(_) => unreachable!("only an array of arrays opens another array"),
                }
                continue;
            }
            let advanced = match open.array.element() {
                ValueType::Array => self.open_next(source, key, limits)?,
                ValueType::String => open.read_texts(source, key, limits)?,
                _ => open.read_numbers(source, key)?,
            };
            if !advanced {
                return Ok(None);
            }
        }
    }

    /// Reads an element type and a count, and starts an array of them.
    fn open_next(
        &mut self,
        source: &mut Source<'_>,
        key: &str,
        limits: &Limits,
    ) -> Result<bool, Error> {
        let Some([t0, t1, t2, t3, count @ ..]) = source.take::<12>() else {
            return Ok(false);
        };
        let id = u32::from_le_bytes([t0, t1, t2, t3]);
        let count = u64::from_le_bytes(count);
        let element = ValueType::from_id(id).ok_or_else(|| Error::unknown_value_type(key, id))?;
        at_most(
            || format!("the number of elements of metadata key \"{key}\""),
            count,
            limits.array_elements,
        )?;
        // The elements take at least this much, so an impossible count is refused before they are waited for.
        at_most(
            || format!("the header's size in bytes with metadata key \"{key}\""),
            source
                .position()
                .saturating_add(count.saturating_mul(element.min_bytes())),
            limits.header_bytes,
        )?;
        if self.open.len() == limits.array_depth {
            return Err(Error::ArrayTooDeep {
                key: key.to_owned(),
                limit: limits.array_depth,
            });
        }
        self.open.push(Open {
            array: Array::empty(element),
            remaining: count,
            text_remaining: None,
        });
        Ok(true)
    }
}

impl Open {
    /// Takes the texts that have arrived; `false` when more bytes are needed.
    fn read_texts(
        &mut self,
        source: &mut Source<'_>,
        key: &str,
        limits: &Limits,
    ) -> Result<bool, Error> {
        let Array::Strings(texts) = &mut self.array else {
            unreachable!("called for an array of texts");
        };
        while self.remaining > 0 {
            // Where texts end is kept in 32 bits.
            let room = u64::from(u32::MAX) - texts.text_bytes() as u64;
            let limit = limits.string_bytes.min(room);
            let what = || {
                format!(
                    "the length of string {} of metadata key \"{key}\"",
                    texts.len()
                )
            };
            let (run, complete) = read_text(source, &mut self.text_remaining, limit, what)?;
            texts.extend_last(run);
            if !complete {
                return Ok(false);
            }
            texts.finish_last();
            self.remaining -= 1;
            at_most(
                || format!("the header's size in bytes with metadata key \"{key}\""),
                source.position(),
                limits.header_bytes,
            )?;
        }
        Ok(true)
    }

    /// Takes the numbers that have arrived; `false` when more bytes are needed.
    fn read_numbers(&mut self, source: &mut Source<'_>, key: &str) -> Result<bool, Error> {
        let size = self.array.element().min_bytes() as usize;
        while self.remaining > 0 {
            let run = source.whole_elements(size, self.remaining);
            if run.is_empty() {
                let mut field = [0; 8];
                if !source.take_into(&mut field[..size]) {
                    return Ok(false);
                }
                extend(&mut self.array, &field[..size], key)?;
                self.remaining -= 1;
            } else {
                extend(&mut self.array, run, key)?;
                self.remaining -= (run.len() / size) as u64;
            }
        }
        Ok(true)
    }
}

/// Appends little-endian numbers, or booleans, to an array of them.
fn extend(array: &mut Array, bytes: &[u8], key: &str) -> Result<(), Error> {
    macro_rules! numbers {
        ($vec:ident, $type:ty) => {
            $vec.extend(
                bytes
                    .as_chunks()
                    .0
                    .iter()
                    .map(|&bytes| <$type>::from_le_bytes(bytes)),
            )
        };
    }
    match array {
        Array::U8(v) => v.extend_from_slice(bytes),
        Array::I8(v) => numbers!(v, i8),
        Array::U16(v) => numbers!(v, u16),
        Array::I16(v) => numbers!(v, i16),
        Array::U32(v) => numbers!(v, u32),
        Array::I32(v) => numbers!(v, i32),
        Array::U64(v) => numbers!(v, u64),
        Array::I64(v) => numbers!(v, i64),
        Array::F32(v) => numbers!(v, f32),
        Array::F64(v) => numbers!(v, f64),
        Array::Bool(v) => {
            for &byte in bytes {
                v.push(match byte {
                    0 => false,
                    1 => true,
                    _ => {
                        return Err(Error::InvalidBool {
                            key: key.to_owned(),
                            byte,
                        });
                    }
                });
            }
        }
        Array::Strings(_) | Array::Arrays(_) => unreachable!("called for numbers and booleans"),
    }
    Ok(())
}
