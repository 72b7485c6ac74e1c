//! Commands that read no weights.

use std::fs;

use serde_json::Value;

use crate::harness::{Folder, failure, ids, json};

#[test]
fn tokenize_parses_special_text_only_if_asked() {
    let folder = Folder::new("tokenize");
    let model = folder.model();
    let end = u64::from(testkit::vocabulary().id(testkit::END_OF_TURN));
    let text = format!("a{}", testkit::END_OF_TURN);
    assert!(!ids(&json(&["tokenize", &model, &text, "--json"])).contains(&end));
    assert!(
        ids(&json(&[
            "tokenize",
            &model,
            &text,
            "--json",
            "--special",
            "--no-bos"
        ]))
        .contains(&end)
    );
}

#[test]
fn template_renders_messages() {
    let folder = Folder::new("template");
    let model = folder.model();
    let messages = folder.write("messages.json", r#"[{"role": "user", "content": "hi"}]"#);
    let tools = folder.write("tools.json", "[]");
    let result = json(&[
        "template",
        &model,
        "--messages",
        &messages,
        "--tools",
        &tools,
        "--thinking",
        "off",
        "--json",
    ]);
    assert_eq!(
        result["prompt"],
        "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
    );
    let broken = folder.write("broken.json", "{");
    assert!(failure(&["template", &model, "--messages", &broken]).contains("broken.json"));
}

#[test]
fn inspect_describes_a_model() {
    let folder = Folder::new("inspect");
    let model = folder.model();
    let result = json(&["inspect", &model, "--tensors", "--json"]);
    assert_eq!(result["architecture"], "qwen3");
    assert_eq!(result["context_length"], 1024);
    assert_eq!(
        result["size"].as_u64(),
        Some(fs::metadata(&model).unwrap().len())
    );
    assert_eq!(result["supported"], true);
    let kv = 2 * 2 * 64 * 2; // keys and values of 2 heads of 64 floats in 2 bytes each, 1 layer
    assert_eq!(result["memory"]["kv_per_token"], kv);
    let tensors = result["tensors"].as_array().unwrap();
    assert_eq!(result["instructions"], kernels::Isa::best().name());
    let kernel = |name: &str| {
        let tensor = tensors.iter().find(|tensor| tensor["name"] == name);
        tensor.unwrap()["kernel"].clone()
    };
    assert_eq!(kernel("blk.0.attn_q.weight")["packed"], "floats");
    assert_eq!(kernel("blk.0.attn_norm.weight"), "floats");
    let elements = |tensor: &Value| {
        tensor["shape"]
            .as_array()
            .unwrap()
            .iter()
            .map(|n| n.as_u64().unwrap())
            .product::<u64>()
    };
    assert_eq!(
        result["parameters"].as_u64().unwrap(),
        tensors.iter().map(elements).sum::<u64>()
    );
    assert_eq!(
        result["quantization"]["F32"]["tensors"].as_u64().unwrap(),
        tensors.len() as u64
    );
    assert!(
        result["chat_template"]
            .as_str()
            .unwrap()
            .contains("im_start")
    );
}

#[test]
fn inspect_describes_a_model_that_can_not_be_run() {
    let folder = Folder::new("inspect-unknown");
    let file = gguf::Writer::new()
        .with("general.architecture", "hyperion")
        .to_bytes()
        .unwrap();
    let result = json(&["inspect", &folder.write("unknown.gguf", file), "--json"]);
    assert_eq!(result["supported"], false);
    assert!(result["reason"].as_str().unwrap().contains("hyperion"));
}
