//! A matcher for the regular expressions of pre-tokenizers.
//!
//! These expressions are alternatives of short sequences of repeated sets of characters. That is all there is here, which
//! makes it a hundredth of the size of a general engine. Of the alternatives the first that matches counts, and
//! repetitions are as long as they can be, as in any such engine.
//!
//! No rule's sequences bring a repetition back over text that the match then leaves to be gone over again, so that the
//! work is linear in the length of a text; the tests count it.

use std::str::Chars;

use super::set::Set;

/// A regular expression.
#[derive(Debug, Clone)]
pub(super) struct Expression {
    alternatives: Vec<Sequence>,
}

type Sequence = Vec<Element>;

#[derive(Debug, Clone)]
enum Element {
    /// `[…]{min,max}`
    Repeat { set: Set, min: usize, max: usize },
    /// `(…|…){min,max}`. Once matched it stays as it is: in the expressions at hand nothing that could fail follows.
    Group {
        alternatives: Vec<Sequence>,
        min: usize,
        max: usize,
    },
    /// `(?!…)` before one character of a set.
    NotBefore(Set),
}

impl Expression {
    /// Reads `source`, one of the rules' own: what no rule needs is not understood.
    pub(super) fn new(source: &str) -> Self {
        let mut parser = Parser {
            rest: source.chars(),
            any_case: false,
        };
        Self {
            alternatives: parser.alternatives(),
        }
    }

    /// Calls `each` with the matches in `text` and with what lies between them, in order.
    pub(super) fn split<'t>(&self, text: &'t str, each: &mut dyn FnMut(&'t str)) {
        let (mut gap, mut at) = (0, 0);
        while let Some(c) = text[at..].chars().next() {
            match first_match(&self.alternatives, text, at) {
                Some(end) if end > at => {
                    if gap < at {
                        each(&text[gap..at]);
                    }
                    each(&text[at..end]);
                    (gap, at) = (end, end);
                }
                _ => at += c.len_utf8(),
            }
        }
        if gap < at {
            each(&text[gap..]);
        }
    }
}

/// Where the first of `alternatives` that matches at `at` ends.
fn first_match(alternatives: &[Sequence], text: &str, at: usize) -> Option<usize> {
    alternatives
        .iter()
        .find_map(|sequence| match_end(sequence, text, at))
}

/// Where `sequence` ends if it matches `text` at `at`.
fn match_end(sequence: &[Element], text: &str, at: usize) -> Option<usize> {
    let Some((element, rest)) = sequence.split_first() else {
        return Some(at);
    };
    match element {
        Element::Repeat { set, min, max } => {
            let mut end = at;
            let mut count = 0;
            for c in text[at..].chars().take(*max) {
                if !set.contains(c) {
                    break;
                }
                end += c.len_utf8();
                count += 1;
            }
            while count >= *min {
                if let Some(found) = match_end(rest, text, end) {
                    return Some(found);
                }
                end -= text[at..end].chars().next_back()?.len_utf8();
                count -= 1;
            }
            None
        }
        Element::Group {
            alternatives,
            min,
            max,
        } => {
            let mut end = at;
            for count in 0..*max {
                match first_match(alternatives, text, end) {
                    Some(next) => end = next,
                    None if count < *min => return None,
                    None => break,
                }
            }
            match_end(rest, text, end)
        }
        Element::NotBefore(set) => match text[at..].chars().next() {
            Some(c) if set.contains(c) => None,
            _ => match_end(rest, text, at),
        },
    }
}

struct Parser<'s> {
    rest: Chars<'s>,
    /// Within `(?i:…)`.
    any_case: bool,
}

