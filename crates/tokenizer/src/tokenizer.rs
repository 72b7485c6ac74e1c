//! The tokenizer of one model.

use std::borrow::Cow;

use gguf::Metadata;

use crate::bpe::{self, Bpe};
use crate::bytes;
use crate::merge::Merger;
use crate::partition::{Fragment, Patterns, Strips};
use crate::roles::{Defaults, Roles};
use crate::sentencepiece::SentencePiece;
use crate::unigram::Unigram;
use crate::vocabulary::{Kind, Vocabulary};
use crate::wordpiece::WordPiece;
use crate::{Error, StreamDecoder, spaces};

const MODEL: &str = "tokenizer.ggml.model";
const ADD_SPACE_PREFIX: &str = "tokenizer.ggml.add_space_prefix";
const NAME: &str = "general.name";
const ARCHITECTURE: &str = "general.architecture";

/// How [`Tokenizer::encode`] treats the ends of a text and the special tokens written in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncodeOptions {
    /// Put the beginning-of-sequence and end-of-sequence tokens around the text, where the model asks for them.
    pub add_special: bool,
    /// Read the text of a control token, `<|im_start|>` say, as that token. Off for text that is not to be trusted
    /// with a conversation's structure. User-defined tokens are always read.
    pub parse_special: bool,
}

/// How [`Tokenizer::decode`] shows tokens that are not text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DecodeOptions {
    /// Show control tokens by their text instead of leaving them out.
    pub special: bool,
}

#[derive(Debug)]
enum Algorithm {
    Bpe(Bpe),
    SentencePiece(SentencePiece),
    Unigram(Unigram),
    WordPiece(WordPiece),
}

/// The tokenizer of one model: text to token ids and back.
///
/// Ids are those that llama.cpp gives for the same file. Where its pre-tokenizers differ from the expressions that the
/// models were trained with, the expressions are followed.
#[derive(Debug)]
pub struct Tokenizer {
    vocabulary: Vocabulary,
    algorithm: Algorithm,
    roles: Roles,
    /// A text starts with a space that was not written (SentencePiece, WordPiece).
    space_prefix: bool,
    /// White space after a special token is not part of the text (Phi-3).
    strips_after_special: bool,
    /// The token before which white space is not part of the text (masks).
    strips_before: Option<u32>,
    special: Patterns,
    user_defined: Patterns,
}

impl Tokenizer {
    /// Builds the tokenizer that the keys `tokenizer.ggml.*` describe.
    ///
    /// # Errors
    /// If the algorithm or the pre-tokenizer is not supported, or the keys are incomplete or contradict each other.
    pub fn from_metadata(metadata: &Metadata) -> Result<Self, Error> {
        let mut vocabulary = Vocabulary::from_metadata(metadata)?;
        vocabulary.check_byte_tokens()?;
        let model = metadata
            .string(MODEL)?
            .ok_or(Error::MissingKey { key: MODEL })?;
        let (algorithm, roles, space_prefix) = match model {
            "gpt2" => {
                let rule = bpe::rule(metadata)?;
                let defaults = Defaults {
                    add_bos: rule.adds_bos,
                    ..Defaults::default()
                };
                let roles = Roles::from_metadata(metadata, &mut vocabulary, defaults)?;
                let bpe = Bpe::from_metadata(metadata, rule, &vocabulary)?;
                (Algorithm::Bpe(bpe), roles, false)
            }
            "llama" => {
                let roles = Roles::from_metadata(metadata, &mut vocabulary, Defaults::LLAMA)?;
                let space_prefix = metadata.bool(ADD_SPACE_PREFIX)?.unwrap_or(true);
                let pieces = SentencePiece::new(&vocabulary, roles.unknown);
                (Algorithm::SentencePiece(pieces), roles, space_prefix)
            }
            "t5" => {
                let roles = Roles::from_metadata(metadata, &mut vocabulary, Defaults::T5)?;
                let space_prefix = metadata.bool(ADD_SPACE_PREFIX)?.unwrap_or(false);
                let unknown = roles.required_unknown()?;
                let unigram = Unigram::from_metadata(metadata, unknown, &vocabulary)?;
                (Algorithm::Unigram(unigram), roles, space_prefix)
            }
            "bert" => {
                let mut roles = Roles::from_metadata(metadata, &mut vocabulary, Defaults::BERT)?;
                roles.enclose()?;
                let unknown = roles.required_unknown()?;
                let pieces = WordPiece::from_metadata(metadata, unknown, &vocabulary)?;
                (Algorithm::WordPiece(pieces), roles, true)
            }
            _ => {
                return Err(Error::UnknownModel {
                    value: model.to_owned(),
                });
            }
        };
        // GGUF does not say which tokens take the white space beside them; llama.cpp goes by the model's name.
        let name = metadata
            .string(NAME)?
            .unwrap_or_default()
            .to_ascii_lowercase();
        let mask = mask(metadata, &name)?;
        Ok(Self {
            special: Patterns::new(&vocabulary, |kind| {
                matches!(kind, Kind::Control | Kind::Unknown | Kind::UserDefined)
            }),
            user_defined: Patterns::new(&vocabulary, |kind| kind == Kind::UserDefined),
            strips_after_special: name.contains("phi-3") || name.contains("phi3"),
            strips_before: mask.and_then(|mask| vocabulary.id(mask.as_bytes())),
            vocabulary,
            algorithm,
            roles,
            space_prefix,
        })
    }

