//! SentencePiece vocabularies: `tokenizer.model`, and the tokens that other files add.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{Kind, SPACE_MARK, Tokens, looks_special, padding, special::Special};
use crate::conversion::{Config, Entries, Family, folder::optional_json_file};

pub(super) const FILE: &str = "tokenizer.model";

/// The score of numbers without a token.
const UNUSED_SCORE: f32 = -10_000.0;
/// The score of added tokens.
const ADDED_SCORE: f32 = -1_000.0;

struct Piece {
    text: String,
    score: f32,
    kind: Kind,
}

pub(super) fn vocabulary(
    family: Family,
    config: &Config,
    folder: &Path,
) -> Result<(Entries, usize)> {
    let path = folder.join(FILE);
    let file = fs::read(&path).with_context(|| format!("{} can't be read", path.display()))?;
    let mut pieces = pieces(&file).with_context(|| format!("{} is damaged", path.display()))?;
    let size = config
        .u32("vocab_size")?
        .map_or(pieces.len(), |size| size as usize);
    pieces.truncate(size);
    for id in pieces.len()..size {
        pieces.push(Piece {
            text: padding(id),
            score: UNUSED_SCORE,
            kind: Kind::Unused,
        });
    }
    for (id, text, is_special) in added(family, folder)? {
        // Ids beyond the vocabulary can't occur.
        let Some(piece) = pieces.get_mut(id) else {
            continue;
        };
        let is_control = is_special
            .is_some_and(|special| special || family != Family::Phi3 && looks_special(&text));
        *piece = Piece {
            text: match is_control || is_special.is_none() || family == Family::Phi3 {
                true => text,
                false => text.replace(SPACE_MARK, " "),
            },
            score: ADDED_SCORE,
            kind: if is_control {
                Kind::Control
            } else {
                Kind::UserDefined
            },
        };
    }
    let mut tokens = Tokens::default();
    for piece in pieces {
        tokens.push(piece.text, piece.kind);
        tokens.scores.push(piece.score);
    }
    let mut entries = tokens.entries("llama", "default");
    entries.extend(Special::read(folder, Some(size))?.entries());
    Ok((entries, size))
}

/// Tokens that files beside the model add, in the order in which later ones win: id, text, and whether it is marked as
/// special, if the file says so.
fn added(family: Family, folder: &Path) -> Result<Vec<(usize, String, Option<bool>)>> {
    let mut added = Vec::new();
    let id = |value: Option<u64>| value.and_then(|id| usize::try_from(id).ok());
    if let Some(Value::Object(tokens)) = optional_json_file(&folder.join("added_tokens.json"))? {
        for (text, number) in tokens {
            added.extend(id(number.as_u64()).map(|id| (id, text, None)));
        }
    }
    let content = |token: &Value| token["content"].as_str().map(str::to_owned);
    let special = |token: &Value| Some(token["special"] == true);
    if let Some(config) = optional_json_file(&folder.join("tokenizer_config.json"))? {
        for (number, token) in config["added_tokens_decoder"]
            .as_object()
            .into_iter()
            .flatten()
        {
            let found = number.parse().ok().zip(content(token));
            added.extend(found.map(|(id, text)| (id, text, special(token))));
        }
    }
    if family == Family::Phi3
        && let Some(tokenizer) = optional_json_file(&folder.join("tokenizer.json"))?
    {
        for token in tokenizer["added_tokens"].as_array().into_iter().flatten() {
            let found = id(token["id"].as_u64()).zip(content(token));
            added.extend(found.map(|(id, text)| (id, text, special(token))));
        }
    }
    Ok(added)
}

/// The pieces of a model, which is a protocol buffer (`sentencepiece_model.proto`): field 1 of the whole are the pieces,
/// of which field 1 is the text, 2 the score and 3 the kind.
fn pieces(file: &[u8]) -> Result<Vec<Piece>> {
    const PIECE: u64 = 1;
    let mut pieces = Vec::new();
    let mut reader = Fields(file);
    while let Some((number, field)) = reader.next()? {
        let (PIECE, Field::Bytes(bytes)) = (number, field) else {
            continue;
        };
        let mut piece = Piece {
            text: String::new(),
            score: 0.0,
            kind: Kind::Normal,
        };
        let mut reader = Fields(bytes);
        while let Some((number, field)) = reader.next()? {
            match (number, field) {
                (1, Field::Bytes(text)) => {
                    piece.text =
                        String::from_utf8(text.to_vec()).context("a piece is not UTF-8")?;
                }
                (2, Field::Fixed32(bits)) => piece.score = f32::from_bits(bits),
                (3, Field::Number(kind)) => {
                    piece.kind = match kind {
                        1 => Kind::Normal,
                        2 => Kind::Unknown,
                        3 => Kind::Control,
                        // What the model's maker added is matched like other pieces.
                        4 => Kind::Normal,
                        5 => Kind::Unused,
                        6 => Kind::Byte,
                        other => bail!("piece {} has the unknown kind {other}", pieces.len()),
                    };
                }
                _ => {}
            }
        }
        pieces.push(piece);
    }
    Ok(pieces)
}

/// The fields of a protocol buffer's message, one after another.
struct Fields<'a>(&'a [u8]);

enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
    Fixed64,
}

impl<'a> Fields<'a> {
    /// The next field with its number.
    fn next(&mut self) -> Result<Option<(u64, Field<'a>)>> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.number()?;
        let field = match tag & 7 {
            0 => Field::Number(self.number()?),
            1 => {
                self.take(8)?;
                Field::Fixed64
            }
            2 => {
                let len = usize::try_from(self.number()?)?;
                Field::Bytes(self.take(len)?)
            }
            5 => Field::Fixed32(u32::from_le_bytes(self.take(4)?.try_into()?)),
            other => bail!("a field has the unknown wire type {other}"),
        };
        Ok(Some((tag >> 3, field)))
    }

    /// A number in groups of seven bits, the lowest first.
    fn number(&mut self) -> Result<u64> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.take(1)?[0];
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        bail!("a number has more than 64 bits")
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self
            .0
            .split_at_checked(len)
            .context("it ends within a field")?;
        self.0 = rest;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_read_and_damage_is_noticed() {
        let piece = [0x0a, 2, b'a', b'b', 0x15, 0, 0, 0x80, 0xbf, 0x18, 6];
        let mut file = vec![0x0a, piece.len() as u8];
        file.extend(piece);
        file.extend([0x10, 0x96, 0x01]);
        let read = pieces(&file).unwrap();
        assert_eq!(read.len(), 1);
        assert_eq!(
            (read[0].text.as_str(), read[0].score, read[0].kind),
            ("ab", -1.0, Kind::Byte)
        );
        for cut in 1..file.len() {
            // Cut between two fields it is a shorter file.
            assert!(pieces(&file[..cut]).is_err() || cut == 13, "{cut}");
        }
    }
}
