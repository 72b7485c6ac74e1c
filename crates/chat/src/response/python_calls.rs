//! Calls written as Python: `weather(city="Bern", days=2)`, which Gemma was trained to write.

use serde_json::{Map, Value as Json};

use super::json_calls::{self, Call};

/// How deep lists and dictionaries may nest.
const MAX_DEPTH: usize = 64;

/// The calls in statements one after another, or in a list. Arguments are literals, by name; a call may be printed, as
/// `print(weather())`.
pub(super) fn calls(text: &str) -> Option<Vec<Call>> {
    let mut reader = Reader { rest: text };
    let listed = reader.take('[');
    let mut calls = Vec::new();
    let end = if listed { "]" } else { "" };
    while reader.rest != end {
        let mut name = reader.name()?;
        let printed = name == "print" && reader.take('(');
        if printed {
            name = reader.name()?;
        }
        let arguments = reader.arguments()?;
        calls.push(json_calls::finished(None, name, &arguments)?);
        if printed && !reader.take(')') {
            return None;
        }
        while reader.take(';') || (listed && reader.take(',')) {}
    }
    Some(calls)
}

/// Reads from the start of what is left, past white space after each item.
struct Reader<'t> {
    rest: &'t str,
}

impl<'t> Reader<'t> {
    fn advance(&mut self, bytes: usize) {
        self.rest = self.rest[bytes..].trim_start();
    }

    fn take(&mut self, c: char) -> bool {
        let taken = self.rest.starts_with(c);
        if taken {
            self.advance(c.len_utf8());
        }
        taken
    }

    /// An identifier, with dots in it.
    fn name(&mut self) -> Option<&'t str> {
        let belongs = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.');
        let end = self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len());
        let name = &self.rest[..end];
        self.advance(end);
        (!name.is_empty()).then_some(name)
    }

    /// `(key=value, …)`
    fn arguments(&mut self) -> Option<Json> {
        let mut arguments = Map::new();
        if !self.take('(') {
            return None;
        }
        while !self.take(')') {
            let key = self.name()?.to_owned();
            if !self.take('=') {
                return None;
            }
            arguments.insert(key, self.value(0)?);
            if !self.take(',') && !self.rest.starts_with(')') {
                return None;
            }
        }
        Some(Json::Object(arguments))
    }

    fn value(&mut self, depth: usize) -> Option<Json> {
        if depth > MAX_DEPTH {
            return None;
        }
        let first = self.rest.chars().next()?;
        match first {
            '"' | '\'' => self.string().map(Json::String),
            '[' | '(' => {
                let close = if first == '[' { ']' } else { ')' };
                self.advance(1);
                let mut items = Vec::new();
                while !self.take(close) {
                    items.push(self.value(depth + 1)?);
                    if !self.take(',') && !self.rest.starts_with(close) {
                        return None;
                    }
                }
                Some(Json::Array(items))
            }
            '{' => {
                self.advance(1);
                let mut fields = Map::new();
                while !self.take('}') {
                    let key = self.string()?;
                    if !self.take(':') {
                        return None;
                    }
                    fields.insert(key, self.value(depth + 1)?);
                    if !self.take(',') && !self.rest.starts_with('}') {
                        return None;
                    }
                }
                Some(Json::Object(fields))
            }
            _ => {
                let ends = |c: char| c.is_whitespace() || ",)]}".contains(c);
                let end = self.rest.find(ends).unwrap_or(self.rest.len());
                let word = &self.rest[..end];
                self.advance(end);
                match word {
                    "True" => Some(true.into()),
                    "False" => Some(false.into()),
                    "None" => Some(Json::Null),
                    // Numbers, and JSON's own words.
                    _ => serde_json::from_str(word).ok(),
                }
            }
        }
    }

    fn string(&mut self) -> Option<String> {
        let mut chars = self.rest.char_indices();
        let (_, quote) = chars.next().filter(|(_, c)| matches!(c, '"' | '\''))?;
        let mut text = String::new();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => match chars.next()?.1 {
                    'n' => text.push('\n'),
                    't' => text.push('\t'),
                    'r' => text.push('\r'),
                    escaped @ ('\\' | '\'' | '"') => text.push(escaped),
                    other => text.extend(['\\', other]),
                },
                c if c == quote => {
                    self.advance(at + quote.len_utf8());
                    return Some(text);
                }
                c => text.push(c),
            }
        }
        None
    }
}
