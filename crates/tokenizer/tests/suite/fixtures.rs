//! Vocabularies and golden ids from `tests/fixtures/tokenizers`.

use std::fs;
use std::path::{Path, PathBuf};

use gguf::{HeaderReader, Metadata, Value};
use serde_json::Value as Json;
use tokenizer::Tokenizer;

/// What `make.py` wrote for one kind of tokenizer.
pub(crate) struct Golden {
    pub(crate) tokenizer: Tokenizer,
    /// Tokens that end generation.
    pub(crate) ends: Vec<u32>,
    /// Control and unknown tokens.
    pub(crate) special: Vec<u32>,
    /// Hashes of what all tokens decode to, without and with special tokens shown.
    pub(crate) pieces: [String; 2],
    /// Text, ids without special tokens, ids with special tokens around and inside.
    pub(crate) texts: Vec<(String, Vec<u32>, Vec<u32>)>,
}

/// The golden ids in `name`.json, and the tokenizer that should give them. Where the golden file names no vocabulary,
/// it is the default model's, found through the environment.
pub(crate) fn golden(name: &str) -> Golden {
    let golden = json(&format!("{name}.json"));
    let path = match golden["vocabulary"].as_str() {
        Some(vocabulary) => fixtures().join(vocabulary),
        None => default_model(),
    };
    let overrides = golden["metadata"]
        .as_object()
        .expect("an object")
        .iter()
        .map(|(key, value)| {
            let value = match value {
                Json::Bool(flag) => Value::Bool(*flag),
                Json::String(text) => Value::String(text.clone()),
                _ => panic!("{key} in {name}.json is neither a string nor a boolean"),
            };
            (key.clone(), value)
        });
    let metadata = with(&metadata(&path), overrides);
    let texts = texts().into_iter();
    let (plain, parsed) = (lists(&golden["plain"]), lists(&golden["parsed"]));
    assert_eq!(texts.len(), plain.len());
    Golden {
        tokenizer: Tokenizer::from_metadata(&metadata).expect("a tokenizer"),
        ends: ids(&golden["ends"]),
        special: ids(&golden["special"]),
        pieces: [0, 1].map(|i| golden["pieces"][i].as_str().expect("a hash").to_owned()),
        texts: texts
            .zip(plain.into_iter().zip(parsed))
            .map(|(text, (plain, parsed))| (text, plain, parsed))
            .collect(),
    }
}

/// Texts with their ids.
pub(crate) type Texts = Vec<(String, Vec<u32>)>;

/// The name of each rule in pretokenizers.json, a tokenizer with that rule, and texts with their ids.
pub(crate) fn rules() -> Vec<(String, Tokenizer, Texts)> {
    let rules = json("pretokenizers.json");
    let rule = |(name, golden): (&String, &Json)| {
        let vocabulary = golden["vocabulary"].as_str().expect("a name");
        let ids = lists(&golden["plain"]);
        let texts = texts();
        assert_eq!(texts.len(), ids.len());
        let tokenizer = with_rule(vocabulary, name);
        (
            name.clone(),
            tokenizer,
            texts.into_iter().zip(ids).collect(),
        )
    };
    rules
        .as_object()
        .expect("an object")
        .iter()
        .map(rule)
        .collect()
}

/// A tokenizer over a vocabulary of the fixtures, with the pre-tokenizer `name`.
pub(crate) fn with_rule(vocabulary: &str, name: &str) -> Tokenizer {
    let pre = (
        "tokenizer.ggml.pre".to_owned(),
        Value::String(name.to_owned()),
    );
    let metadata = with(&metadata(&fixtures().join(vocabulary)), [pre]);
    Tokenizer::from_metadata(&metadata).expect("a tokenizer")
}

fn texts() -> Vec<String> {
    let texts = json("texts.json");
    let text = |text: &Json| text.as_str().expect("a text").to_owned();
    texts.as_array().expect("a list").iter().map(text).collect()
}

/// A tokenizer over a vocabulary of the fixtures.
pub(crate) fn tokenizer(vocabulary: &str) -> Tokenizer {
    Tokenizer::from_metadata(&metadata(&fixtures().join(vocabulary))).expect("a tokenizer")
}

/// The metadata of a GGUF file.
pub(crate) fn metadata(path: &Path) -> Metadata {
    let mut file =
        fs::File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut reader = HeaderReader::new();
    let mut piece = vec![0; 1 << 20];
    loop {
        let length = std::io::Read::read(&mut file, &mut piece).expect("a readable file");
        assert!(length > 0, "{} ends within its header", path.display());
        if let Some(header) = reader.push(&piece[..length]).expect("a GGUF header") {
            return header.metadata;
        }
    }
}

/// `metadata` with some values replaced or added.
pub(crate) fn with(
    metadata: &Metadata,
    values: impl IntoIterator<Item = (String, Value)>,
) -> Metadata {
    let mut entries: Vec<_> = metadata
        .iter()
        .map(|(key, value)| (key.to_owned(), value.clone()))
        .collect();
    for (key, value) in values {
        entries.retain(|(other, _)| *other != key);
        entries.push((key, value));
    }
    Metadata::from_entries(entries).expect("keys that differ")
}

pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/tokenizers")
}

fn default_model() -> PathBuf {
    const VARIABLE: &str = "MINNOW_MODEL_SMOLLM2";
    std::env::var_os(VARIABLE)
        .unwrap_or_else(|| panic!("{VARIABLE} does not name the default model's file; run `cargo xtask test`, which gets it"))
        .into()
}

fn json(name: &str) -> Json {
    let path = fixtures().join(name);
    let text =
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).expect("JSON")
}

fn lists(json: &Json) -> Vec<Vec<u32>> {
    json.as_array().expect("a list").iter().map(ids).collect()
}

fn ids(json: &Json) -> Vec<u32> {
    let id = |json: &Json| u32::try_from(json.as_u64().expect("an id")).expect("an id");
    json.as_array().expect("a list").iter().map(id).collect()
}
