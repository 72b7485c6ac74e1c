//! Special tokens, whether they are added to texts, and chat templates.
//!
//! The order in which files win is that of `SpecialVocab` in llama.cpp's `gguf-py/gguf/vocab.py`.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result};
use gguf::{Array, StringArray};
use serde_json::{Map, Value, json};

use crate::conversion::{
    Entries,
    folder::{json_file, optional_json_file},
};

/// Kinds of tokens in Hugging Face's files, and their keys in GGUF, where BERT's `cls` is `bos`.
const KINDS: [(&str, &str); 8] = [
    ("bos", "bos_token_id"),
    ("eos", "eos_token_id"),
    ("unk", "unknown_token_id"),
    ("sep", "seperator_token_id"),
    ("pad", "padding_token_id"),
    ("mask", "mask_token_id"),
    ("eot", "eot_token_id"),
    ("eom", "eom_token_id"),
];

/// Everything about special tokens.
#[derive(Debug, Default)]
pub(super) struct Special {
    ids: BTreeMap<&'static str, u32>,
    /// Whether the token of a kind is added to texts: `bos`, `eos`, `sep`.
    add: BTreeMap<&'static str, bool>,
    template: Option<Value>,
    /// Steps before tokenization that are switched on or off: keys and values.
    normalizer: BTreeMap<&'static str, bool>,
}

impl Special {
    /// Reads a folder; ids from `limit` on do not count.
    pub(super) fn read(folder: &Path, limit: Option<usize>) -> Result<Self> {
        let mut special = Self::default();
        let tokenizer = optional_json_file(&folder.join("tokenizer.json"))?;
        let config = optional_json_file(&folder.join("tokenizer_config.json"))?;
        let mut config = match config {
            Some(Value::Object(config)) => Some(config),
            _ => None,
        };
        if let Some(tokenizer) = &tokenizer {
            special.normalizer(&tokenizer["normalizer"]);
            special.post_processor(tokenizer, &mut config);
        }
        let is_valid = |id: &u32| limit.is_none_or(|limit| (*id as usize) < limit);
        let id = |value: &Value| {
            value
                .as_u64()
                .and_then(|id| u32::try_from(id).ok())
                .filter(is_valid)
        };
        if let Some(config) = &config {
            special.template = template(folder, config)?;
            for (kind, _) in KINDS {
                if let Some(Value::Bool(add)) = config.get(&format!("add_{kind}_token")) {
                    special.add.entry(kind).or_insert(*add);
                }
                let token = config.get(&format!("{kind}_token"));
                let token = token.and_then(|token| token.get("content").or(Some(token))?.as_str());
                let added = tokenizer
                    .iter()
                    .flat_map(|t| t["added_tokens"].as_array())
                    .flatten();
                let found =
                    token.and_then(|token| added.into_iter().find(|one| one["content"] == token));
                if let Some(id) = found.and_then(|found| id(&found["id"])) {
                    special.ids.entry(kind).or_insert(id);
                }
            }
        }
        let model = json_file(&folder.join("config.json"))?;
        // The first six kinds have a number in config.json.
        for (kind, _) in &KINDS[..6] {
            let key = format!("{kind}_token_id");
            let number = model.get(&key).filter(|number| !number.is_null());
            if let Some(id) = number
                .or_else(|| model["text_config"].get(&key))
                .and_then(id)
            {
                special.ids.entry(kind).or_insert(id);
            }
        }
        Ok(special)
    }

    /// Whether texts are made lower case and lose their accents, by a normalizer's own type or its settings.
    fn normalizer(&mut self, given: &Value) {
        const LOWERCASE: &str = "lowercase";
        const STRIP_ACCENTS: &str = "strip_accents";
        match given["type"].as_str() {
            Some("Lowercase") => {
                self.normalizer.insert(LOWERCASE, true);
            }
            Some("StripAccents") => {
                self.normalizer.insert(STRIP_ACCENTS, true);
            }
            Some("BertNormalizer") => {
                for key in [LOWERCASE, STRIP_ACCENTS] {
                    if let Some(set) = given[key].as_bool() {
                        self.normalizer.insert(key, set);
                    }
                }
            }
            Some("Sequence") => {
                for one in given["normalizers"].as_array().into_iter().flatten() {
                    self.normalizer(one);
                }
            }
            _ => {}
        }
    }

    /// What the steps after tokenization add. Where they contradict `tokenizer_config.json`, they win, and change it.
    fn post_processor(&mut self, tokenizer: &Value, config: &mut Option<Map<String, Value>>) {
        if let Some(config) = config {
            for (key, other) in [("bos_token", "cls_token"), ("eos_token", "sep_token")] {
                let missing = config.get(key).is_none_or(Value::is_null);
                if let Some(value) = config.get(other).filter(|_| missing).cloned() {
                    config.insert(key.to_owned(), value);
                }
            }
        }
        let given = &tokenizer["post_processor"];
        let single = std::slice::from_ref(given);
        for processor in given["processors"].as_array().map_or(single, Vec::as_slice) {
            match processor["type"].as_str() {
                Some("ByteLevel") => {
                    self.add.entry("bos").or_insert(false);
                    self.add.entry("eos").or_insert(false);
                }
                Some("TemplateProcessing") => self.surroundings(processor, config),
                _ => {}
            }
        }
    }

