//! Which tokens begin and end texts.
//!
//! GGUF names a few of them by id; the rest are known by their text alone. Keys, names and exceptions are those of
//! `llama_vocab::impl::load` in <https://github.com/ggml-org/llama.cpp/blob/master/src/llama-vocab.cpp>, so that a model
//! stops where it stops there.

use gguf::Metadata;

use crate::Error;
use crate::vocabulary::{Kind, Vocabulary};

const BOS: &str = "tokenizer.ggml.bos_token_id";
const EOS: &str = "tokenizer.ggml.eos_token_id";
const UNKNOWN: &str = "tokenizer.ggml.unknown_token_id";
/// Misspelled in the format itself.
const SEPARATOR: &str = "tokenizer.ggml.seperator_token_id";
const ADD_BOS: &str = "tokenizer.ggml.add_bos_token";
const ADD_EOS: &str = "tokenizer.ggml.add_eos_token";

/// A role that some file names by id, and others leave to be found by the token's text.
struct Role {
    /// Keys that may hold the id; later ones are older spellings.
    keys: &'static [&'static str],
    /// Texts by which the token is found where no key is present.
    names: &'static [&'static str],
    /// Whether the token ends generation.
    ends_generation: bool,
}

const ROLES: [Role; 8] = [
    Role {
        keys: &["tokenizer.ggml.eot_token_id"],
        names: &[],
        ends_generation: true,
    },
    Role {
        keys: &["tokenizer.ggml.eom_token_id"],
        names: &[],
        ends_generation: true,
    },
    Role {
        keys: &[
            "tokenizer.ggml.fim_pre_token_id",
            "tokenizer.ggml.prefix_token_id",
        ],
        names: &[
            "<|fim_prefix|>",
            "<fim-prefix>",
            "<fim_prefix>",
            "<｜fim▁begin｜>",
            "<PRE>",
            "▁<PRE>",
            "<|code_prefix|>",
            "<|prefix|>",
        ],
        ends_generation: false,
    },
    Role {
        keys: &[
            "tokenizer.ggml.fim_suf_token_id",
            "tokenizer.ggml.suffix_token_id",
        ],
        names: &[
            "<|fim_suffix|>",
            "<fim-suffix>",
            "<fim_suffix>",
            "<｜fim▁hole｜>",
            "<SUF>",
            "▁<SUF>",
            "<|code_suffix|>",
            "<|suffix|>",
        ],
        ends_generation: false,
    },
    Role {
        keys: &[
            "tokenizer.ggml.fim_mid_token_id",
            "tokenizer.ggml.middle_token_id",
        ],
        names: &[
            "<|fim_middle|>",
            "<fim-middle>",
            "<fim_middle>",
            "<｜fim▁end｜>",
            "<MID>",
            "▁<MID>",
            "<|code_middle|>",
            "<|middle|>",
        ],
        ends_generation: false,
    },
    Role {
        keys: &["tokenizer.ggml.fim_pad_token_id"],
        names: &["<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"],
        ends_generation: true,
    },
    Role {
        keys: &["tokenizer.ggml.fim_rep_token_id"],
        names: &[
            "<|fim_repo|>",
            "<|repo_name|>",
            "<fim-repo>",
            "<REPO>",
            "<reponame>",
        ],
        ends_generation: true,
    },
    Role {
        keys: &["tokenizer.ggml.fim_sep_token_id"],
        names: &["<|file_sep|>"],
        ends_generation: true,
    },
];

/// Tokens that end generation wherever they occur in a vocabulary.
const ENDS: [&str; 22] = [
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    "<turn|>",
    "<|tool_response>",
    "<｜end▁of▁sentence｜>",
    "[e~[",
];

/// Control tokens in name that the harmony format shows as text.
const SHOWN: [&str; 4] = ["<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"];

/// The tokens that have a role at the ends of a text.
#[derive(Debug)]
pub(crate) struct Roles {
    pub(crate) bos: Option<u32>,
    pub(crate) eos: Option<u32>,
    pub(crate) unknown: Option<u32>,
    separator: Option<u32>,
    pub(crate) add_bos: bool,
    /// What ends every text.
    pub(crate) closing: Option<u32>,
    /// Sorted.
    ends: Vec<u32>,
}

/// The roles that hold where a file does not speak of them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Defaults {
    pub(crate) bos: Option<u32>,
    pub(crate) eos: Option<u32>,
    pub(crate) unknown: Option<u32>,
    pub(crate) separator: Option<u32>,
    pub(crate) add_bos: bool,
    pub(crate) add_eos: bool,
}

