//! Ids against the reference implementations. `tests/fixtures/tokenizers/README.md` says how they were made.

use tokenizer::{DecodeOptions, EncodeOptions, Tokenizer};

use crate::fixtures::{Golden, golden, rules};

const PLAIN: EncodeOptions = EncodeOptions {
    add_special: false,
    parse_special: false,
};
const PARSED: EncodeOptions = EncodeOptions {
    add_special: true,
    parse_special: true,
};

/// Compares everything in the golden file `name`. Decoding gives back the texts that `reversible` accepts.
fn check(name: &str, reversible: impl Fn(&str) -> bool) {
    const REVERSIBLE: usize = 200;
    check_with(name, reversible, REVERSIBLE);
}

/// The same for a tokenizer that gives back at least `enough` texts only.
fn check_with(name: &str, reversible: impl Fn(&str) -> bool, enough: usize) {
    let Golden {
        tokenizer,
        ends,
        special,
        pieces,
        texts,
    } = golden(name);
    for (text, plain, parsed) in &texts {
        assert_eq!(tokenizer.encode(text, PLAIN), *plain, "{name}: {text:?}");
        assert_eq!(
            tokenizer.encode(text, PARSED),
            *parsed,
            "{name}, special tokens parsed: {text:?}"
        );
        if reversible(text) {
            assert_eq!(
                tokenizer.decode(plain, DecodeOptions { special: true }),
                *text,
                "{name}"
            );
        }
    }
    assert!(
        texts.iter().filter(|(text, ..)| reversible(text)).count() >= enough,
        "{name}: few texts are reversible"
    );

    let all = || 0..u32::try_from(tokenizer.vocab_size()).expect("ids are 32 bits");
    let found: Vec<u32> = all()
        .filter(|&id| tokenizer.is_end_of_generation(id))
        .collect();
    assert_eq!(found, ends, "{name}: tokens that end generation");
    let found: Vec<u32> = all().filter(|&id| tokenizer.is_special(id)).collect();
    assert_eq!(found, special, "{name}: control and unknown tokens");
    assert_eq!(
        [false, true].map(|special| hash_pieces(&tokenizer, special)),
        pieces,
        "{name}: what tokens decode to"
    );
}

/// FNV-1a over the bytes of all tokens, each followed by their number as one byte, as `reference.cpp` has it.
fn hash_pieces(tokenizer: &Tokenizer, special: bool) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    let mut id = 0;
    while let Some(bytes) = tokenizer.token_bytes(id, special) {
        bytes.iter().for_each(|&byte| add(byte));
        add((bytes.len() % 256) as u8);
        id += 1;
    }
    format!("{hash:016x}")
}

/// SentencePiece cannot tell U+2581 from a space; and text after a special token starts with a space of its own.
fn has_no_markers(text: &str) -> bool {
    !text.contains(['▁', '<'])
}

#[test]
fn gpt_2() {
    check("gpt-2", |_| true);
}

#[test]
fn smollm() {
    check("smollm", |_| true);
}

#[test]
fn default() {
    check("default", |_| true);
}

#[test]
fn qwen2() {
    check("qwen2", |_| true);
}

#[test]
fn llama_bpe() {
    check("llama-bpe", |_| true);
}

#[test]
fn phi_3() {
    check("phi-3", has_no_markers);
}

#[test]
fn llama() {
    check("llama", has_no_markers);
}

#[test]
fn gemma() {
    check("gemma", has_no_markers);
}

#[test]
fn gemma_3() {
    check("gemma-3", has_no_markers);
}

/// Upper case, accents and white space are lost.
#[test]
fn bert() {
    check_with("bert", |_| false, 0);
}

#[test]
fn bert_cased() {
    check_with("bert-cased", |_| false, 0);
}

/// Runs of white space are lost, and what the vocabulary has no tokens for.
#[test]
fn xlm_roberta() {
    check_with("xlm-roberta", |_| false, 0);
}

#[test]
fn t5() {
    check_with("t5", |_| false, 0);
}

/// Rules whose vocabularies are not here, over others.
#[test]
fn pre_tokenizers() {
    let rules = rules();
    assert!(rules.len() >= 24);
    for (name, tokenizer, texts) in rules {
        assert!(texts.len() >= 200);
        for (text, plain) in &texts {
            assert_eq!(tokenizer.encode(text, PLAIN), *plain, "{name}: {text:?}");
            assert_eq!(
                tokenizer.decode(plain, DecodeOptions { special: true }),
                *text,
                "{name}"
            );
        }
    }
}

/// The default model's own vocabulary, from its file. It has no tokens for some control characters, which are lost.
#[test]
fn smollm2() {
    check("smollm2", |text| {
        !text.contains(|c: char| c.is_control() && !c.is_whitespace())
    });
}
