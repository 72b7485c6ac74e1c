//! Sets of characters, as the expressions write them: `[^\s\p{L}\p{N}]`.

use std::ops::RangeInclusive;

use crate::category;

/// The script Han of Unicode 16.
const HAN: [RangeInclusive<char>; 22] = [
    '\u{2E80}'..='\u{2E99}',
    '\u{2E9B}'..='\u{2EF3}',
    '\u{2F00}'..='\u{2FD5}',
    '\u{3005}'..='\u{3005}',
    '\u{3007}'..='\u{3007}',
    '\u{3021}'..='\u{3029}',
    '\u{3038}'..='\u{303B}',
    '\u{3400}'..='\u{4DBF}',
    '\u{4E00}'..='\u{9FFF}',
    '\u{F900}'..='\u{FA6D}',
    '\u{FA70}'..='\u{FAD9}',
    '\u{16FE2}'..='\u{16FE3}',
    '\u{16FF0}'..='\u{16FF1}',
    '\u{20000}'..='\u{2A6DF}',
    '\u{2A700}'..='\u{2B739}',
    '\u{2B740}'..='\u{2B81D}',
    '\u{2B820}'..='\u{2CEA1}',
    '\u{2CEB0}'..='\u{2EBE0}',
    '\u{2EBF0}'..='\u{2EE5D}',
    '\u{2F800}'..='\u{2FA1D}',
    '\u{30000}'..='\u{3134A}',
    '\u{31350}'..='\u{323AF}',
];

/// A set of characters: members named one by one, by range, by general category or as white space, or all but these.
#[derive(Debug, Clone, Default)]
pub(super) struct Set {
    /// A bit for each ASCII character, with everything below taken into account.
    ascii: [u64; 2],
    categories: u16,
    /// Beyond ASCII.
    ranges: Vec<RangeInclusive<char>>,
    white_space: bool,
    negated: bool,
    /// What is not in the set whatever the rest says.
    except: Option<Box<Set>>,
}

impl Set {
    /// Adds the characters from `first` to `last`.
    pub(super) fn add_range(&mut self, first: char, last: char) {
        self.add_ascii(|c| (first..=last).contains(&c));
        if !last.is_ascii() {
            self.ranges.push(first..=last);
        }
    }

    /// Adds the characters with the property White_Space: `\s`.
    pub(super) fn add_white_space(&mut self) {
        self.white_space = true;
        self.add_ascii(char::is_whitespace);
    }

    /// Adds a general category or a script: `\p{name}`.
    pub(super) fn add_property(&mut self, name: &str) {
        let categories = match name {
            "L" => category::LETTER,
            "Lu" => category::UPPERCASE,
            "Ll" => category::LOWERCASE,
            "Lt" => category::TITLECASE,
            "Lm" => category::MODIFIER,
            "Lo" => category::OTHER_LETTER,
            "M" => category::MARK,
            "N" => category::NUMBER,
            "Nd" => category::DIGIT,
            "P" => category::PUNCTUATION,
            "S" => category::SYMBOL,
            _ => {
                self.ranges.extend(HAN);
                return;
            }
        };
        self.categories |= categories;
        self.add_ascii(|c| category::of(c) & categories != 0);
    }

    /// Makes the set what it was not.
    pub(super) fn negate(&mut self) {
        self.negated = !self.negated;
        self.ascii = self.ascii.map(|bits| !bits);
    }

    /// Takes the members of `other` out.
    pub(super) fn exclude(&mut self, other: Set) {
        for (bits, other) in self.ascii.iter_mut().zip(other.ascii) {
            *bits &= !other;
        }
        self.except = Some(Box::new(other));
    }

    fn add_ascii(&mut self, wanted: impl Fn(char) -> bool) {
        for c in (0..=0x7F_u8).map(char::from).filter(|&c| wanted(c)) {
            self.ascii[c as usize / 64] |= 1 << (c as u32 % 64);
        }
    }

    /// Whether `c` is in the set.
    pub(super) fn contains(&self, c: char) -> bool {
        #[cfg(test)]
        super::tests::count_look();
        if c.is_ascii() {
            return self.ascii[c as usize / 64] >> (c as u32 % 64) & 1 == 1;
        }
        let named = (self.categories != 0 && category::of(c) & self.categories != 0)
            || (self.white_space && c.is_whitespace())
            || self.ranges.iter().any(|range| range.contains(&c));
        named != self.negated
            && !self
                .except
                .as_ref()
                .is_some_and(|except| except.contains(c))
    }
}

/// Whether a word goes on through `c`: `\w`.
pub(super) fn is_word(c: char) -> bool {
    const WORD: u16 = category::LETTER | category::MARK | category::DIGIT | category::CONNECTOR;
    const JOINERS: [char; 2] = ['\u{200C}', '\u{200D}'];
    c.is_alphabetic() || category::of(c) & WORD != 0 || JOINERS.contains(&c)
}