impl Defaults {
    /// The ids that SentencePiece's trainer gives unless told otherwise.
    pub(crate) const LLAMA: Self = Self {
        unknown: Some(0),
        bos: Some(1),
        eos: Some(2),
        separator: None,
        add_bos: true,
        add_eos: false,
    };
    /// T5's.
    pub(crate) const T5: Self = Self {
        unknown: Some(2),
        bos: None,
        eos: Some(1),
        separator: None,
        add_bos: false,
        add_eos: true,
    };
    /// BERT's.
    pub(crate) const BERT: Self = Self {
        unknown: Some(100),
        bos: Some(101),
        eos: None,
        separator: Some(102),
        add_bos: true,
        add_eos: false,
    };
}

impl Roles {
    /// Reads the roles, and makes control tokens of those tokens of `vocabulary` that have one but another type.
    pub(crate) fn from_metadata(
        metadata: &Metadata,
        vocabulary: &mut Vocabulary,
        defaults: Defaults,
    ) -> Result<Self, Error> {
        let bos = id_at(metadata, vocabulary, BOS, defaults.bos)?;
        let eos = id_at(metadata, vocabulary, EOS, defaults.eos)?;
        let unknown = id_at(metadata, vocabulary, UNKNOWN, defaults.unknown)?;
        let separator = id_at(metadata, vocabulary, SEPARATOR, defaults.separator)?;
        let add_bos = metadata.bool(ADD_BOS)?.unwrap_or(defaults.add_bos);
        let add_eos = metadata.bool(ADD_EOS)?.unwrap_or(defaults.add_eos);
        for (wanted, id, key) in [(add_bos, bos, BOS), (add_eos, eos, EOS)] {
            if wanted && id.is_none() {
                return Err(Error::MissingSpecialToken { key });
            }
        }
        let ends = ends(metadata, vocabulary, eos)?;
        Ok(Self {
            bos,
            eos,
            unknown,
            separator,
            add_bos,
            closing: eos.filter(|_| add_eos),
            ends,
        })
    }

    /// The token for what cannot be spelled, without which a model of words or characters has no ids for some texts.
    pub(crate) fn required_unknown(&self) -> Result<u32, Error> {
        self.unknown
            .ok_or(Error::MissingSpecialToken { key: UNKNOWN })
    }

    /// Puts the tokens around every text that BERT has there, whatever the file says: beginning and separator.
    pub(crate) fn enclose(&mut self) -> Result<(), Error> {
        for (id, key) in [(self.bos, BOS), (self.separator, SEPARATOR)] {
            if id.is_none() {
                return Err(Error::MissingSpecialToken { key });
            }
        }
        self.add_bos = true;
        self.closing = self.separator;
        Ok(())
    }

    /// Whether `id` ends generation.
    pub(crate) fn ends_generation(&self, id: u32) -> bool {
        self.ends.binary_search(&id).is_ok()
    }
}

/// The id at `key`. One outside the vocabulary counts as absent: files with such ids are about.
fn id_at(
    metadata: &Metadata,
    vocabulary: &Vocabulary,
    key: &str,
    default: Option<u32>,
) -> Result<Option<u32>, Error> {
    let in_vocabulary = |id: &u32| vocabulary.contains(*id);
    Ok(metadata
        .u32(key)?
        .filter(in_vocabulary)
        .or(default.filter(in_vocabulary)))
}

fn ends(
    metadata: &Metadata,
    vocabulary: &mut Vocabulary,
    eos: Option<u32>,
) -> Result<Vec<u32>, Error> {
    let mut ends: Vec<u32> = eos.into_iter().collect();
    for role in &ROLES {
        let mut id = None;
        for key in role.keys {
            id = id_at(metadata, vocabulary, key, id)?;
        }
        let named = || {
            role.names
                .iter()
                .find_map(|name| vocabulary.id(name.as_bytes()))
        };
        if id.is_none() {
            id = named();
            id.into_iter()
                .for_each(|id| vocabulary.set_kind(id, Kind::Control));
        }
        ends.extend(id.filter(|_| role.ends_generation));
    }
    for id in ENDS
        .iter()
        .filter_map(|name| vocabulary.id(name.as_bytes()))
        .collect::<Vec<_>>()
    {
        vocabulary.set_kind(id, Kind::Control);
        ends.push(id);
    }
    for id in SHOWN
        .iter()
        .filter_map(|name| vocabulary.id(name.as_bytes()))
        .collect::<Vec<_>>()
    {
        vocabulary.set_kind(id, Kind::UserDefined);
    }

    let end_named = |name: &str| {
        vocabulary
            .id(name.as_bytes())
            .filter(|id| ends.contains(id))
    };
    let called = end_named("<|call|>").or(end_named("<|calls|>")).is_some();
    // In the harmony format and in Solar Open's, this token ends a message, and more messages follow.
    let message_end = end_named("<|end|>").filter(|_| {
        called && (end_named("<|return|>").is_some() || end_named("<|flush|>").is_some())
    });
    // Gemma 4 has this as ordinary text.
    let markup = end_named("</s>").filter(|_| end_named("<|tool_response>").is_some());
    for (exception, kind) in [(message_end, Kind::UserDefined), (markup, Kind::Normal)] {
        if let Some(exception) = exception {
            ends.retain(|&id| id != exception);
            vocabulary.set_kind(exception, kind);
        }
    }

    ends.sort_unstable();
    ends.dedup();
    Ok(ends)
}

