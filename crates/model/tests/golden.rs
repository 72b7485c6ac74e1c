//! Logits and embeddings of tiny models agree with llama.cpp's, and with a forward pass in 64-bit arithmetic
//! (tests/fixtures/models).

mod measured;

use std::{collections::BTreeSet, fs, path::PathBuf, sync::Arc, sync::LazyLock};

use gguf::{Header, TensorType};
use kernels::{Serial, kv::KvType};
use model::{Builder, Context, ContextOptions, Embedding, Input, Model, Pooling, Want};
use serde_json::Value;
use testkit::{argmax, check_table, normalized_rms_error};

/// Largest error against exact arithmetic where weights and activations are floating-point numbers.
const FLOAT_TOLERANCE: f64 = 1e-4;
/// As [`FLOAT_TOLERANCE`], where activations are rounded to 8 bits: this, or a multiple of llama.cpp's own error.
const QUANTIZED_TOLERANCE: f64 = 2e-2;
/// How much worse than llama.cpp a quantized model may be.
const OWN_ERROR_FACTOR: f64 = 2.0;
/// Leads over the second-best logit, in llama.cpp's own errors, from which the best one must be the same.
const DECISIVE_LEAD: f64 = 4.0;
/// Tokens evaluated at once: divides neither prompt length.
const CHUNK: usize = 96;
/// Bytes handed to the builder at once: divides no tensor of the models.
const PIECE: usize = 1000;

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/models")
}

fn golden() -> Value {
    let text = fs::read_to_string(fixtures().join("tiny.json")).expect("tiny.json is committed");
    serde_json::from_str(&text).expect("tiny.json is JSON")
}

fn floats(list: &Value) -> Vec<f32> {
    let numbers = list.as_array().expect("a list").iter();
    numbers
        .map(|number| number.as_f64().expect("a number") as f32)
        .collect()
}

fn ids(list: &Value) -> Vec<u32> {
    let numbers = list.as_array().expect("a list").iter();
    numbers
        .map(|id| id.as_u64().expect("an id") as u32)
        .collect()
}

/// The model, its architecture's name, and the types of its matrices.
fn load(name: &str) -> (Model, String, BTreeSet<&'static str>) {
    let file = fs::read(fixtures().join("tiny").join(format!("{name}.gguf"))).expect("committed");
    let header = Header::parse(&file).expect("valid");
    let architecture = header
        .metadata
        .string("general.architecture")
        .expect("a string")
        .expect("named");
    let matrices = header
        .tensors
        .iter()
        .filter(|tensor| tensor.shape.len() > 1);
    let kinds = matrices.map(|tensor| tensor.kind.name()).collect();
    let architecture = architecture.to_owned();
    let mut builder = Builder::new(std::slice::from_ref(&header)).expect("a supported model");
    for tensor in &header.tensors {
        for piece in file[tensor.offset as usize..tensor.end() as usize].chunks(PIECE) {
            builder
                .write(&tensor.name, piece)
                .expect("as large as the directory says");
        }
    }
    (builder.finish().expect("complete"), architecture, kinds)
}

/// Room for the longest input, and nothing rounded but by the model.
fn context(model: Model) -> Context {
    let options = ContextOptions {
        capacity: 1024,
        kv: KvType::F32,
        context_length: 1024,
        page: 64,
    };
    Context::new(Arc::new(model), options, Box::new(Serial)).expect("a context")
}

/// The embedding of `tokens`, pooled as the file says.
fn embedding(model: Model, tokens: &[u32]) -> Vec<f32> {
    let mut context = context(model);
    let mut embedding =
        Embedding::new(&mut context, tokens.to_vec(), None).expect("an embedding model");
    loop {
        if let Some(pooled) = embedding
            .advance(&mut context, CHUNK)
            .expect("room for all")
        {
            return pooled;
        }
    }
}

/// Logits after the last of `tokens`.
fn last_logits(model: Model, tokens: &[u32]) -> Vec<f32> {
    let mut context = context(model);
    let seq = context.create();
    let mut logits = Vec::new();
    for chunk in tokens.chunks(CHUNK) {
        let input = Input {
            seq,
            tokens: chunk,
            logits: Want::Last,
        };
        logits = context
            .forward(&[input])
            .expect("room for all")
            .row(0)
            .to_vec();
    }
    logits
}