    /// The token ids of `text`, in time O(n log n) for n bytes.
    pub fn encode(&self, text: &str, options: EncodeOptions) -> Vec<u32> {
        let mut ids = Vec::new();
        if options.add_special && self.add_bos() {
            ids.extend(self.bos());
        }
        let patterns = if options.parse_special {
            &self.special
        } else {
            &self.user_defined
        };
        let mut merger = Merger::default();
        let mut at_start = true;
        for fragment in patterns.partition(text, &self.vocabulary, |id| self.strips(id)) {
            match (fragment, &self.algorithm) {
                (Fragment::Token(id), _) => ids.push(id),
                (Fragment::Text(text), Algorithm::Bpe(bpe)) => {
                    bpe.encode(text, &self.vocabulary, &mut merger, &mut ids);
                }
                (Fragment::Text(text), Algorithm::SentencePiece(pieces)) => {
                    let space_prefix = self.space_prefix && at_start;
                    pieces.encode(text, space_prefix, &self.vocabulary, &mut merger, &mut ids);
                }
                (Fragment::Text(text), Algorithm::Unigram(unigram)) => {
                    unigram.encode(text, self.space_prefix, &self.vocabulary, &mut ids);
                }
                (Fragment::Text(text), Algorithm::WordPiece(pieces)) => {
                    pieces.encode(text, &self.vocabulary, &mut ids);
                }
            }
            at_start = matches!(fragment, Fragment::Token(_));
        }
        if options.add_special {
            ids.extend(self.roles.closing);
        }
        ids
    }

    /// The text of `ids`. Bytes that are not UTF-8 become U+FFFD as in [`String::from_utf8_lossy`]; ids outside the
    /// vocabulary are left out. Of SentencePiece text, the space that encoding put in front is taken off again.
    pub fn decode(&self, ids: &[u32], options: DecodeOptions) -> String {
        let mut decoder = StreamDecoder::new(options.special);
        let mut text: String = ids.iter().map(|&id| decoder.push(self, id)).collect();
        text.push_str(&decoder.finish());
        text
    }

    /// The bytes that `id` adds to a text: none for a control token unless `special`, nor for one that is unused.
    /// `None` for an id outside the vocabulary.
    pub fn token_bytes(&self, id: u32, special: bool) -> Option<Cow<'_, [u8]>> {
        let text = self.vocabulary.text(id)?;
        Some(match self.vocabulary.kind(id)? {
            kind if kind.is_special() && !special => Cow::Borrowed(&[]),
            Kind::Control | Kind::Unknown | Kind::UserDefined => Cow::Borrowed(text),
            Kind::Unused | Kind::Undefined => Cow::Borrowed(&[]),
            Kind::Byte => Cow::Owned(self.vocabulary.byte(id).into_iter().collect()),
            Kind::Normal => match self.algorithm {
                Algorithm::Bpe(_) => Cow::Owned(bytes::decode(text)),
                _ => spaces::decode(text),
            },
        })
    }

    /// The token as the vocabulary spells it; `None` for an id outside the vocabulary or a spelling that is not UTF-8.
    pub fn token_text(&self, id: u32) -> Option<&str> {
        str::from_utf8(self.vocabulary.text(id)?).ok()
    }

    /// The id of the token that the vocabulary spells `text`.
    pub fn token_id(&self, text: &str) -> Option<u32> {
        self.vocabulary.id(text.as_bytes())
    }

    /// Number of tokens; ids are `0..vocab_size`.
    pub fn vocab_size(&self) -> usize {
        self.vocabulary.len()
    }

    /// The beginning-of-sequence token.
    pub fn bos(&self) -> Option<u32> {
        self.roles.bos
    }

    /// The end-of-sequence token.
    pub fn eos(&self) -> Option<u32> {
        self.roles.eos
    }

    /// Whether [`encode`](Self::encode) puts [`bos`](Self::bos) first.
    pub fn add_bos(&self) -> bool {
        self.roles.add_bos
    }

    /// Whether [`encode`](Self::encode) puts [`eos`](Self::eos) last. (BERT's texts end with another token.)
    pub fn add_eos(&self) -> bool {
        self.roles.closing.is_some() && self.roles.closing == self.roles.eos
    }

    /// Whether a model that produces `id` has said all that it has to say: the end-of-sequence token, and the
    /// end-of-turn, end-of-message and similar tokens.
    pub fn is_end_of_generation(&self, id: u32) -> bool {
        self.roles.ends_generation(id)
    }

    /// Whether `id` is a control or unknown token, which decoding leaves out unless asked to show it.
    pub fn is_special(&self, id: u32) -> bool {
        self.vocabulary.kind(id).is_some_and(Kind::is_special)
    }

    /// Whether texts start with a space that was not written.
    pub(crate) fn space_prefix(&self) -> bool {
        self.space_prefix
    }

    fn strips(&self, id: u32) -> Strips {
        // Tokens that Llama 2 had already keep their white space.
        let after = self.strips_after_special
            && !matches!(self.token_text(id), Some("<unk>" | "<s>" | "<|endoftext|>"));
        Strips {
            before: self.strips_before == Some(id),
            after,
        }
    }
}

/// The text of the token before which white space is dropped, of a model whose name in lower case is `name`.
fn mask(metadata: &Metadata, name: &str) -> Result<Option<&'static str>, Error> {
    const PRES: [&str; 3] = ["jina-v2-de", "jina-v2-es", "jina-v2-code"];
    const ARCHITECTURES: [&str; 2] = ["nomic-bert-moe", "jina-bert-v3"];
    let pre = metadata.string(bpe::PRE)?.unwrap_or_default();
    let architecture = metadata.string(ARCHITECTURE)?.unwrap_or_default();
    Ok(match () {
        () if PRES.contains(&pre) || ARCHITECTURES.contains(&architecture) => Some("<mask>"),
        () if name.contains("modern-bert") => Some("[MASK]"),
        () => None,
    })
}
