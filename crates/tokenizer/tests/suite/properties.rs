//! What holds for every text and every sequence of ids.

use std::sync::LazyLock;

use proptest::prelude::*;
use tokenizer::{DecodeOptions, EncodeOptions, StreamDecoder, Tokenizer};

use crate::fixtures::{rules, tokenizer, with_rule};

/// Rules whose golden ids are those of vocabularies of their own, which are not in pretokenizers.json.
const RULES_ELSEWHERE: [&str; 3] = ["default", "smollm", "llama-bpe"];

static BYTE_LEVEL: LazyLock<Vec<Tokenizer>> = LazyLock::new(|| {
    let own = ["gpt-2.gguf", "qwen2.gguf"].map(tokenizer);
    let elsewhere = RULES_ELSEWHERE.map(|rule| with_rule("gpt-2.gguf", rule));
    let golden = rules().into_iter().map(|(_, tokenizer, _)| tokenizer);
    own.into_iter().chain(elsewhere).chain(golden).collect()
});
static SENTENCE_PIECE: LazyLock<Tokenizer> = LazyLock::new(|| tokenizer("phi-3.gguf"));
static GEMMA: LazyLock<Tokenizer> = LazyLock::new(|| tokenizer("gemma-3.gguf"));
static WORD_PIECE: LazyLock<Tokenizer> = LazyLock::new(|| tokenizer("bert.gguf"));
static UNIGRAM: LazyLock<Tokenizer> = LazyLock::new(|| tokenizer("xlm-roberta.gguf"));

const PLAIN: EncodeOptions = EncodeOptions {
    add_special: false,
    parse_special: false,
};
const SHOWN: DecodeOptions = DecodeOptions { special: true };

fn all() -> impl Iterator<Item = &'static Tokenizer> {
    let others = [&*SENTENCE_PIECE, &*GEMMA, &*WORD_PIECE, &*UNIGRAM];
    BYTE_LEVEL[..2].iter().chain(others)
}

/// Texts with special tokens, whole and in pieces, between anything else.
fn texts() -> impl Strategy<Value = String> {
    let pieces = prop_oneof![
        "(?s).{0,8}",
        "[a-z ]{0,12}",
        prop::sample::select(vec![
            "<|im_start|>",
            "<|im_end|>",
            "<|endoftext|>",
            "<|im_",
            "|>",
            "<",
            "<s>",
            "</s>",
            "<|end|>",
            " ",
            "\n",
            "▁",
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(pieces, 0..8).prop_map(|pieces| pieces.concat())
}

fn options() -> impl Strategy<Value = EncodeOptions> {
    any::<[bool; 2]>().prop_map(|[add_special, parse_special]| EncodeOptions {
        add_special,
        parse_special,
    })
}

/// Ids of which most are in the smallest of the vocabularies.
fn ids() -> impl Strategy<Value = Vec<u32>> {
    prop::collection::vec(prop_oneof![20 => 0..17_000_u32, 1 => any::<u32>()], 0..40)
}

proptest! {
    #[test]
    fn byte_level_text_comes_back(text in texts()) {
        for tokenizer in &*BYTE_LEVEL {
            prop_assert_eq!(tokenizer.decode(&tokenizer.encode(&text, PLAIN), SHOWN), text.as_str());
        }
    }

    #[test]
    fn sentence_piece_text_comes_back(text in "[^▁<]{0,40}") {
        for tokenizer in [&*SENTENCE_PIECE, &*GEMMA] {
            prop_assert_eq!(tokenizer.decode(&tokenizer.encode(&text, PLAIN), SHOWN), text.as_str());
        }
    }

    #[test]
    fn ids_are_in_the_vocabulary(text in texts(), options in options()) {
        for tokenizer in all() {
            let ids = tokenizer.encode(&text, options);
            prop_assert!(ids.iter().all(|&id| (id as usize) < tokenizer.vocab_size()));
        }
    }

    #[test]
    fn streamed_text_is_the_decoded_text(ids in ids(), special: bool) {
        for tokenizer in all() {
            let mut decoder = StreamDecoder::new(special);
            let mut streamed: String = ids.iter().map(|&id| decoder.push(tokenizer, id)).collect();
            streamed.push_str(&decoder.finish());
            prop_assert_eq!(&streamed, &tokenizer.decode(&ids, DecodeOptions { special }));

            let bytes: Vec<u8> = ids.iter().filter_map(|&id| tokenizer.token_bytes(id, special)).flat_map(|b| b.into_owned()).collect();
            let mut decoder = StreamDecoder::continuing(special);
            let mut streamed: String = ids.iter().map(|&id| decoder.push(tokenizer, id)).collect();
            streamed.push_str(&decoder.finish());
            prop_assert_eq!(streamed, String::from_utf8_lossy(&bytes));
        }
    }

    /// No replacement character appears unless it is in the text itself.
    #[test]
    fn streamed_characters_are_whole(text in "[\\PC&&[^\u{fffd}]]{0,30}") {
        for tokenizer in all() {
            let mut decoder = StreamDecoder::new(true);
            for id in tokenizer.encode(&text, PLAIN) {
                prop_assert!(!decoder.push(tokenizer, id).contains(char::REPLACEMENT_CHARACTER));
            }
            prop_assert_eq!(decoder.finish(), "");
        }
    }
}

#[test]
fn half_a_character_is_held_back() {
    let tokenizer = &BYTE_LEVEL[0];
    let byte = |spelled| tokenizer.token_id(spelled).expect("a byte token");
    // The first two bytes of a crab, which has four, as GPT-2 spells them.
    let halves = [byte("ð"), byte("Ł")];
    let mut decoder = StreamDecoder::new(false);
    assert_eq!(halves.map(|id| decoder.push(tokenizer, id)), ["", ""]);
    assert_eq!(decoder.finish(), "\u{fffd}");
    assert_eq!(halves.map(|id| decoder.push(tokenizer, id)), ["", ""]);
    assert_eq!(decoder.push(tokenizer, byte("a")), "\u{fffd}a");
    assert_eq!(decoder.finish(), "");
}

#[test]
fn a_continued_text_keeps_its_first_space() {
    let ids = SENTENCE_PIECE.encode("world", PLAIN);
    let mut whole = StreamDecoder::new(false);
    let mut continued = StreamDecoder::continuing(false);
    assert_eq!(whole.push(&SENTENCE_PIECE, ids[0]), "world");
    assert_eq!(continued.push(&SENTENCE_PIECE, ids[0]), " world");
}
