//! The key–value section of a file.

use crate::{Array, Error, StringArray, Value};

/// Metadata entries in file order, found by key in logarithmic time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metadata {
    entries: Vec<(String, Value)>,
    /// Positions in `entries`, ordered by key.
    by_key: Vec<u32>,
}

impl Metadata {
    /// Takes entries in any order.
    ///
    /// # Errors
    /// [`Error::DuplicateKey`] if a key appears twice.
    pub fn from_entries(entries: Vec<(String, Value)>) -> Result<Self, Error> {
        let by_key =
            sorted_positions(&entries, |(key, _)| key).map_err(|key| Error::DuplicateKey {
                key: key.to_owned(),
            })?;
        Ok(Self { entries, by_key })
    }

    /// The value of `key`, if present.
    pub fn get(&self, key: &str) -> Option<&Value> {
        let found = self
            .by_key
            .binary_search_by(|&i| self.entries[i as usize].0.as_str().cmp(key))
            .ok()?;
        Some(&self.entries[self.by_key[found] as usize].1)
    }

    /// All entries in file order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.entries
            .iter()
            .map(|(key, value)| (key.as_str(), value))
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// A text, `None` if the key is absent.
    ///
    /// # Errors
    /// [`Error::WrongType`] if the value is not a string. The same holds for the other typed getters.
    pub fn string(&self, key: &str) -> Result<Option<&str>, Error> {
        self.typed(key, "a string", |value| match value {
            Value::String(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// An integer of any type, if it fits.
    pub fn u32(&self, key: &str) -> Result<Option<u32>, Error> {
        self.typed(key, "an integer from 0 to 4294967295", |value| {
            value.as_integer()?.try_into().ok()
        })
    }

    /// An integer of any type, if it fits.
    pub fn i32(&self, key: &str) -> Result<Option<i32>, Error> {
        self.typed(key, "an integer from -2147483648 to 2147483647", |value| {
            value.as_integer()?.try_into().ok()
        })
    }

    /// An integer of any type, if it is not negative.
    pub fn u64(&self, key: &str) -> Result<Option<u64>, Error> {
        self.typed(key, "a non-negative integer", |value| {
            value.as_integer()?.try_into().ok()
        })
    }

    /// A floating-point number; one of 64 bits is rounded.
    pub fn f32(&self, key: &str) -> Result<Option<f32>, Error> {
        self.typed(key, "a floating-point number", |value| match *value {
            Value::F32(number) => Some(number),
            Value::F64(number) => Some(number as f32),
            _ => None,
        })
    }

    /// True or false.
    pub fn bool(&self, key: &str) -> Result<Option<bool>, Error> {
        self.typed(key, "a boolean", |value| match *value {
            Value::Bool(flag) => Some(flag),
            _ => None,
        })
    }

    /// An array of any element type.
    pub fn array(&self, key: &str) -> Result<Option<&Array>, Error> {
        self.typed(key, "an array", |value| match value {
            Value::Array(array) => Some(array),
            _ => None,
        })
    }

    /// An array of texts.
    pub fn strings(&self, key: &str) -> Result<Option<&StringArray>, Error> {
        self.typed(key, "an array of strings", |value| match value {
            Value::Array(array) => array.strings(),
            _ => None,
        })
    }

    fn typed<'a, T>(
        &'a self,
        key: &str,
        expected: &'static str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        read(value)
            .map(Some)
            .ok_or_else(|| Error::wrong_type(key, expected, describe(value)))
    }
}

/// What a value is, for messages: integers with their number, arrays with their element type.
fn describe(value: &Value) -> String {
    match value {
        Value::Array(array) => format!("an array of {}", array.element().name()),
        _ => match value.as_integer() {
            Some(number) => format!("{} {number}", value.kind().name()),
            None => format!("of type {}", value.kind().name()),
        },
    }
}

/// Positions of `items` ordered by name, or a name that two of them share.
///
/// # Panics
/// If there are more than `u32::MAX` items.
pub(crate) fn sorted_positions<T>(
    items: &[T],
    name: impl Fn(&T) -> &String,
) -> Result<Vec<u32>, &str> {
    let count = u32::try_from(items.len()).expect("fewer than 2^32 entries");
    let mut order: Vec<u32> = (0..count).collect();
    order.sort_unstable_by_key(|&i| name(&items[i as usize]));
    for pair in order.windows(2) {
        let [first, second] = [
            name(&items[pair[0] as usize]),
            name(&items[pair[1] as usize]),
        ];
        if first == second {
            return Err(first);
        }
    }
    Ok(order)
}
