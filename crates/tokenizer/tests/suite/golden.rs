//! Ids against the reference implementations. `tests/fixtures/tokenizers/README.md` says how they were made.

use tokenizer::{DecodeOptions, EncodeOptions, Tokenizer};

use crate::fixtures::{Golden, golden};

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
        texts.iter().filter(|(text, ..)| reversible(text)).count() >= 200,
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

/// The default model's own vocabulary, from its file. It has no tokens for some control characters, which are lost.
#[test]
fn smollm2() {
    check("smollm2", |text| {
        !text.contains(|c: char| c.is_control() && !c.is_whitespace())
    });
}
