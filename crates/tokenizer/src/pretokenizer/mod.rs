//! Cutting a text into words before byte-level BPE, as each family of models was trained with.
//!
//! The rules are published as regular expressions. [`rules`] has them as they are; [`expression`] matches what they are
//! made of in linear time, without the size of a general engine. Both are tested against such an engine on random text.

mod expression;
mod rules;
mod set;
#[cfg(test)]
mod tests;
mod thousands;

use expression::Expression;
pub(crate) use rules::Rule;
use set::Set;

/// A rule ready for use: it cuts a text into words. Concatenated, the words are the text.
#[derive(Debug)]
pub(crate) struct PreTokenizer {
    steps: Vec<Step>,
}

/// What cuts the pieces that the step before left.
#[derive(Debug)]
enum Step {
    Expression(Expression),
    /// `\s+$`, which as an expression would look from every space to where the white space ends.
    TrailingSpace,
    Thousands {
        digits: Set,
        whole_words: bool,
    },
}

impl PreTokenizer {
    /// Reads the expressions of `rule`.
    pub(crate) fn new(rule: Rule) -> Self {
        let steps = rule.expressions.iter().map(|&source| match source {
            rules::TRAILING_SPACE => Step::TrailingSpace,
            rules::THOUSANDS => Step::thousands("Nd", true),
            rules::NUMBERS_IN_THREES => Step::thousands("N", false),
            _ => Step::Expression(Expression::new(source)),
        });
        Self {
            steps: steps.collect(),
        }
    }

    /// Calls `word` with each word of `text` in order.
    pub(crate) fn split<'t>(&self, text: &'t str, word: &mut dyn FnMut(&'t str)) {
        split(&self.steps, text, word);
    }
}

fn split<'t>(steps: &[Step], text: &'t str, word: &mut dyn FnMut(&'t str)) {
    match steps {
        [] => word(text),
        [step] => step.split(text, word),
        [step, rest @ ..] => step.split(text, &mut |piece| split(rest, piece, word)),
    }
}

impl Step {
    fn thousands(category: &str, whole_words: bool) -> Self {
        let mut digits = Set::default();
        digits.add_property(category);
        Self::Thousands {
            digits,
            whole_words,
        }
    }

    fn split<'t>(&self, text: &'t str, each: &mut dyn FnMut(&'t str)) {
        match self {
            Self::Expression(expression) => expression.split(text, each),
            Self::TrailingSpace => {
                let (text, space) = text.split_at(text.trim_end().len());
                [text, space]
                    .into_iter()
                    .filter(|piece| !piece.is_empty())
                    .for_each(each);
            }
            Self::Thousands {
                digits,
                whole_words,
            } => thousands::split(text, digits, *whole_words, each),
        }
    }
}