impl Parser<'_> {
    fn take(&mut self, text: &str) -> bool {
        let taken = self.rest.as_str().strip_prefix(text);
        if let Some(rest) = taken {
            self.rest = rest.chars();
        }
        taken.is_some()
    }

    /// `a|b|c`, up to the end or past a closing parenthesis.
    fn alternatives(&mut self) -> Vec<Sequence> {
        let mut alternatives = vec![Sequence::new()];
        while let Some(c) = self.rest.next() {
            let element = match c {
                ')' => break,
                '|' => {
                    alternatives.push(Sequence::new());
                    continue;
                }
                '(' => self.parenthesis(),
                _ => {
                    let set = self.atom(c);
                    let (min, max) = self.quantifier();
                    Element::Repeat { set, min, max }
                }
            };
            alternatives.last_mut().expect("one at least").push(element);
        }
        alternatives
    }

    /// What follows an opening parenthesis.
    fn parenthesis(&mut self) -> Element {
        if self.take("?!") {
            let set = match self.rest.next() {
                Some(c) => self.atom(c),
                None => Set::default(),
            };
            self.take(")");
            return Element::NotBefore(set);
        }
        let outer = self.any_case;
        self.any_case |= self.take("?i:");
        self.take("?:");
        let alternatives = self.alternatives();
        self.any_case = outer;
        let (min, max) = self.quantifier();
        Element::Group {
            alternatives,
            min,
            max,
        }
    }

    fn quantifier(&mut self) -> (usize, usize) {
        const RADIX: u32 = 10;
        if self.take("?") {
            (0, 1)
        } else if self.take("*") {
            (0, usize::MAX)
        } else if self.take("+") {
            (1, usize::MAX)
        } else if self.take("{") {
            // "{1}" or "{1,3}": no rule counts further than to nine.
            let (numbers, rest) = self.rest.as_str().split_once('}').unwrap_or_default();
            self.rest = rest.chars();
            let mut digits = numbers.chars().filter_map(|c| c.to_digit(RADIX));
            let min = digits.next().unwrap_or(1) as usize;
            (min, digits.next().map_or(min, |max| max as usize))
        } else {
            (1, 1)
        }
    }

    /// One character or a set of them, of which `c` has been taken.
    fn atom(&mut self, c: char) -> Set {
        let mut set = Set::default();
        if c != '[' {
            self.member(c, &mut set);
            return set;
        }
        let negated = self.take("^");
        while let Some(c) = self.rest.next() {
            match c {
                ']' => break,
                // "[…&&[^…]]"
                '&' if self.take("&[^") => {
                    let mut other = Set::default();
                    while let Some(c) = self.rest.next().filter(|&c| c != ']') {
                        self.member(c, &mut other);
                    }
                    set.exclude(other);
                }
                _ => self.member(c, &mut set),
            }
        }
        if negated {
            set.negate();
        }
        set
    }

    /// Adds a character, a range or a class, of which `c` has been taken.
    fn member(&mut self, c: char, set: &mut Set) {
        let first = match c {
            '\\' => match self.rest.next() {
                Some('s') => return set.add_white_space(),
                Some('S') => {
                    set.add_white_space();
                    return set.negate();
                }
                Some('d') => return set.add_property("Nd"),
                Some('p') => {
                    let (name, rest) = self.rest.as_str().split_once('}').unwrap_or_default();
                    self.rest = rest.chars();
                    return set.add_property(name.trim_start_matches('{'));
                }
                Some('r') => '\r',
                Some('n') => '\n',
                Some('t') => '\t',
                Some(c) => c,
                None => return,
            },
            c => c,
        };
        let mut after = self.rest.clone();
        let last = match (after.next(), after.next()) {
            (Some('-'), Some(last)) if last != ']' => {
                self.rest = after;
                match last {
                    '\\' => self.rest.next().unwrap_or(last),
                    _ => last,
                }
            }
            _ => first,
        };
        set.add_range(first, last);
        if self.any_case && first.is_ascii_alphabetic() {
            set.add_range(first.to_ascii_uppercase(), last.to_ascii_uppercase());
            if first == 's' {
                // The long s folds to s.
                set.add_range('ſ', 'ſ');
            }
        }
    }
}
