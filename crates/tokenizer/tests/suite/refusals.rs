//! Files whose tokenizer cannot be built, and the messages that say why.

use gguf::{Array, Metadata, StringArray, Value};
use proptest::prelude::*;
use tokenizer::{EncodeOptions, Tokenizer};

use crate::fixtures::with;

fn strings(texts: &[&str]) -> Value {
    let mut strings = StringArray::new();
    texts.iter().for_each(|text| strings.push(text));
    Value::Array(Array::Strings(strings))
}

fn text(value: &str) -> Value {
    Value::String(value.to_owned())
}

/// A byte-level BPE of three tokens.
fn small() -> Metadata {
    let entries = [
        ("tokenizer.ggml.model", text("gpt2")),
        ("tokenizer.ggml.pre", text("gpt-2")),
        ("tokenizer.ggml.tokens", strings(&["a", "b", "ab"])),
        ("tokenizer.ggml.merges", strings(&["a b"])),
    ];
    Metadata::from_entries(entries.map(|(key, value)| (key.to_owned(), value)).into())
        .expect("keys that differ")
}

fn refusal(changes: impl IntoIterator<Item = (&'static str, Value)>) -> String {
    let changes = changes
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value));
    Tokenizer::from_metadata(&with(&small(), changes))
        .expect_err("a refusal")
        .to_string()
}

#[test]
fn the_small_one_works() {
    let tokenizer = Tokenizer::from_metadata(&small()).expect("a tokenizer");
    let options = EncodeOptions {
        add_special: true,
        parse_special: true,
    };
    assert_eq!(tokenizer.encode("abba", options), [2, 1, 0]);
    assert_eq!((tokenizer.bos(), tokenizer.eos()), (None, None));
    assert!((0..3).all(|id| !tokenizer.is_end_of_generation(id)));
}

#[test]
fn an_unknown_algorithm_is_named() {
    let message = refusal([("tokenizer.ggml.model", text("rwkv"))]);
    assert!(
        message.contains("`tokenizer.ggml.model` is `rwkv`"),
        "{message}"
    );
}

#[test]
fn an_unknown_pre_tokenizer_is_named() {
    let message = refusal([("tokenizer.ggml.pre", text("jais-2"))]);
    assert!(
        message.contains("`tokenizer.ggml.pre` is `jais-2`"),
        "{message}"
    );
}

#[test]
fn special_tokens_that_words_need_are_named() {
    // The ids that BERT and T5 have unless the file says lie outside of this vocabulary.
    for (model, key) in [
        ("bert", "tokenizer.ggml.bos_token_id"),
        ("t5", "tokenizer.ggml.unknown_token_id"),
    ] {
        let tokens = strings(&["a", "b"]);
        let message = refusal([
            ("tokenizer.ggml.model", text(model)),
            ("tokenizer.ggml.tokens", tokens),
        ]);
        assert!(message.contains(&format!("`{key}`")), "{message}");
    }
}

/// A unigram model of three tokens with these rules of normalization.
fn unigram(charsmap: Vec<u8>) -> Result<Tokenizer, tokenizer::Error> {
    let changes = [
        ("tokenizer.ggml.model", text("t5")),
        (
            "tokenizer.ggml.precompiled_charsmap",
            Value::Array(Array::U8(charsmap)),
        ),
    ];
    let changes = changes.map(|(key, value)| (key.to_owned(), value));
    Tokenizer::from_metadata(&with(&small(), changes))
}

#[test]
fn rules_of_normalization_must_be_whole() {
    for charsmap in [
        vec![],
        vec![0, 0, 0],
        vec![4, 0, 0, 0, 1, 2, 3],
        vec![3, 0, 0, 0, 1, 2, 3],
        vec![0, 0, 0, 0, b'a'],
        vec![0, 0, 0, 0, 0xFF, 0],
        vec![0xFF; 8],
    ] {
        let length = charsmap.len();
        let message = unigram(charsmap).expect_err("a refusal").to_string();
        assert!(message.contains(&format!("of {length} bytes")), "{message}");
    }
    assert!(unigram(vec![0, 0, 0, 0]).is_ok());
}

