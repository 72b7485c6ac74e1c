//! Metadata arrays, kept as compactly as they came.

use crate::ValueType;

/// A metadata array: all elements are of one type.
#[derive(Debug, Clone, PartialEq)]
pub enum Array {
    /// Unsigned, 8 bits.
    U8(Vec<u8>),
    /// Signed, 8 bits.
    I8(Vec<i8>),
    /// Unsigned, 16 bits.
    U16(Vec<u16>),
    /// Signed, 16 bits.
    I16(Vec<i16>),
    /// Unsigned, 32 bits.
    U32(Vec<u32>),
    /// Signed, 32 bits.
    I32(Vec<i32>),
    /// Unsigned, 64 bits.
    U64(Vec<u64>),
    /// Signed, 64 bits.
    I64(Vec<i64>),
    /// IEEE 754, 32 bits.
    F32(Vec<f32>),
    /// IEEE 754, 64 bits.
    F64(Vec<f64>),
    /// True or false.
    Bool(Vec<bool>),
    /// Texts: vocabularies and merges.
    Strings(StringArray),
    /// Arrays, which need not be of one type among themselves.
    Arrays(Vec<Array>),
}

/// Runs `$body` with `$vec` bound to the elements of any array but one of strings, which runs `$strings`.
macro_rules! for_each_array {
    ($array:expr, $vec:ident => $body:expr, $strings:ident => $string_body:expr) => {
        match $array {
            Array::U8($vec) => $body,
            Array::I8($vec) => $body,
            Array::U16($vec) => $body,
            Array::I16($vec) => $body,
            Array::U32($vec) => $body,
            Array::I32($vec) => $body,
            Array::U64($vec) => $body,
            Array::I64($vec) => $body,
            Array::F32($vec) => $body,
            Array::F64($vec) => $body,
            Array::Bool($vec) => $body,
            Array::Arrays($vec) => $body,
            Array::Strings($strings) => $string_body,
        }
    };
}

impl Array {
    /// An array without elements.
    pub fn empty(element: ValueType) -> Self {
        match element {
            ValueType::U8 => Self::U8(Vec::new()),
            ValueType::I8 => Self::I8(Vec::new()),
            ValueType::U16 => Self::U16(Vec::new()),
            ValueType::I16 => Self::I16(Vec::new()),
            ValueType::U32 => Self::U32(Vec::new()),
            ValueType::I32 => Self::I32(Vec::new()),
            ValueType::U64 => Self::U64(Vec::new()),
            ValueType::I64 => Self::I64(Vec::new()),
            ValueType::F32 => Self::F32(Vec::new()),
            ValueType::F64 => Self::F64(Vec::new()),
            ValueType::Bool => Self::Bool(Vec::new()),
            ValueType::String => Self::Strings(StringArray::new()),
            ValueType::Array => Self::Arrays(Vec::new()),
        }
    }

    /// The type of the elements.
    pub fn element(&self) -> ValueType {
        match self {
            Self::U8(_) => ValueType::U8,
            Self::I8(_) => ValueType::I8,
            Self::U16(_) => ValueType::U16,
            Self::I16(_) => ValueType::I16,
            Self::U32(_) => ValueType::U32,
            Self::I32(_) => ValueType::I32,
            Self::U64(_) => ValueType::U64,
            Self::I64(_) => ValueType::I64,
            Self::F32(_) => ValueType::F32,
            Self::F64(_) => ValueType::F64,
            Self::Bool(_) => ValueType::Bool,
            Self::Strings(_) => ValueType::String,
            Self::Arrays(_) => ValueType::Array,
        }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        for_each_array!(self, v => v.len(), s => s.len())
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Element `index` as an integer: `None` past the end, or if the elements are not integers.
    /// Writers differ in the integer type that they choose for the same key.
    pub fn integer(&self, index: usize) -> Option<i128> {
        match self {
            Self::U8(v) => v.get(index).map(|&x| x.into()),
            Self::I8(v) => v.get(index).map(|&x| x.into()),
            Self::U16(v) => v.get(index).map(|&x| x.into()),
            Self::I16(v) => v.get(index).map(|&x| x.into()),
            Self::U32(v) => v.get(index).map(|&x| x.into()),
            Self::I32(v) => v.get(index).map(|&x| x.into()),
            Self::U64(v) => v.get(index).map(|&x| x.into()),
            Self::I64(v) => v.get(index).map(|&x| x.into()),
            Self::F32(_) | Self::F64(_) | Self::Bool(_) | Self::Strings(_) | Self::Arrays(_) => {
                None
            }
        }
    }

    /// The texts, if this is an array of them.
    pub fn strings(&self) -> Option<&StringArray> {
        match self {
            Self::Strings(strings) => Some(strings),
            _ => None,
        }
    }

    /// Gives back memory reserved while the array grew.
    pub(crate) fn shrink_to_fit(&mut self) {
        for_each_array!(self, v => v.shrink_to_fit(), s => s.shrink_to_fit());
    }
}

/// Many texts in one block of memory: the texts one after another, and where each ends.
///
/// A vocabulary of 262 000 texts costs its characters and four bytes per text, in two allocations.
/// The texts are bytes: a vocabulary may hold pieces of characters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StringArray {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl StringArray {
    /// No texts.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of texts.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no texts.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of text `index`, `None` past the end.
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)? as usize;
        let start = match index {
            0 => 0,
            _ => self.ends[index - 1] as usize,
        };
        Some(&self.bytes[start..end])
    }

    /// Text `index`, `None` past the end or if it is not UTF-8.
    pub fn get_str(&self, index: usize) -> Option<&str> {
        str::from_utf8(self.get(index)?).ok()
    }

    /// All texts, as bytes, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let text = &self.bytes[start..end as usize];
            start = end as usize;
            text
        })
    }

    /// Adds a text.
    ///
    /// # Panics
    /// If all texts together would take 4 GiB or more.
    pub fn push(&mut self, text: impl AsRef<[u8]>) {
        self.extend_last(text.as_ref());
        self.finish_last();
    }

    /// Adds bytes to a text that [`Self::finish_last`] will complete.
    pub(crate) fn extend_last(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Completes the text under construction.
    pub(crate) fn finish_last(&mut self) {
        let end = u32::try_from(self.bytes.len()).expect("the texts of one array stay below 4 GiB");
        self.ends.push(end);
    }

    /// Bytes of all texts, with the one under construction.
    pub(crate) fn text_bytes(&self) -> usize {
        self.bytes.len()
    }

    fn shrink_to_fit(&mut self) {
        self.bytes.shrink_to_fit();
        self.ends.shrink_to_fit();
    }
}

impl<S: AsRef<[u8]>> FromIterator<S> for StringArray {
    /// # Panics
    /// If all texts together would take 4 GiB or more.
    fn from_iter<I: IntoIterator<Item = S>>(texts: I) -> Self {
        let mut array = Self::new();
        for text in texts {
            array.push(text);
        }
        array
    }
}
