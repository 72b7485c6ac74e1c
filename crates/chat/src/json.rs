//! The `tojson` filter as `transformers` has it: Python's `json.dumps` without escaping what is not ASCII.

use std::fmt::Write;

use minijinja::value::{Kwargs, Value, ValueKind};
use minijinja::{Error, ErrorKind};

/// How deep lists and objects may nest.
const MAX_DEPTH: usize = 128;

/// Writes `value` as JSON. Options: `indent`, `ensure_ascii`, `sort_keys`.
pub(crate) fn tojson(value: &Value, options: Kwargs) -> Result<String, Error> {
    let mut writer = Writer {
        indent: options.get("indent")?,
        ensure_ascii: options
            .get::<Option<bool>>("ensure_ascii")?
            .unwrap_or(false),
        sort_keys: options.get::<Option<bool>>("sort_keys")?.unwrap_or(false),
        ..Writer::default()
    };
    options.assert_all_used()?;
    writer.value(value, 0)?;
    Ok(writer.out)
}

/// Writes `value` as JSON on one line.
pub(crate) fn line(value: &Value) -> Result<String, Error> {
    let mut writer = Writer::default();
    writer.value(value, 0)?;
    Ok(writer.out)
}

#[derive(Default)]
struct Writer {
    out: String,
    /// Spaces a level, one item a line; on one line where absent.
    indent: Option<usize>,
    ensure_ascii: bool,
    sort_keys: bool,
}

impl Writer {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        if depth > MAX_DEPTH {
            return Err(Error::new(
                ErrorKind::BadSerialization,
                format!("more than {MAX_DEPTH} levels of nesting"),
            ));
        }
        match value.kind() {
            ValueKind::None => self.out.push_str("null"),
            ValueKind::Bool => self
                .out
                .push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number if value.is_integer() => {
                let _ = write!(self.out, "{value}");
            }
            ValueKind::Number => self.out.push_str(&float(f64::try_from(value.clone())?)),
            ValueKind::String => self.string(value.as_str().unwrap_or_default()),
            ValueKind::Seq | ValueKind::Iterable => {
                let items: Vec<Value> = value.try_iter()?.collect();
                self.items(['[', ']'], items, depth, Self::value)?;
            }
            ValueKind::Map => {
                let mut keys: Vec<Value> = value.try_iter()?.collect();
                if self.sort_keys {
                    keys.sort();
                }
                self.items(['{', '}'], keys, depth, |writer, key, depth| {
                    match key.as_str() {
                        Some(name) => writer.string(name),
                        None => writer.string(&key.to_string()),
                    }
                    writer.out.push_str(": ");
                    writer.value(&value.get_item(key)?, depth)
                })?;
            }
            kind => {
                return Err(Error::new(
                    ErrorKind::BadSerialization,
                    format!("{kind} cannot be written as JSON"),
                ));
            }
        }
        Ok(())
    }

    fn items(
        &mut self,
        [open, close]: [char; 2],
        items: Vec<Value>,
        depth: usize,
        mut item: impl FnMut(&mut Self, &Value, usize) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.out.push(open);
        for (i, value) in items.iter().enumerate() {
            if i > 0 {
                self.out
                    .push_str(if self.indent.is_some() { "," } else { ", " });
            }
            self.line(depth + 1);
            item(self, value, depth + 1)?;
        }
        if !items.is_empty() {
            self.line(depth);
        }
        self.out.push(close);
        Ok(())
    }

    fn line(&mut self, depth: usize) {
        if let Some(indent) = self.indent {
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n(' ', indent * depth));
        }
    }

    fn string(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\x08' => self.out.push_str("\\b"),
                '\x0C' => self.out.push_str("\\f"),
                '\0'..='\x1F' => self.escape(c),
                _ if self.ensure_ascii && !matches!(c, ' '..='~') => self.escape(c),
                _ => self.out.push(c),
            }
        }
        self.out.push('"');
    }

    fn escape(&mut self, c: char) {
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(self.out, "\\u{unit:04x}");
        }
    }
}

/// `number` as Python writes it: with at least two digits of an exponent, and its sign.
fn float(number: f64) -> String {
    let shortest = format!("{number:?}");
    match shortest.split_once('e') {
        Some((digits, exponent)) => match exponent.strip_prefix('-') {
            Some(exponent) => format!("{digits}e-{exponent:0>2}"),
            None => format!("{digits}e+{exponent:0>2}"),
        },
        None => match shortest.as_str() {
            "inf" => "Infinity".to_owned(),
            "-inf" => "-Infinity".to_owned(),
            _ => shortest,
        },
    }
}
