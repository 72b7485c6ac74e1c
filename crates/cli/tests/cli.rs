//! The program as scripts use it, with tiny models.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;
use testkit::{Architecture, TinyModel};

/// A folder of its own for each test, gone afterwards.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.0.join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn model(&self) -> String {
        self.write("tiny.gguf", tiny().to_bytes())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A folder that stays behind in the build's scratch space harms nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn tiny() -> TinyModel {
    TinyModel {
        layers: 1,
        ..TinyModel::new(Architecture::Qwen3)
    }
}

fn minnow(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_minnow"))
        .args(args)
        .output()
        .unwrap()
}

/// Runs a command that must succeed and write one JSON value and nothing else.
fn json(args: &[&str]) -> Value {
    let output = minnow(args);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {stderr}");
    assert_eq!(stderr, "", "{args:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Runs a command that must fail; returns its message.
fn failure(args: &[&str]) -> String {
    let output = minnow(args);
    assert_eq!(output.status.code(), Some(1), "{args:?}");
    assert!(output.stdout.is_empty(), "{args:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn ids(value: &Value) -> Vec<u64> {
    value["ids"]
        .as_array()
        .unwrap()
        .iter()
        .map(|id| id.as_u64().unwrap())
        .collect()
}

#[test]
fn run_gives_ids_text_and_timings() {
    let folder = Folder::new("run");
    let model = folder.model();
    let args = [
        "run",
        &model,
        "hello there",
        "--raw",
        "--greedy",
        "-n",
        "5",
        "--ignore-eos",
        "--json",
    ];
    let result = json(&args);
    assert_eq!(ids(&result).len(), 5);
    assert!(result["text"].is_string());
    assert_eq!(result["timings"]["predicted_n"], 5);
    assert_eq!(
        json(&[&args[..], &["-t", "3"]].concat())["ids"],
        result["ids"],
        "threads change nothing"
    );
    let chat = json(&[
        "run",
        &model,
        "hello there",
        "--greedy",
        "-n",
        "5",
        "--ignore-eos",
        "--json",
    ]);
    assert!(chat["timings"]["prompt_n"].as_u64() > result["timings"]["prompt_n"].as_u64());
}

#[test]
fn run_shows_text_to_people() {
    let folder = Folder::new("run-text");
    let model = folder.model();
    let args = [
        "run",
        &model,
        "hello",
        "--raw",
        "--greedy",
        "-n",
        "4",
        "--ignore-eos",
    ];
    let shown = minnow(&args);
    let expected = json(&[&args[..], &["--json"]].concat());
    assert_eq!(
        String::from_utf8(shown.stdout).unwrap(),
        format!("{}\n", expected["text"].as_str().unwrap())
    );
    assert!(
        String::from_utf8(shown.stderr)
            .unwrap()
            .contains("length: prompt")
    );
}

#[test]
fn logits_agree_with_run() {
    let folder = Folder::new("logits");
    let model = folder.model();
    let prompt = ids(&json(&["tokenize", &model, "hello there", "--json"]));
    let listed: Vec<_> = prompt.iter().map(u64::to_string).collect();
    let logits = json(&["logits", &model, "--ids", &listed.join(","), "--json"]);
    let logits: Vec<_> = logits["logits"]
        .as_array()
        .unwrap()
        .iter()
        .map(|x| x.as_f64().unwrap())
        .collect();
    assert_eq!(logits.len(), testkit::vocabulary().tokens.len());
    let best = (0..logits.len())
        .max_by(|&a, &b| logits[a].total_cmp(&logits[b]))
        .unwrap();
    let first = json(&[
        "run",
        &model,
        "hello there",
        "--raw",
        "--greedy",
        "-n",
        "1",
        "--kv-cache",
        "f32",
        "--json",
    ]);
    assert_eq!(ids(&first), [best as u64]);
}

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
    let tensors = result["tensors"].as_array().unwrap();
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

#[test]
fn bench_measures_each_number_of_threads() {
    let folder = Folder::new("bench");
    let model = folder.model();
    let result = json(&[
        "bench", &model, "-p", "20", "-n", "3", "-t", "1,2", "-r", "1", "--json",
    ]);
    let threads: Vec<_> = result
        .as_array()
        .unwrap()
        .iter()
        .map(|speed| speed["threads"].as_u64().unwrap())
        .collect();
    assert_eq!(threads, [1, 2]);
    for speed in result.as_array().unwrap() {
        assert!(speed["pp"].as_f64().unwrap() > 0.0 && speed["tg"].as_f64().unwrap() > 0.0);
    }
}

#[test]
fn perplexity_counts_the_second_half_of_each_chunk() {
    let folder = Folder::new("perplexity");
    let model = folder.model();
    let ids: Vec<_> = (0..70u32).map(|i| i * 3 % 250).collect();
    let file = folder.write("ids.json", serde_json::to_string(&ids).unwrap());
    let result = json(&[
        "perplexity",
        &model,
        "--ids-file",
        &file,
        "--chunk",
        "16",
        "--json",
    ]);
    assert_eq!(result["tokens"], 4 * 7);
    let (ppl, nll) = (
        result["ppl"].as_f64().unwrap(),
        result["nll"].as_f64().unwrap(),
    );
    assert!((ppl - nll.exp()).abs() < 1e-9 * ppl && ppl > 1.0);

    // The same from single logits: a chunk of 4 counts the last token only.
    let file = folder.write("four.json", "[5, 6, 7, 8]");
    let nll = json(&[
        "perplexity",
        &model,
        "--ids-file",
        &file,
        "--chunk",
        "4",
        "--json",
    ])["nll"]
        .as_f64()
        .unwrap();
    let logits = json(&["logits", &model, "--ids", "5,6,7", "--json"]);
    let logits: Vec<_> = logits["logits"]
        .as_array()
        .unwrap()
        .iter()
        .map(|x| x.as_f64().unwrap())
        .collect();
    let sum: f64 = logits.iter().map(|logit| (logit - logits[8]).exp()).sum();
    assert!((nll - sum.ln()).abs() < 1e-4, "{nll} {}", sum.ln());
}

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

#[test]
fn chat_answers_line_by_line() {
    use std::{io::Write, process::Stdio};
    let folder = Folder::new("chat");
    let model = folder.model();
    let mut child = Command::new(env!("CARGO_BIN_EXE_minnow"))
        .args(["chat", &model, "--greedy", "-n", "3"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"hello\n\nand then?\n/clear\nhello\n/exit\nnever\n")
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stderr}");
    assert_eq!(stderr.matches(": prompt ").count(), 3, "{stderr}");
    assert!(!stderr.contains("error"), "{stderr}");
}
