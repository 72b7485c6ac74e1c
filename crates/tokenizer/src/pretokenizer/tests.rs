//! The matchers against a regular-expression engine with the published expressions.

use fancy_regex::Regex;
use proptest::prelude::*;

use super::PreTokenizer;

const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Each rule as a list of expressions; each cuts the pieces that the one before left into matches and gaps.
const RULES: [(PreTokenizer, &[&str]); 5] = [
    (PreTokenizer::Gpt2, &[GPT2]),
    (PreTokenizer::SmolLm, &[r"\p{N}", GPT2]),
    (PreTokenizer::Llama3, &[LLAMA3]),
    (PreTokenizer::Qwen2, &[QWEN2]),
    (
        PreTokenizer::Default,
        &[r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", "[0-9][0-9][0-9]"],
    ),
];

fn reference<'t>(expressions: &[Regex], text: &'t str) -> Vec<&'t str> {
    expressions.iter().fold(vec![text], |pieces, expression| {
        let mut cut = Vec::new();
        for piece in pieces {
            let mut end = 0;
            for found in expression.find_iter(piece) {
                let found = found.expect("within the engine's limits");
                cut.extend([&piece[end..found.start()], found.as_str()]);
                end = found.end();
            }
            cut.push(&piece[end..]);
        }
        cut.retain(|piece| !piece.is_empty());
        cut
    })
}

fn words(rule: PreTokenizer, text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    rule.split(text, &mut |word| words.push(word));
    words
}

thread_local! {
    static COMPILED: Vec<(PreTokenizer, Vec<Regex>)> = RULES
        .iter()
        .map(|&(rule, sources)| {
            (rule, sources.iter().map(|source| Regex::new(source).expect("a valid expression")).collect())
        })
        .collect();
}

fn agree(text: &str) {
    COMPILED.with(|rules| {
        for (rule, expressions) in rules {
            let (found, expected) = (words(*rule, text), reference(expressions, text));
            let difference = found
                .iter()
                .zip(&expected)
                .find(|(found, expected)| found != expected);
            assert!(
                found == expected,
                "{rule:?}: first difference {difference:?} in {} words",
                expected.len()
            );
        }
    });
}

/// Characters between which the expressions decide, more often than chance would bring them together.
fn telling() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        " ",
        "  ",
        "\n",
        "\r",
        "\r\n",
        "\t",
        "\u{a0}",
        "\u{85}",
        "\u{3000}",
        "\u{200b}",
        "\u{2028}",
        "'",
        "'s",
        "'S",
        "'ſ",
        "'ll",
        "'LL",
        "'Re",
        "'vE",
        "'d",
        "'k",
        "a",
        "Z",
        "é",
        "ß",
        "ﬁ",
        "日",
        "本",
        "ا",
        "ह",
        "ि",
        "\u{301}",
        "1",
        "23",
        "456",
        "٣",
        "½",
        "Ⅷ",
        "²",
        ".",
        ",",
        "!",
        "$",
        "+",
        "<",
        "=",
        "^",
        "|",
        "~",
        "`",
        "_",
        "-",
        "—",
        "€",
        "👩",
        "\u{200d}",
        "\u{fe0f}",
        "🏽",
        "\0",
        "\u{7f}",
        "\u{ad}",
        "\u{e000}",
        "\u{10ffff}",
        "\u{378}",
    ]);
    prop::collection::vec(pieces, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn telling_text_is_cut_as_the_expressions_cut_it(text in telling()) {
        agree(&text);
    }

    #[test]
    fn any_text_is_cut_as_the_expressions_cut_it(text in "\\PC{0,40}|(?s).{0,40}") {
        agree(&text);
    }
}

/// Every character between letters, numbers and spaces: the tables of classes, complete but for empty planes.
#[test]
fn every_character_is_cut_as_the_expressions_cut_it() {
    const BLOCK: usize = 0x400;
    for block in (0..0x4_0000_u32)
        .chain(0xE_0000..0xE_1000)
        .chain(0x10_F000..0x11_0000)
        .step_by(BLOCK)
    {
        let characters = (block..).take(BLOCK).filter_map(char::from_u32);
        let text: String = characters.map(|c| format!("a{c}1{c} {c}b")).collect();
        agree(&text);
    }
}

#[test]
fn an_empty_text_has_no_words() {
    agree("");
}

#[test]
fn unknown_names_are_refused() {
    assert_eq!(
        PreTokenizer::from_name("smollm"),
        Some(PreTokenizer::SmolLm)
    );
    assert_eq!(PreTokenizer::from_name(""), Some(PreTokenizer::Default));
    assert_eq!(PreTokenizer::from_name("tekken"), None);
}
