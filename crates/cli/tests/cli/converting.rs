//! `convert` writes what llama.cpp's converter writes (tests/fixtures/convert).

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use gguf::Header;
use serde_json::Value;
use sha2::{Digest, Sha256};
use testkit::check_table;

use crate::harness::{Folder, failure, json};

/// Keys that the reference makes of a folder's name and a model's size by rules of thumb.
const RULES_OF_THUMB: [&str; 4] = [
    "general.size_label",
    "general.basename",
    "general.finetune",
    "general.version",
];

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/convert")
}

fn folder(name: &str) -> String {
    let path = fixtures().join("folders").join(name);
    path.to_str().unwrap().to_owned()
}

/// Copies a folder with all that is in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => {
                fs::copy(entry.path(), target).unwrap();
            }
        }
    }
}

fn compare(name: &str) -> Result<(), String> {
    let scratch = Folder::new(&format!("convert-{name}"));
    let out = scratch.path("out.gguf");
    let golden: Value = serde_json::from_slice(
        &fs::read(fixtures().join("golden").join(format!("{name}.json"))).unwrap(),
    )
    .unwrap();
    let expected = fs::read(fixtures().join("golden").join(format!("{name}.gguf"))).unwrap();
    let expected = Header::parse(&expected).unwrap();
    let out_type = golden["outtype"].as_str().unwrap();
    let pre = expected
        .metadata
        .string("tokenizer.ggml.pre")
        .unwrap()
        .unwrap();
    let args = [
        "convert",
        &folder(name),
        &out,
        "--outtype",
        out_type,
        "--name",
        name,
        "--json",
    ];
    // SentencePiece folders have no rules to recognize.
    assert!(!pre.is_empty());
    json(&args);
    let file = fs::read(&out).unwrap();
    let actual = Header::parse(&file).unwrap();
    let metadata = |header: &Header| -> BTreeMap<String, gguf::Value> {
        let entries = header.metadata.iter();
        let named = entries.map(|(key, value)| (key.to_owned(), value.clone()));
        named
            .filter(|(key, _)| !RULES_OF_THUMB.contains(&key.as_str()))
            .collect()
    };
    let (mine, theirs) = (metadata(&actual), metadata(&expected));
    let mut wrong = Vec::new();
    for key in mine.keys().chain(theirs.keys()) {
        if mine.get(key) != theirs.get(key) {
            let show = |value: Option<&gguf::Value>| {
                let mut text = format!("{value:?}");
                text.truncate(120);
                text
            };
            wrong.push(format!(
                "{key}: {} instead of {}",
                show(mine.get(key)),
                show(theirs.get(key))
            ));
        }
    }
    let digests = golden["tensors"].as_object().unwrap();
    for tensor in &actual.tensors {
        let bytes = &file[tensor.offset as usize..tensor.end() as usize];
        let digest: String = Sha256::digest(bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let same = expected
            .tensor(&tensor.name)
            .is_some_and(|other| (&other.shape, other.kind) == (&tensor.shape, tensor.kind));
        if !same || digests[&tensor.name] != digest.as_str() {
            wrong.push(format!(
                "{} {:?} {}",
                tensor.name,
                tensor.shape,
                tensor.kind.name()
            ));
        }
    }
    for name in digests.keys().filter(|name| actual.tensor(name).is_none()) {
        wrong.push(format!("{name} is missing"));
    }
    wrong.sort();
    wrong.dedup();
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(wrong.join("\n    ")),
    }
}

#[test]
fn converted_files_are_those_of_the_reference() {
    let names: Vec<_> = fs::read_dir(fixtures().join("folders"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(names.len() >= 16);
    check_table(names.iter().map(|name| (name.as_str(), name)), |name| {
        compare(name)
    });
}

#[test]
fn folders_that_can_not_be_converted_are_refused() {
    let scratch = Folder::new("convert-refusals");
    let out = scratch.path("out.gguf");
    let refused = |name: &str, config: &str| {
        let path = scratch.path(name);
        fs::create_dir_all(&path).unwrap();
        fs::write(PathBuf::from(&path).join("config.json"), config).unwrap();
        failure(&["convert", &path, &out])
    };
    assert!(
        refused("unknown", r#"{"architectures": ["HyperionModel"]}"#).contains("HyperionModel")
    );
    assert!(refused("nameless", "{}").contains("architecture"));
    assert!(refused("broken", "{").contains("config.json"));
    assert!(
        refused("empty", r#"{"architectures": ["LlamaForCausalLM"]}"#)
            .contains("model.safetensors")
    );
    let copied = |name: &str, changed: &str, change: &dyn Fn(Value) -> Value| {
        let path = PathBuf::from(scratch.path(&format!("{name}-{}", changed.replace('/', "-"))));
        copy(&fixtures().join("folders").join(name), &path);
        let file = path.join(changed);
        let old = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        fs::write(&file, change(old).to_string()).unwrap();
        failure(&["convert", path.to_str().unwrap(), &out])
    };
    let with = |key: &'static str, value: Value| {
        move |mut config: Value| {
            config[key] = value.clone();
            config
        }
    };
    let experts = with("moe_every_n_layers", 2.into());
    assert!(copied("nomic-bert", "config.json", &experts).contains("mixtures of experts"));
    let modes = with("pooling_mode", "max".into());
    assert!(copied("nomic-bert", "1_Pooling/config.json", &modes).contains("pools neither"));
    let outside = |mut modules: Value| {
        modules[1]["path"] = "../1_Pooling".into();
        modules
    };
    assert!(copied("bert", "modules.json", &outside).contains("within the folder"));
    let unigram = |mut tokenizer: Value| {
        tokenizer["model"]["type"] = "Unigram".into();
        tokenizer
    };
    assert!(copied("bert", "tokenizer.json", &unigram).contains("WordPiece"));
    assert!(failure(&["convert", &scratch.path("nowhere"), &out]).contains("config.json"));
    assert!(!fs::exists(&out).unwrap());
}
