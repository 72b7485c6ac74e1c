//! `embed` with golden models.

use serde_json::Value;

use crate::harness::*;

fn golden(name: &str) -> String {
    let folder = env!("CARGO_MANIFEST_DIR");
    format!("{folder}/../../tests/fixtures/models/tiny/{name}.gguf")
}

fn vectors(value: &Value) -> Vec<Vec<f64>> {
    assert_eq!(value["object"], "list");
    let data = value["data"].as_array().unwrap().iter().enumerate();
    data.map(|(index, item)| {
        assert_eq!(
            (&item["object"], &item["index"]),
            (&"embedding".into(), &index.into())
        );
        let numbers = item["embedding"].as_array().unwrap().iter();
        numbers.map(|x| x.as_f64().unwrap()).collect()
    })
    .collect()
}

#[test]
fn embed_writes_openais_shape() {
    let model = golden("qwen3-last-f32");
    let all = vectors(&json(&["embed", &model, "hello there", "hello", "--json"]));
    assert_eq!(all.len(), 2);
    for vector in &all {
        let length: f64 = vector.iter().map(|x| x * x).sum();
        assert_eq!(vector.len(), 32);
        assert!((length - 1.0).abs() < 1e-5, "{length}");
    }
    let ids = json(&["tokenize", &model, "hello", "--json"])["ids"].to_string();
    let ids = ids.trim_matches(['[', ']']);
    let by_ids = vectors(&json(&["embed", &model, "--ids", ids, "--json"]));
    assert_eq!(by_ids, all[1..]);
}

#[test]
fn embed_pools_and_normalizes_as_asked() {
    let model = golden("qwen3-last-f32");
    let raw = |more: &[&str]| {
        let fixed = [
            "embed",
            &model,
            "--ids",
            "3,1,4",
            "--embd-normalize",
            "-1",
            "--json",
        ];
        vectors(&json(&[&fixed, more].concat()))
    };
    let each = raw(&["--pooling", "none"]);
    assert_eq!(each.len(), 3);
    assert_eq!(raw(&[]), each[2..]);
    assert_eq!(raw(&["--pooling", "cls"]), each[..1]);
    let mean = raw(&["--pooling", "mean"]);
    for (i, mean) in mean[0].iter().enumerate() {
        let expected = each.iter().map(|vector| vector[i]).sum::<f64>() / 3.0;
        assert!((mean - expected).abs() < 1e-6, "{mean} and {expected}");
    }
}

#[test]
fn embed_gives_a_rerankers_scores() {
    let model = golden("qwen3-rank-q8_0");
    let all = vectors(&json(&[
        "embed",
        &model,
        "what\tthat",
        "where\tthere",
        "--json",
    ]));
    for scores in &all {
        assert_eq!(scores.len(), 2);
        assert!((scores[0] + scores[1] - 1.0).abs() < 1e-6);
    }
    let output = minnow(&["embed", &model, "what\tthat"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let expected = |i: usize, label: &str| format!("rerank score 0: {:8.3} [{label}]", all[0][i]);
    assert_eq!(lines, [expected(0, "yes"), expected(1, "no")]);
}

#[test]
fn embed_shows_people_how_alike_texts_are() {
    let model = golden("qwen3-last-f32");
    let output = minnow(&["embed", &model, "one", "one", "two"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].starts_with("embedding 0: "), "{text}");
    assert_eq!(lines[0].split_whitespace().count(), 2 + 16);
    let cosines: Vec<_> = lines[lines.len() - 3].split_whitespace().collect();
    assert_eq!(cosines[..2], ["1.00", "1.00"]);
}

#[test]
fn embed_says_what_is_wrong() {
    let model = golden("qwen3-last-f32");
    let message = failure(&["embed", &model, "text", "--pooling", "rank"]);
    assert!(message.contains("ranking head"), "{message}");
    let message = failure(&["embed", &model, "--ids", "1,9999"]);
    assert!(message.contains("9999"), "{message}");
}