/// Distance between the two largest values.
fn lead(values: &[f32]) -> f32 {
    let best = argmax(values);
    let others = values.iter().enumerate().filter(|&(i, _)| i != best);
    others.fold(f32::INFINITY, |lead, (_, value)| {
        lead.min(values[best] - value)
    })
}

fn rms(values: &[f32]) -> f64 {
    let squares: f64 = values.iter().map(|&value| f64::from(value).powi(2)).sum();
    (squares / values.len() as f64).sqrt()
}

/// How close a model comes after one input, and whether that is close enough.
struct Measured {
    name: String,
    architecture: String,
    /// Types of the model's matrices.
    kinds: BTreeSet<&'static str>,
    /// Name of the input.
    input: String,
    /// Normalized root-mean-square error of logits or embedding, against exact arithmetic.
    error: f64,
    /// The same of llama.cpp, or of rounding as bitnet.cpp does, if either can be compared with.
    own: Option<f64>,
    verdict: Result<(), String>,
}

/// Every model after every input.
static MEASURED: LazyLock<Vec<Measured>> = LazyLock::new(|| {
    let golden = golden();
    let models = golden["models"].as_array().expect("a list");
    let inputs = golden["inputs"].as_object().expect("by name");
    let pairs = models.iter().flat_map(|model| {
        inputs
            .iter()
            .map(move |(input, tokens)| (model, input, tokens))
    });
    pairs
        .map(|(model, input, tokens)| measure(model, input, &ids(tokens)))
        .collect()
});

/// Compares a model's logits after an input, or the input's embedding.
fn measure(entry: &Value, input: &str, tokens: &[u32]) -> Measured {
    let name = entry["name"].as_str().expect("a name");
    let (model, architecture, kinds) = load(name);
    let float = [TensorType::F32, TensorType::F16, TensorType::BF16].map(TensorType::name);
    let quantized = kinds.iter().any(|kind| !float.contains(kind));
    let embeds = model.config().pooling != Pooling::None;
    let actual = match embeds {
        true => embedding(model, tokens),
        false => last_logits(model, tokens),
    };
    let exact = floats(&entry[input]["exact"]);
    // What llama.cpp ignores, such as the window of a llama or phi3 model, is compared with exact arithmetic only; I2_S also
    // with that after activations are rounded as bitnet.cpp rounds them.
    let lists = ["llama_cpp", "rounded"].map(|name| &entry[input][name]);
    let llama_cpp = lists.into_iter().find(|list| list.is_array()).map(floats);
    let own = llama_cpp
        .as_ref()
        .map(|theirs| normalized_rms_error(theirs, &exact));
    let known = own.unwrap_or(0.0);
    let tolerance = match quantized {
        true => QUANTIZED_TOLERANCE.max(OWN_ERROR_FACTOR * known),
        false => FLOAT_TOLERANCE,
    };
    let error = normalized_rms_error(&actual, &exact);
    let decisive =
        !embeds && f64::from(lead(&exact)) > DECISIVE_LEAD * known.max(error) * rms(&exact);
    let verdict = if error > tolerance {
        let theirs = llama_cpp.map_or(error, |theirs| normalized_rms_error(&actual, &theirs));
        Err(format!(
            "error {error:.1e} exceeds {tolerance:.1e} (llama.cpp's is {known:.1e}; against llama.cpp {theirs:.1e})"
        ))
    } else if decisive && argmax(&actual) != argmax(&exact) {
        Err(format!(
            "the best id is {}, not {}",
            argmax(&actual),
            argmax(&exact)
        ))
    } else {
        Ok(())
    };
    Measured {
        name: name.to_owned(),
        architecture,
        kinds,
        input: input.to_owned(),
        error,
        own,
        verdict,
    }
}

/// Reports every model that is not close enough after the input.
fn check(input: &str) {
    let measured = MEASURED.iter().filter(|one| one.input == input);
    check_table(measured.map(|one| (&one.name, one)), |one| {
        one.verdict.clone()
    });
}

#[test]
fn results_after_16_tokens() {
    check("short");
}

#[test]
fn results_after_700_tokens() {
    check("long");
}

#[test]
fn the_documentation_says_what_is_measured() {
    measured::check(&MEASURED);
}