#[cfg(test)]
mod tests {
    use gguf::{Array, StringArray, Value};

    use super::*;

    const NORMAL: i32 = 1;
    const CONTROL: i32 = 3;

    /// Roles and vocabulary of a file with these tokens and types, and these ids by key.
    fn roles(tokens: &[(&str, i32)], ids: &[(&str, u32)]) -> (Roles, Vocabulary) {
        let mut texts = StringArray::new();
        tokens.iter().for_each(|(text, _)| texts.push(text));
        let types = tokens.iter().map(|&(_, kind)| kind).collect();
        let mut entries = vec![
            (
                "tokenizer.ggml.tokens".to_owned(),
                Value::Array(Array::Strings(texts)),
            ),
            (
                "tokenizer.ggml.token_type".to_owned(),
                Value::Array(Array::I32(types)),
            ),
        ];
        entries.extend(
            ids.iter()
                .map(|&(key, id)| (key.to_owned(), Value::U32(id))),
        );
        let metadata = Metadata::from_entries(entries).expect("keys that differ");
        let mut vocabulary = Vocabulary::from_metadata(&metadata).expect("a vocabulary");
        let roles =
            Roles::from_metadata(&metadata, &mut vocabulary, Defaults::default()).expect("roles");
        (roles, vocabulary)
    }

    #[test]
    fn ends_are_found_by_id_and_by_name() {
        let tokens = [
            ("a", NORMAL),
            ("<|im_end|>", NORMAL),
            ("<e>", CONTROL),
            ("<t>", CONTROL),
            ("<|fim_pad|>", NORMAL),
        ];
        let (roles, vocabulary) = roles(&tokens, &[(EOS, 2), ("tokenizer.ggml.eot_token_id", 3)]);
        assert_eq!(roles.ends, [1, 2, 3, 4]);
        assert_eq!(roles.eos, Some(2));
        // Names make control tokens of tokens that a file has as text.
        assert_eq!(
            [1, 4].map(|id| vocabulary.kind(id)),
            [Some(Kind::Control); 2]
        );
    }

    #[test]
    fn an_id_takes_the_place_of_a_name() {
        let tokens = [("<|fim_pad|>", NORMAL), ("<p>", CONTROL)];
        let (roles, vocabulary) = roles(&tokens, &[("tokenizer.ggml.fim_pad_token_id", 1)]);
        assert_eq!(roles.ends, [1]);
        assert_eq!(vocabulary.kind(0), Some(Kind::Normal));
    }

    #[test]
    fn other_infill_tokens_are_control_tokens_but_do_not_end() {
        let tokens = [
            ("<|fim_prefix|>", NORMAL),
            ("<SUF>", NORMAL),
            ("▁<MID>", NORMAL),
        ];
        let (roles, vocabulary) = roles(&tokens, &[]);
        assert_eq!(roles.ends, []);
        assert_eq!(
            [0, 1, 2].map(|id| vocabulary.kind(id)),
            [Some(Kind::Control); 3]
        );
    }

    #[test]
    fn messages_of_the_harmony_format_do_not_end_an_answer() {
        let tokens =
            ["<|end|>", "<|return|>", "<|call|>", "<|channel|>"].map(|text| (text, CONTROL));
        let (roles, vocabulary) = roles(&tokens, &[]);
        assert_eq!(roles.ends, [1, 2]);
        assert_eq!(
            [0, 3].map(|id| vocabulary.kind(id)),
            [Some(Kind::UserDefined); 2]
        );
        // Without the other two it does, as in Phi-3.
        let (roles, _) = self::roles(&tokens[..1], &[]);
        assert_eq!(roles.ends, [0]);
    }

    #[test]
    fn an_id_outside_the_vocabulary_is_none() {
        let (roles, _) = roles(&[("a", NORMAL)], &[(BOS, 1), (EOS, 0)]);
        assert_eq!((roles.bos, roles.eos), (None, Some(0)));
    }
}
