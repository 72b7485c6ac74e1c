//! `quantize`, `split` and `merge` write what llama.cpp's tools write (tests/fixtures/quantize).

use std::{fs, path::PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::harness::{Folder, failure, json};

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/quantize")
}

fn golden() -> Value {
    serde_json::from_slice(&fs::read(fixtures().join("files.json")).unwrap()).unwrap()
}

fn model(name: &str) -> String {
    let path = fixtures().join("files").join(format!("{name}.gguf"));
    path.to_str().unwrap().to_owned()
}

fn digest(path: &str) -> String {
    let digest = Sha256::digest(fs::read(path).unwrap());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|text| text.as_str().unwrap())
        .collect()
}

#[test]
fn quantized_files_are_those_of_llama_quantize() {
    let folder = Folder::new("quantize");
    let out = folder.path("out.gguf");
    let mut wrong = Vec::new();
    let golden = golden();
    let cases = golden["quantize"].as_array().unwrap();
    assert!(cases.len() > 60);
    for case in cases {
        let (name, kind) = (
            case["model"].as_str().unwrap(),
            case["type"].as_str().unwrap(),
        );
        let options = texts(&case["options"]);
        let model = model(name);
        let args = [
            &[
                "quantize", &model, &out, kind, "--force", "--json", "-t", "2",
            ],
            &options[..],
        ];
        json(&args.concat());
        if digest(&out) != case["sha256"].as_str().unwrap() {
            wrong.push(format!("{name} {kind} {options:?}"));
        }
    }
    assert!(wrong.is_empty(), "these differ: {wrong:#?}");
}

#[test]
fn quantize_reports_what_it_did() {
    let folder = Folder::new("quantize-report");
    let out = folder.path("out.gguf");
    let result = json(&["quantize", &model("llama"), &out, "q4_k_m", "--json"]);
    assert_eq!(result["type"], "Q4_K_M");
    let inspected = json(&["inspect", &out, "--json"]);
    for (kind, count) in result["tensors"].as_object().unwrap() {
        assert_eq!(&inspected["quantization"][kind]["tensors"], count, "{kind}");
    }
    let bits =
        result["output_bytes"].as_f64().unwrap() * 8.0 / inspected["parameters"].as_f64().unwrap();
    assert_eq!(result["bits_per_weight"].as_f64(), Some(bits));
    // Layers 1 and 2 have four matrices each whose columns are not whole super-blocks.
    let fallbacks = result["fallbacks"].as_array().unwrap();
    assert_eq!(fallbacks.len(), 6);
    assert!(
        fallbacks
            .iter()
            .any(|one| one["used"] == "F16" && one["columns"] == 100)
    );
}

#[test]
fn quantize_reads_a_split_set() {
    let folder = Folder::new("quantize-split");
    let (prefix, out, whole) = (
        folder.path("part"),
        folder.path("out.gguf"),
        folder.path("whole.gguf"),
    );
    let parts = json(&[
        "split",
        &model("llama"),
        &prefix,
        "--split-max-tensors",
        "30",
        "--json",
    ]);
    let first = parts["files"][0]["file"].as_str().unwrap();
    json(&["quantize", first, &out, "Q5_K_M", "--json"]);
    json(&["quantize", &model("llama"), &whole, "Q5_K_M", "--json"]);
    assert_eq!(digest(&out), digest(&whole));
}

#[test]
fn quantize_refuses_what_would_lose_something() {
    let folder = Folder::new("quantize-refusals");
    let out = folder.path("out.gguf");
    json(&["quantize", &model("llama"), &out, "Q8_0", "--json"]);
    let before = digest(&out);
    assert!(failure(&["quantize", &model("llama"), &out, "Q4_0"]).contains("--force"));
    let again = folder.path("again.gguf");
    let message = failure(&["quantize", &out, &again, "Q4_0"]);
    assert!(
        message.contains("Q8_0 already") && message.contains("--allow-requantize"),
        "{message}"
    );
    assert!(!fs::exists(&again).unwrap());
    json(&[
        "quantize",
        &out,
        &again,
        "Q4_0",
        "--allow-requantize",
        "--json",
    ]);
    assert_eq!(digest(&out), before);
}

