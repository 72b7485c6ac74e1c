//! Commands that run a model.

use std::process::Command;

use crate::harness::{Folder, ids, json, minnow};

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
