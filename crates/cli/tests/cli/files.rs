//! Which files make a model, and what is wrong with others.

use std::fs;

use crate::harness::{Folder, failure, json, tiny};

#[test]
fn errors_go_to_standard_error_with_status_1() {
    let folder = Folder::new("errors");
    let model = folder.model();
    assert!(failure(&["run", "no-such-file.gguf", "hi"]).contains("no-such-file.gguf"));
    let html = folder.write("page.gguf", "<!doctype html><title>404</title>");
    assert!(failure(&["inspect", &html, "--json"]).contains("page.gguf"));
    let whole = tiny().to_bytes();
    let cut = folder.write("cut.gguf", &whole[..whole.len() - 100]);
    assert!(failure(&["logits", &cut, "--ids", "1"]).contains("truncated"));
    let header_only = folder.write("header.gguf", &whole[..1000]);
    assert!(failure(&["inspect", &header_only]).contains("incomplete"));
    assert!(failure(&["logits", &model, "--ids", "99999", "--json"]).contains("99999"));
    let long = "hello ".repeat(3000);
    assert!(failure(&["run", &model, &long, "--raw", "--json"]).contains("context"));
    assert!(failure(&["run", &model, "hi", "--top-p", "7"]).contains("top_p"));
    assert!(failure(&["bench", &model, "-p", "0"]).contains("-p"));
}

#[test]
fn a_split_set_is_found_from_its_first_file() {
    let folder = Folder::new("split");
    let whole = tiny().to_bytes();
    let header = gguf::Header::parse(&whole).unwrap();
    let (first, second) = header.tensors.split_at(header.tensors.len() / 2);
    let part = |no: u16, tensors: &[gguf::TensorInfo], metadata: bool| {
        let mut writer = gguf::Writer::new();
        if metadata {
            for (key, value) in header.metadata.iter() {
                writer = writer.with(key, value.clone());
            }
        }
        writer = writer
            .with(gguf::split::NO_KEY, no)
            .with(gguf::split::COUNT_KEY, 2u16)
            .with(gguf::split::TENSORS_KEY, header.tensors.len() as i32);
        for tensor in tensors {
            let bytes = whole[tensor.offset as usize..tensor.end() as usize].to_vec();
            writer = writer.tensor(&tensor.name, &tensor.shape, tensor.kind, bytes);
        }
        folder.write(
            &format!("m-{:05}-of-00002.gguf", no + 1),
            writer.to_bytes().unwrap(),
        )
    };
    let first = part(0, first, true);
    let second = part(1, second, false);
    let run = |model: &str| {
        json(&[
            "run",
            model,
            "hello",
            "--raw",
            "--greedy",
            "-n",
            "4",
            "--ignore-eos",
            "--json",
        ])
    };
    assert_eq!(run(&first)["ids"], run(&folder.model())["ids"]);
    assert!(failure(&["inspect", &second]).contains("m-00001-of-00002.gguf"));
    fs::remove_file(&second).unwrap();
    assert!(failure(&["inspect", &first]).contains("m-00002-of-00002.gguf"));
}
