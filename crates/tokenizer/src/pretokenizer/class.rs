//! The classes of characters that the pre-tokenizers' expressions name.

use unicode_general_category::{GeneralCategory as Category, get_general_category};

/// What the expressions tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// `\p{L}`
    Letter,
    /// `\p{N}`
    Number,
    /// `\s`, the characters with the property White_Space
    Space,
    /// `[^\s\p{L}\p{N}]`
    Other,
}

/// The class of `c`, by Unicode 16 whatever the compiler's version.
pub(super) fn class(c: char) -> Class {
    match c {
        'a'..='z' | 'A'..='Z' => Class::Letter,
        '0'..='9' => Class::Number,
        _ if c.is_whitespace() => Class::Space,
        _ if c.is_ascii() => Class::Other,
        _ => match get_general_category(c) {
            Category::UppercaseLetter
            | Category::LowercaseLetter
            | Category::TitlecaseLetter
            | Category::ModifierLetter
            | Category::OtherLetter => Class::Letter,
            Category::DecimalNumber | Category::LetterNumber | Category::OtherNumber => {
                Class::Number
            }
            _ => Class::Other,
        },
    }
}

/// `\p{N}`
pub(super) fn is_number(c: char) -> bool {
    class(c) == Class::Number
}

/// ``[\p{P}\$\+<=>\^~\|]``
pub(super) fn is_falcon_punctuation(c: char) -> bool {
    if c.is_ascii() {
        // The ASCII punctuation of Unicode, and the symbols that the expression names: all but the backtick.
        return c.is_ascii_punctuation() && c != '`';
    }
    matches!(
        get_general_category(c),
        Category::ConnectorPunctuation
            | Category::DashPunctuation
            | Category::OpenPunctuation
            | Category::ClosePunctuation
            | Category::InitialPunctuation
            | Category::FinalPunctuation
            | Category::OtherPunctuation
    )
}
