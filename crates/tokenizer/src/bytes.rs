//! GPT-2's spelling of bytes: byte-level vocabularies write each byte as one printable character.
//!
//! Bytes that are printable in Latin-1 stand for themselves; the others are U+0100, U+0101, … in order.
//! Source: `bytes_to_unicode` in <https://github.com/openai/gpt-2/blob/master/src/encoder.py>.

/// The first character that stands for a byte which is not printable.
const FIRST_STAND_IN: u32 = 0x100;

/// How many bytes are not printable in Latin-1.
const STAND_INS: usize = 68;

const fn is_printable(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF)
}

/// The bytes that are not printable, in order.
const NOT_PRINTABLE: [u8; STAND_INS] = {
    let mut bytes = [0; STAND_INS];
    let (mut byte, mut found) = (0, 0);
    while byte <= u8::MAX as usize {
        if !is_printable(byte as u8) {
            bytes[found] = byte as u8;
            found += 1;
        }
        byte += 1;
    }
    bytes
};

/// The characters of all bytes.
pub(crate) const CHARS: [char; 256] = {
    let mut chars = ['\0'; 256];
    let mut byte = 0;
    while byte < chars.len() {
        chars[byte] = byte as u8 as char;
        byte += 1;
    }
    let mut i = 0;
    while i < STAND_INS {
        chars[NOT_PRINTABLE[i] as usize] = match char::from_u32(FIRST_STAND_IN + i as u32) {
            Some(c) => c,
            None => unreachable!(),
        };
        i += 1;
    }
    chars
};

/// The byte that `c` stands for.
pub(crate) fn byte_of(c: char) -> Option<u8> {
    match u8::try_from(c) {
        Ok(byte) => is_printable(byte).then_some(byte),
        Err(_) => {
            let stand_in = u32::from(c).checked_sub(FIRST_STAND_IN)?;
            NOT_PRINTABLE.get(usize::try_from(stand_in).ok()?).copied()
        }
    }
}

/// The bytes that a token of a byte-level vocabulary stands for. A token with any other character in it was put into
/// the vocabulary as it is, and stands for itself.
pub(crate) fn decode(token: &[u8]) -> Vec<u8> {
    str::from_utf8(token)
        .ok()
        .and_then(|text| text.chars().map(byte_of).collect())
        .unwrap_or_else(|| token.to_vec())
}

/// Appends the spelling of `bytes` to `out`.
pub(crate) fn encode(bytes: &[u8], out: &mut String) {
    out.extend(bytes.iter().map(|&byte| CHARS[usize::from(byte)]));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_one_character() {
        for byte in 0..=u8::MAX {
            let c = CHARS[usize::from(byte)];
            assert_eq!(byte_of(c), Some(byte));
            assert!(!c.is_whitespace() && !c.is_control(), "{byte:#x} is {c:?}");
        }
    }

    #[test]
    fn spelling_is_gpt2s() {
        let mut spelled = String::new();
        encode(" é\n".as_bytes(), &mut spelled);
        assert_eq!(spelled, "ĠÃ©Ċ");
        assert_eq!(decode(spelled.as_bytes()), " é\n".as_bytes());
    }

    #[test]
    fn a_token_with_other_characters_stands_for_itself() {
        assert_eq!(decode("日Ġ".as_bytes()), "日Ġ".as_bytes());
        assert_eq!(decode(b"a b"), b"a b");
        assert_eq!(decode(b"\xFF"), b"\xFF");
    }
}
