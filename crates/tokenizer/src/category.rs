//! Unicode's general categories, as far as tokenizers tell them apart: a bit each.

use unicode_general_category::{GeneralCategory as G, get_general_category};

pub(crate) const UPPERCASE: u16 = 1;
pub(crate) const LOWERCASE: u16 = 1 << 1;
pub(crate) const TITLECASE: u16 = 1 << 2;
pub(crate) const MODIFIER: u16 = 1 << 3;
pub(crate) const OTHER_LETTER: u16 = 1 << 4;
pub(crate) const LETTER: u16 = UPPERCASE | LOWERCASE | TITLECASE | MODIFIER | OTHER_LETTER;
pub(crate) const MARK: u16 = 1 << 5;
pub(crate) const DIGIT: u16 = 1 << 6;
pub(crate) const OTHER_NUMBER: u16 = 1 << 7;
pub(crate) const NUMBER: u16 = DIGIT | OTHER_NUMBER;
pub(crate) const CONNECTOR: u16 = 1 << 8;
pub(crate) const OTHER_PUNCTUATION: u16 = 1 << 9;
pub(crate) const PUNCTUATION: u16 = CONNECTOR | OTHER_PUNCTUATION;
pub(crate) const SYMBOL: u16 = 1 << 10;
/// Control and format characters, and those for private use.
pub(crate) const CONTROL: u16 = 1 << 11;
/// Separators, and what is not assigned.
const REST: u16 = 1 << 12;

/// The bit of the general category of `c`, by Unicode 16 whatever the compiler's version.
pub(crate) fn of(c: char) -> u16 {
    match get_general_category(c) {
        G::UppercaseLetter => UPPERCASE,
        G::LowercaseLetter => LOWERCASE,
        G::TitlecaseLetter => TITLECASE,
        G::ModifierLetter => MODIFIER,
        G::OtherLetter => OTHER_LETTER,
        G::NonspacingMark | G::SpacingMark | G::EnclosingMark => MARK,
        G::DecimalNumber => DIGIT,
        G::LetterNumber | G::OtherNumber => OTHER_NUMBER,
        G::ConnectorPunctuation => CONNECTOR,
        G::DashPunctuation
        | G::OpenPunctuation
        | G::ClosePunctuation
        | G::InitialPunctuation
        | G::FinalPunctuation
        | G::OtherPunctuation => OTHER_PUNCTUATION,
        G::MathSymbol | G::CurrencySymbol | G::ModifierSymbol | G::OtherSymbol => SYMBOL,
        G::Control | G::Format | G::PrivateUse => CONTROL,
        _ => REST,
    }
}