#[test]
fn quantize_leaves_nothing_behind_when_weights_are_not_numbers() {
    let folder = Folder::new("quantize-nan");
    let file = gguf::Writer::new()
        .with("general.architecture", "llama")
        .tensor(
            "blk.0.ffn_up.weight",
            &[32, 2],
            gguf::TensorType::F32,
            f32::NAN.to_le_bytes().repeat(64),
        )
        .to_bytes()
        .unwrap();
    let broken = folder.write("nan.gguf", file);
    let message = failure(&["quantize", &broken, &folder.path("out.gguf"), "Q8_0"]);
    assert!(
        message.contains("blk.0.ffn_up.weight") && message.contains("NaN"),
        "{message}"
    );
    assert_eq!(folder.names(), ["nan.gguf"]);
}

#[test]
fn split_files_are_those_of_llama_gguf_split_and_merge_to_the_original() {
    let golden = golden();
    for (index, case) in golden["split"].as_array().unwrap().iter().enumerate() {
        let folder = Folder::new(&format!("split-{index}"));
        let whole = model(case["model"].as_str().unwrap());
        let args = ["split", &whole, &folder.path("part"), "--json"];
        let result = json(&[&args[..], &texts(&case["options"])].concat());
        let expected = case["files"].as_object().unwrap();
        assert_eq!(folder.names(), expected.keys().cloned().collect::<Vec<_>>());
        for (name, sha256) in expected {
            assert_eq!(
                digest(&folder.path(name)),
                sha256.as_str().unwrap(),
                "{name}"
            );
        }
        let merged = folder.path("merged.gguf");
        let first = result["files"][0]["file"].as_str().unwrap();
        json(&["merge", first, &merged, "--json"]);
        assert_eq!(digest(&merged), digest(&whole));
    }
}

#[test]
fn split_by_size_gives_large_tensors_files_of_their_own() {
    let folder = Folder::new("split-size");
    let mut writer = gguf::Writer::new();
    for (name, mib) in [("a", 2), ("b", 1), ("c", 1), ("d", 2)] {
        let values = mib << 20;
        writer = writer.tensor(
            name,
            &[values],
            gguf::TensorType::I8,
            vec![7; values as usize],
        );
    }
    let whole = folder.write("whole.gguf", writer.to_bytes().unwrap());
    let prefix = folder.path("part");
    let args = ["split", &whole, &prefix, "--split-max-size", "2M", "--json"];
    let plan = json(&[&args[..], &["--dry-run"]].concat());
    assert_eq!(folder.names(), ["whole.gguf"]);
    let counts: Vec<_> = plan["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["tensors"].as_u64().unwrap())
        .collect();
    assert_eq!(counts, [1, 1, 1, 1]);
    json(&args);
    assert!(failure(&args).contains("--force"));
    assert!(failure(&["merge", &whole, &folder.path("out.gguf")]).contains("whole model"));
    assert!(
        failure(&["split", &folder.path("part-00001-of-00004.gguf"), &prefix]).contains("merge")
    );
}

#[test]
fn i2_s_takes_ternary_weights_and_gives_them_back() {
    let folder = Folder::new("quantize-i2_s");
    let file = |values: [f32; 3]| {
        let weights = (0..512)
            .flat_map(|i: usize| values[i * i % 7 % 3].to_le_bytes())
            .collect();
        let writer = gguf::Writer::new()
            .with("general.architecture", "bitnet-b1.58")
            .tensor(
                "blk.0.ffn_up.weight",
                &[128, 4],
                gguf::TensorType::F32,
                weights,
            );
        writer.to_bytes().unwrap()
    };
    let source = folder.write("ternary.gguf", file([-0.5, 0.0, 0.5]));
    let (made, back) = (folder.path("i2_s.gguf"), folder.path("back.gguf"));
    let result = json(&["quantize", &source, &made, "I2_S", "--json"]);
    assert_eq!(result["tensors"]["I2_S"], 1);
    json(&[
        "quantize",
        &made,
        &back,
        "F32",
        "--allow-requantize",
        "--json",
    ]);
    let data = |path: &str| {
        let bytes = fs::read(path).unwrap();
        let header = gguf::Header::parse(&bytes).unwrap();
        let tensor = &header.tensors[0];
        bytes[tensor.offset as usize..tensor.end() as usize].to_vec()
    };
    assert_eq!(data(&back), data(&source));
    let other = folder.write("other.gguf", file([-0.5, 0.2, 0.5]));
    let message = failure(&["quantize", &other, &made, "I2_S", "--force"]);
    assert!(
        message.contains("blk.0.ffn_up.weight") && message.contains("0.2"),
        "{message}"
    );
}