proptest! {
    /// Rules that point anywhere are no rules, or replace by some text: nothing worse.
    #[test]
    fn rules_that_point_anywhere_do_no_harm(
        units in prop::collection::vec(prop_oneof![any::<u32>(), 0..0x400_0000_u32], 1..512),
        replacements in "[ab\0]{0,40}",
        text in "[ab é]{0,20}",
    ) {
        let mut charsmap = (4 * units.len() as u32).to_le_bytes().to_vec();
        charsmap.extend(units.iter().flat_map(|unit| unit.to_le_bytes()));
        charsmap.extend(replacements.bytes());
        charsmap.push(0);
        let tokenizer = unigram(charsmap).expect("whole rules");
        let options = EncodeOptions { add_special: false, parse_special: false };
        let ids = tokenizer.encode(&text, options);
        prop_assert!(ids.iter().all(|&id| id < 3));
    }
}

#[test]
fn a_missing_key_is_named() {
    for key in [
        "tokenizer.ggml.model",
        "tokenizer.ggml.tokens",
        "tokenizer.ggml.merges",
    ] {
        let entries = small()
            .iter()
            .filter(|(other, _)| *other != key)
            .map(|(k, v)| (k.to_owned(), v.clone()))
            .collect();
        let metadata = Metadata::from_entries(entries).expect("keys that differ");
        let message = Tokenizer::from_metadata(&metadata)
            .expect_err("a refusal")
            .to_string();
        assert!(message.contains(&format!("no `{key}`")), "{message}");
    }
}

#[test]
fn arrays_must_fit_the_vocabulary() {
    let message = refusal([(
        "tokenizer.ggml.token_type",
        Value::Array(Array::I32(vec![1, 1])),
    )]);
    assert_eq!(
        message,
        "`tokenizer.ggml.token_type` has 2 elements for 3 tokens"
    );
    let message = refusal([(
        "tokenizer.ggml.token_type",
        Value::Array(Array::F32(vec![1.0; 3])),
    )]);
    assert_eq!(
        message,
        "`tokenizer.ggml.token_type` holds f32; expected integers"
    );
    let message = refusal([("tokenizer.ggml.scores", Value::Array(Array::U8(vec![1; 3])))]);
    assert_eq!(
        message,
        "`tokenizer.ggml.scores` holds u8; expected f32 or i32"
    );
}

#[test]
fn a_wrong_type_is_named() {
    let message = refusal([("tokenizer.ggml.tokens", Value::U32(3))]);
    assert!(message.contains("tokenizer.ggml.tokens"), "{message}");
}

#[test]
fn a_malformed_merge_is_shown() {
    for merge in ["ab", " ab", ""] {
        let message = refusal([("tokenizer.ggml.merges", strings(&["a b", merge]))]);
        assert!(
            message.contains(&format!("merge 1 in `tokenizer.ggml.merges` is `{merge}`")),
            "{message}"
        );
    }
}

#[test]
fn a_malformed_byte_token_is_shown() {
    let byte_type = Value::Array(Array::I32(vec![1, 6, 1]));
    let message = refusal([("tokenizer.ggml.token_type", byte_type)]);
    assert!(
        message.contains("token 1 is `b` and of type byte"),
        "{message}"
    );
}

#[test]
fn a_token_to_add_must_be_given() {
    let message = refusal([("tokenizer.ggml.add_bos_token", Value::Bool(true))]);
    assert!(
        message.contains("`tokenizer.ggml.bos_token_id`"),
        "{message}"
    );
    // One outside the vocabulary is as good as none.
    let message = refusal([
        ("tokenizer.ggml.add_eos_token", Value::Bool(true)),
        ("tokenizer.ggml.eos_token_id", Value::U32(3)),
    ]);
    assert!(
        message.contains("`tokenizer.ggml.eos_token_id`"),
        "{message}"
    );
}
