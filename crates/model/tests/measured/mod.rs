//! The tables of `docs/models.md` and the README: written from measurements, and checked against them.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    fmt::Write,
    fs,
    path::Path,
};

use super::Measured;

/// If this is set, the tables are written anew instead of checked.
const UPDATE: &str = "MINNOW_UPDATE_DOCS";

const START: &str = "<!-- measured: start -->";
const END: &str = "<!-- measured: end -->";

/// Architectures, and models that have them.
const MODELS: [(&str, &str); 12] = [
    (
        "llama",
        "Llama 2, 3, 3.1, 3.2, SmolLM, SmolLM2, TinyLlama, Mistral",
    ),
    ("smollm3", "SmolLM3"),
    ("qwen2", "Qwen2, Qwen2.5"),
    ("qwen3", "Qwen3, its embedding and reranker models"),
    ("qwen3moe", "Qwen3 mixtures of experts"),
    ("gemma2", "Gemma 2"),
    ("gemma3", "Gemma 3"),
    ("phi3", "Phi-3, Phi-3.5, Phi-4-mini"),
    ("bitnet", "BitNet b1.58"),
    ("bitnet-b1.58", "BitNet b1.58 2B-4T"),
    ("bert", "BERT"),
    ("nomic-bert", "nomic-embed-text"),
];

/// Fails unless both pages have the tables that `measured` gives.
pub(super) fn check(measured: &[Measured]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let pages = [
        ("docs/models.md", every_model(measured)),
        ("README.md", every_architecture(measured)),
    ];
    for (page, table) in pages {
        let path = root.join(page);
        let text = fs::read_to_string(&path).expect("committed");
        let (before, rest) = text.split_once(START).expect("a place for the table");
        let (_, after) = rest.split_once(END).expect("an end of the table");
        let current = format!("{before}{START}\n{table}{END}{after}");
        if env::var_os(UPDATE).is_some() {
            fs::write(&path, current).expect("writable");
        } else {
            assert!(
                current == text,
                "the table in {page} is not what is measured; run `cargo xtask docs`. It should be:\n{table}"
            );
        }
    }
}

/// One line for each model: how far it is from exact arithmetic after both inputs, and how far llama.cpp is.
fn every_model(measured: &[Measured]) -> String {
    let mut table = String::from(
        "| architecture | model | matrices | 16 tokens | llama.cpp | 700 tokens | llama.cpp |\n\
         |---|---|---|---|---|---|---|\n",
    );
    let mut models = BTreeMap::<_, Vec<_>>::new();
    for one in measured {
        models
            .entry((&one.architecture, &one.name))
            .or_default()
            .push(one);
    }
    for ((architecture, name), results) in models {
        let [short, long] = ["short", "long"].map(|input| {
            let result = results
                .iter()
                .find(|one| one.input == input)
                .expect("both inputs");
            let own = result
                .own
                .map_or_else(|| "not comparable".to_owned(), rounded);
            format!("{} | {own}", rounded(result.error))
        });
        let kinds = joined(&results[0].kinds);
        writeln!(
            table,
            "| `{architecture}` | {name} | {kinds} | {short} | {long} |"
        )
        .expect("text");
    }
    table
}

/// One line for each architecture: its models, the weights they were measured with, and the largest errors.
fn every_architecture(measured: &[Measured]) -> String {
    let mut table = String::from(
        "| architecture | models | weights compared with llama.cpp and exact arithmetic | largest error, float | quantized |\n\
         |---|---|---|---|---|\n",
    );
    for (architecture, models) in MODELS {
        let mine = || {
            measured
                .iter()
                .filter(|one| one.architecture == architecture)
        };
        let is_float = |one: &&Measured| {
            one.kinds
                .iter()
                .all(|kind| kind.contains('F') && !kind.contains("FP"))
        };
        let largest = |errors: Vec<f64>| match errors.is_empty() {
            true => "–".to_owned(),
            false => rounded(errors.into_iter().fold(0.0, f64::max)),
        };
        if mine().next().is_none() {
            continue;
        }
        let kinds: BTreeSet<_> = mine().flat_map(|one| one.kinds.iter().copied()).collect();
        let float = largest(mine().filter(is_float).map(|one| one.error).collect());
        let quantized = largest(
            mine()
                .filter(|one| !is_float(one))
                .map(|one| one.error)
                .collect(),
        );
        writeln!(
            table,
            "| `{architecture}` | {models} | {} | {float} | {quantized} |",
            joined(&kinds)
        )
        .expect("text");
    }
    let known = |one: &Measured| MODELS.iter().any(|(name, _)| *name == one.architecture);
    assert!(
        measured.iter().all(known),
        "an architecture has no line in MODELS"
    );
    table
}

/// Two digits: enough to compare, few enough to stay.
fn rounded(error: f64) -> String {
    format!("{error:.1e}")
}

fn joined(kinds: &BTreeSet<&str>) -> String {
    kinds.iter().copied().collect::<Vec<_>>().join(", ")
}
