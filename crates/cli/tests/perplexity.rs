//! Perplexity of SmolLM2-135M-Instruct is llama.cpp's, as the model is and quantized again (tests/fixtures/perplexity).

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// How far the two may be apart, as part of llama.cpp's: both round activations, each in its own way.
const TOLERANCE: f64 = 5e-3;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/perplexity")
}

fn original() -> PathBuf {
    const VARIABLE: &str = "MINNOW_MODEL_SMOLLM2";
    let path = env::var_os(VARIABLE).unwrap_or_else(|| {
        panic!("{VARIABLE} does not name the model's file; run `cargo xtask test`, which gets it")
    });
    path.into()
}

fn minnow(args: &[&Path]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_minnow"))
        .args(args)
        .arg("--json")
        .output()
        .expect("the program starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {stderr}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Compares a model's perplexity with what `llama_cpp.json` has under `name`.
fn compare(model: &Path, name: &str) {
    let golden = fs::read(fixtures().join("llama_cpp.json")).expect("committed");
    let golden: Value = serde_json::from_slice(&golden).expect("JSON");
    let expected = golden["smollm2"][name].as_f64().expect("a figure");
    let text = fixtures().join("moonstone.txt");
    let result = minnow(&[Path::new("perplexity"), model, &text]);
    assert!(result["tokens"].as_u64() >= Some(2000));
    let actual = result["ppl"].as_f64().expect("a number");
    let difference = (actual / expected - 1.0).abs();
    assert!(
        difference <= TOLERANCE,
        "{name}: {actual} instead of {expected}, which is {:.2} % apart",
        difference * 100.0
    );
}

fn compare_quantized(kind: &str) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let made = folder.join(format!("smollm2-{kind}.gguf"));
    let [quantize, kind_path, again, force] =
        ["quantize", kind, "--allow-requantize", "--force"].map(Path::new);
    minnow(&[quantize, &original(), &made, kind_path, again, force]);
    compare(&made, kind);
    fs::remove_file(made).expect("it was just read");
}

#[test]
fn as_it_is() {
    compare(&original(), "original");
}

#[test]
fn quantized_to_q4_k_m() {
    compare_quantized("Q4_K_M");
}

#[test]
#[ignore = "a minute each; the two above run every time"]
fn quantized_to_q4_0_q5_1_and_q8_0() {
    for kind in ["Q4_0", "Q5_1", "Q8_0"] {
        compare_quantized(kind);
    }
}
