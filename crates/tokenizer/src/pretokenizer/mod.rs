//! Cutting a text into words before byte-level BPE, as each family of models was trained with.
//!
//! The rules are published as regular expressions, each quoted here above its matcher. Written by hand they need no
//! regular-expression engine, take linear time, and are tested against such an engine on random text.
//! Names and what they stand for: `llama_vocab::impl::load` in
//! <https://github.com/ggml-org/llama.cpp/blob/master/src/llama-vocab.cpp>.

mod class;
mod gpt2;
mod llama3;
#[cfg(test)]
mod tests;

use class::{is_falcon_punctuation, is_number};

/// The values of `tokenizer.ggml.pre` that [`PreTokenizer::from_name`] knows, for the message that refuses another.
pub(crate) const SUPPORTED: &str =
    "`smollm`, `qwen2`, `llama-bpe`, `gpt-2`, `default` and names for the same rules";

/// A rule that cuts a text into words. Concatenated, the words are the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PreTokenizer {
    /// GPT-2's expression alone.
    Gpt2,
    /// Every digit apart, then GPT-2's expression.
    SmolLm,
    /// GPT-4's expression as Llama 3 has it: up to three digits a word.
    Llama3,
    /// The same with one digit a word.
    Qwen2,
    /// Falcon's: runs of punctuation apart, then GPT-2's expression, then digits in threes.
    Default,
}

impl PreTokenizer {
    /// The rule that `tokenizer.ggml.pre` names; a file without the key or with an empty one means `default`.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "" | "default" => Self::Default,
            "gpt-2" | "phi-2" | "gigachat" | "a.x-4.0" | "mellum" | "exaone4" | "mpt" | "olmo"
            | "jais" | "trillion" | "granite-docling" => Self::Gpt2,
            "smollm" | "starcoder" | "refact" | "command-r" | "codeshell" | "exaone"
            | "minerva-7b" | "mellum2" => Self::SmolLm,
            "llama-bpe" | "llama3" | "llama-v3" | "falcon3" | "falcon-h1" | "pixtral"
            | "midm-2.0" | "lfm2" | "dbrx" | "smaug-bpe" | "chatglm-bpe" | "glm4" | "glm5" => {
                Self::Llama3
            }
            "qwen2" | "deepseek-r1-qwen" | "kormo" | "f2llmv2" | "megrez" | "stablelm2"
            | "hunyuan" | "solar-open" | "grok-2" => Self::Qwen2,
            _ => return None,
        })
    }

    /// Calls `word` with each word of `text` in order.
    pub(crate) fn split<'t>(self, text: &'t str, word: &mut dyn FnMut(&'t str)) {
        match self {
            Self::Gpt2 => words(text, gpt2::word, word),
            Self::Llama3 => words(text, |rest| llama3::word(rest, 3), word),
            Self::Qwen2 => words(text, |rest| llama3::word(rest, 1), word),
            // "\p{N}" apart, and GPT-2's expression between.
            Self::SmolLm => runs(text, is_number, &mut |run, numeric| match numeric {
                true => run.split_inclusive(|_| true).for_each(&mut *word),
                false => words(run, gpt2::word, word),
            }),
            // "[\p{P}\$\+<=>\^~\|]+" apart, GPT-2's expression, "\p{N}+" apart, "[0-9][0-9][0-9]" apart.
            Self::Default => runs(text, is_falcon_punctuation, &mut |run, _| {
                words(run, gpt2::word, &mut |part| {
                    runs(part, is_number, &mut |part, _| threes(part, word));
                });
            }),
        }
    }
}

/// Calls `each` with the words of `text`; `length` gives the length in bytes of the first word of a text, at least 1.
fn words<'t>(mut text: &'t str, length: impl Fn(&str) -> usize, each: &mut dyn FnMut(&'t str)) {
    while !text.is_empty() {
        let (word, rest) = text.split_at(length(text));
        each(word);
        text = rest;
    }
}

/// Calls `each` with the longest runs of characters that agree on `matches`, and with what they agree on.
fn runs<'t>(
    mut text: &'t str,
    matches: impl Fn(char) -> bool,
    each: &mut dyn FnMut(&'t str, bool),
) {
    while let Some(first) = text.chars().next() {
        let matched = matches(first);
        let (run, rest) = text.split_at(run_length(text, |c| matches(c) == matched));
        each(run, matched);
        text = rest;
    }
}

/// Cuts every three ASCII digits in a row out of `text`, from the left.
fn threes<'t>(text: &'t str, each: &mut dyn FnMut(&'t str)) {
    const GROUP: usize = 3;
    let (mut start, mut digits) = (0, 0);
    for (at, byte) in text.bytes().enumerate() {
        digits = if byte.is_ascii_digit() { digits + 1 } else { 0 };
        if digits == GROUP {
            let end = at + 1;
            if start < end - GROUP {
                each(&text[start..end - GROUP]);
            }
            each(&text[end - GROUP..end]);
            (start, digits) = (end, 0);
        }
    }
    if start < text.len() {
        each(&text[start..]);
    }
}

/// Length in bytes of the characters at the start of `text` that `matches` accepts.
fn run_length(text: &str, matches: impl Fn(char) -> bool) -> usize {
    text.find(|c| !matches(c)).unwrap_or(text.len())
}

/// `\s+(?!\S)|\s+` where `text` starts with white space: a run of it, less its last character if a word follows,
/// which that character then belongs to.
fn spaces(text: &str) -> usize {
    let run = run_length(text, char::is_whitespace);
    match text[..run].char_indices().next_back() {
        Some((last, _)) if run < text.len() && last > 0 => last,
        _ => run,
    }
}