    /// What a `TemplateProcessing` step puts around one text, and between two.
    fn surroundings(&mut self, processor: &Value, config: &mut Option<Map<String, Value>>) {
        let parts = |key: &str| processor[key].as_array().map_or(&[][..], Vec::as_slice);
        let (mut first, mut last) = (None, None);
        if let [start, .., end] = parts("single") {
            (first, last) = (special_token(start), special_token(end));
        }
        if let Some(first) = &first {
            self.add.insert("bos", takes_first(first, config));
        }
        if let Some(last) = &last {
            takes_last(last, config);
            self.add.insert("eos", true);
        }
        let mut pair = parts("pair");
        if first.is_some() && pair.first().and_then(special_token) == first {
            pair = &pair[1..];
        }
        if last.is_some() && pair.last().and_then(special_token) == last {
            pair = &pair[..pair.len() - 1];
        }
        let [a, between @ .., b] = pair else { return };
        if a["Sequence"]["id"] != "A" || b["Sequence"]["id"] != "B" || between.is_empty() {
            return;
        }
        let ends = |part: &Value| {
            let token = special_token(part);
            let known = ["sep_token", "eos_token"].map(|key| known(config, key));
            token.is_some() && known.contains(&token)
        };
        let separates =
            last.is_none() && ends(&between[0]) || between.len() == 2 && ends(&between[1]);
        self.add.insert("sep", separates);
        if let Some(config) = config
            && separates
            && config.get("sep_token").is_none_or(Value::is_null)
        {
            let eos = config.get("eos_token").cloned().unwrap_or_default();
            config.insert("sep_token".to_owned(), eos);
        }
    }

    pub(super) fn entries(self) -> Entries {
        let mut entries = Entries::new();
        for (kind, key) in KINDS {
            if let Some(&id) = self.ids.get(kind) {
                entries.push((format!("tokenizer.ggml.{key}"), id.into()));
            }
        }
        for kind in ["bos", "eos", "sep"] {
            if let Some(&add) = self.add.get(kind) {
                entries.push((format!("tokenizer.ggml.add_{kind}_token"), add.into()));
            }
        }
        for (key, set) in self.normalizer {
            entries.push((format!("tokenizer.ggml.normalizer.{key}"), set.into()));
        }
        match self.template {
            Some(Value::String(text)) => entries.push((TEMPLATE.to_owned(), text.into())),
            Some(Value::Array(list)) => entries.extend(named_templates(&list)),
            _ => {}
        }
        entries
    }
}

/// The special token that a part of a template is.
fn special_token(part: &Value) -> Option<Value> {
    part["SpecialToken"]["id"].as_str().map(|id| json!(id))
}

/// An entry that is there and not null.
fn known(config: &Option<Map<String, Value>>, key: &str) -> Option<Value> {
    let value = config.as_ref()?.get(key)?;
    (!value.is_null()).then(|| value.clone())
}

/// Whether a template's first token is the one that starts texts. If none was named so far, it is now.
fn takes_first(first: &Value, config: &mut Option<Map<String, Value>>) -> bool {
    const KEYS: [&str; 2] = ["bos_token", "cls_token"];
    let mut named = KEYS.map(|key| known(config, key));
    let Some(config) = config else { return true };
    if !named.contains(&Some(first.clone())) {
        for (key, value) in KEYS.into_iter().zip(&mut named) {
            if value.is_none() {
                *value = Some(first.clone());
                config.insert(key.to_owned(), first.clone());
            }
        }
    }
    named.contains(&Some(first.clone()))
}

/// Makes a template's last token the one that ends texts. The one that did so before ends turns from now on.
fn takes_last(last: &Value, config: &mut Option<Map<String, Value>>) {
    let eos = known(config, "eos_token");
    let Some(config) = config else { return };
    if eos.as_ref() == Some(last) {
        return;
    }
    let turn = match config.contains_key("eot_token") {
        true => "eom_token",
        false => "eot_token",
    };
    config.insert(turn.to_owned(), eos.unwrap_or_default());
    config.insert("eos_token".to_owned(), last.clone());
}

const TEMPLATE: &str = "tokenizer.chat_template";

/// Several templates: `default` is the template, others have their names in their keys.
fn named_templates(list: &[Value]) -> Entries {
    let mut entries = Entries::new();
    let mut names = StringArray::new();
    for one in list {
        let (Some(name), Some(text)) = (one["name"].as_str(), one["template"].as_str()) else {
            continue;
        };
        let key = match name {
            "default" => TEMPLATE.to_owned(),
            _ => {
                names.push(name);
                format!("{TEMPLATE}.{name}")
            }
        };
        entries.push((key, text.into()));
    }
    if !names.is_empty() {
        entries.push((
            format!("{TEMPLATE}s"),
            gguf::Value::Array(Array::Strings(names)),
        ));
    }
    entries
}

/// The chat template: in `tokenizer_config.json`, or in a file of its own.
fn template(folder: &Path, config: &Map<String, Value>) -> Result<Option<Value>> {
    if let Some(template) = config.get("chat_template") {
        return Ok(Some(template.clone()));
    }
    let path = folder.join("chat_template.jinja");
    if path.exists() {
        let text = fs::read_to_string(&path);
        let text = text.with_context(|| format!("{} can't be read", path.display()))?;
        return Ok(Some(Value::String(text)));
    }
    let json = optional_json_file(&folder.join("chat_template.json"))?;
    Ok(json.and_then(|json| json.get("chat_template").cloned()))
}
