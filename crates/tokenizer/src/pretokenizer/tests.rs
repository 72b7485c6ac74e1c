//! The matchers against a regular-expression engine with the published expressions.

use std::cell::Cell;
use std::sync::LazyLock;

use fancy_regex::Regex;
use proptest::prelude::*;

use super::{PreTokenizer, Rule};

/// A name for each rule.
const NAMES: [&str; 29] = [
    "default",
    "gpt-2",
    "smollm",
    "llama-bpe",
    "qwen2",
    "qwen35",
    "minicpm5",
    "ufakzeka",
    "laguna",
    "bailingmoe",
    "seed-coder",
    "exaone-moe",
    "gpt-4o",
    "tiny_aya",
    "tekken",
    "youtu",
    "kimi-k2",
    "deepseek-llm",
    "deepseek-coder",
    "deepseek-v3",
    "spark2_5",
    "afmoe",
    "falcon",
    "bloom",
    "viking",
    "chameleon",
    "dbrx",
    "glm4",
    "granite-embed-multi-97m",
];

/// What is published for an expression that is written differently here.
fn published(expression: &str) -> String {
    expression.replace(
        r"\p{L}(?:[\p{L}\p{M}]| \p{L})*",
        r"(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+",
    )
}

/// The pieces that `expressions` cut `text` into, one after another, by the engine.
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

fn words<'t>(rule: &PreTokenizer, text: &'t str) -> Vec<&'t str> {
    let mut words = Vec::new();
    rule.split(text, &mut |word| words.push(word));
    words
}

fn rule(name: &str) -> Rule {
    Rule::from_name(name).expect("a known name")
}

/// Every rule by name: its matcher, and its expressions for the engine.
static COMPILED: LazyLock<Vec<(&str, PreTokenizer, Vec<Regex>)>> = LazyLock::new(|| {
    let compile = |source: &&str| Regex::new(&published(source)).expect("a valid expression");
    let compiled = |name| {
        let engine = rule(name).expressions.iter().map(compile).collect();
        (name, PreTokenizer::new(rule(name)), engine)
    };
    NAMES.into_iter().map(compiled).collect()
});

thread_local! {
    /// Characters looked at.
    static LOOKS: Cell<usize> = const { Cell::new(0) };
}

/// Counts a character looked at, whose number is a matcher's work.
pub(super) fn count_look() {
    LOOKS.with(|looks| looks.set(looks.get() + 1));
}

fn agree(text: &str) {
    for (name, matcher, engine) in &*COMPILED {
        let (found, expected) = (words(matcher, text), reference(engine, text));
        let difference = found
            .iter()
            .zip(&expected)
            .find(|(found, expected)| found != expected);
        assert!(
            found == expected,
            "{name}: first difference {difference:?} in {} words",
            expected.len()
        );
    }
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
    #![proptest_config(ProptestConfig::with_cases(512))]

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
fn names_stand_for_rules() {
    assert_eq!(Rule::from_name(""), Rule::from_name("default"));
    assert_eq!(Rule::from_name("starcoder"), Rule::from_name("smollm"));
    assert!(rule("tekken").whole_words_first && rule("tekken").adds_bos);
    assert!(rule("glm4").whole_words_first && !rule("glm4").adds_bos);
    assert!(!rule("qwen2").whole_words_first && !rule("qwen2").adds_bos);
    assert_eq!(Rule::from_name("jais-2"), None);
}

/// Texts on which a careless matcher goes over the same characters again and again.
#[test]
fn work_grows_with_the_length_of_a_text() {
    const LENGTH: usize = 1 << 11;
    const LOOKS_PER_CHARACTER: usize = 110;
    let beginnings = ["", "1", "日", "IMGIMG", "<sentinel:"];
    let units = [
        " ", "\n", " \n", "\n ", "\t", "a", "A", "aA", "日A", "A日", "日", "ー", "1", "12a", "1 ",
        "½", ".", "'", "'r", ". ", "/", "\u{301}", "a\u{301}", "\u{301}A", " a", "  a", "A1",
        "IMG", "é", "ا", "가", "😀",
    ];
    for ((name, matcher, _), beginning, unit) in COMPILED
        .iter()
        .flat_map(|rule| beginnings.map(|beginning| (rule, beginning)))
        .flat_map(|(rule, beginning)| units.map(|unit| (rule, beginning, unit)))
    {
        for end in ["", "日a"] {
            let text = beginning.to_owned() + &unit.repeat(LENGTH / unit.len()) + end;
            let before = LOOKS.get();
            matcher.split(&text, &mut |_| {});
            let looks = LOOKS.get() - before;
            assert!(
                looks <= LOOKS_PER_CHARACTER * LENGTH,
                "{name}: {looks} for {beginning:?}, {unit:?} again and again, {end:?}"
            );
        }
    }
}
