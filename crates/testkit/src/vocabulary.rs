//! A tiny byte-level vocabulary.

use gguf::StringArray;

/// End of text, and padding.
pub const END_OF_TEXT: &str = "<|endoftext|>";
/// Start of a turn in a conversation.
pub const START_OF_TURN: &str = "<|im_start|>";
/// End of a turn in a conversation: the end-of-generation token.
pub const END_OF_TURN: &str = "<|im_end|>";
/// Beginning of text.
pub const BEGIN: &str = "<|begin|>";

/// Special tokens, in the order of their ids, which follow those of bytes and merges.
const SPECIAL: [&str; 4] = [END_OF_TEXT, START_OF_TURN, END_OF_TURN, BEGIN];

/// Merges in the order of their rank; `Ġ` stands for a space.
const MERGES: [&str; 16] = [
    "Ġ t", "h e", "Ġ a", "i n", "r e", "Ġt he", "o n", "e r", "Ġ s", "o u", "a n", "Ġa n", "Ġan d",
    "h i", "e l", "l o",
];

/// `tokenizer.ggml.token_type` of an ordinary token.
const NORMAL: i32 = 1;
/// `tokenizer.ggml.token_type` of a control token.
const CONTROL: i32 = 3;

/// A byte-level BPE vocabulary as it stands in a file.
#[derive(Debug, Clone)]
pub struct Vocabulary {
    /// Tokens by id: 256 bytes, 16 merges, 4 special tokens.
    pub tokens: StringArray,
    /// Merges by rank.
    pub merges: StringArray,
    /// Token types by id.
    pub types: Vec<i32>,
}

impl Vocabulary {
    /// The id of a token.
    ///
    /// # Panics
    /// If there is no such token.
    pub fn id(&self, token: &str) -> u32 {
        let found = self.tokens.iter().position(|text| text == token.as_bytes());
        found.unwrap_or_else(|| panic!("no token {token:?}")) as u32
    }
}

/// The vocabulary of every tiny model: 276 tokens, where the ids of bytes are not the bytes.
pub fn vocabulary() -> Vocabulary {
    // GPT-2 gives printable Latin-1 bytes their own character, and the other bytes those from U+0100, in order;
    // its ids list the printable ones first.
    let printable = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let own = (0..=u8::MAX)
        .filter(|&byte| printable(byte))
        .map(char::from);
    let others = (0..=u8::MAX).filter(|&byte| !printable(byte)).count() as u32;
    let shifted = (0..others).filter_map(|i| char::from_u32(0x100 + i));
    let bytes = own.chain(shifted).map(String::from);
    let merged = MERGES.iter().map(|merge| merge.replace(' ', ""));
    let tokens: StringArray = bytes
        .chain(merged)
        .chain(SPECIAL.map(String::from))
        .collect();
    let mut types = vec![NORMAL; tokens.len() - SPECIAL.len()];
    types.extend([CONTROL; SPECIAL.len()]);
    Vocabulary {
        tokens,
        merges: MERGES.into_iter().collect(),
        types,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_distinct_and_merges_join_tokens() {
        let vocabulary = vocabulary();
        assert_eq!(
            (vocabulary.tokens.len(), vocabulary.types.len()),
            (276, 276)
        );
        let mut sorted: Vec<&[u8]> = vocabulary.tokens.iter().collect();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), 276);
        for merge in MERGES {
            merge
                .split(' ')
                .for_each(|part| assert!(vocabulary.id(part) < 272));
        }
        assert_eq!(vocabulary.id(END_OF_TEXT), 272);
        assert_eq!((vocabulary.id("!"), vocabulary.id("Ġ")), (0, 188 + 32));
    }
}
