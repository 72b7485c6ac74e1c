//! SmolLM2-135M-Instruct and Gemma 3 270M say what they say in llama.cpp (tests/fixtures/models).

use std::{collections::BTreeMap, env, fs, path::Path, sync::Arc};

use chat::{Conversation, Message, SpecialTokens, Template};
use engine::{Clock, Engine, EngineOptions, Event, FinishReason, Prompt, Request};
use gguf::{Header, Metadata};
use kernels::{Serial, kv::KvType};
use model::{Builder, Context, ContextOptions, Input, Model, Want};
use serde_json::Value;
use testkit::{argmax, check_table};
use tokenizer::Tokenizer;

/// A step whose best logit leads by less than this may go either way: both engines round.
const NEAR_TIE: f64 = 0.5;
/// A lead that no rounding turns around.
const CLEAR_LEAD: f64 = 1.0;
/// Tokens generated for each prompt.
const GENERATED: u32 = 48;
/// Part of all steps that must have been compared before near ties ended comparisons.
const COMPARED: f64 = 0.4;
/// Largest root-mean-square difference of logits, their common shift aside, as part of the range from the smallest
/// to the largest.
const LOGIT_TOLERANCE: f64 = 1e-2;
/// How much further than llama.cpp from exact arithmetic the logits may be.
const OWN_ERROR_FACTOR: f64 = 2.0;

struct Frozen;

impl Clock for Frozen {
    fn now_ms(&self) -> f64 {
        0.0
    }
}

fn golden(name: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/models");
    let text = fs::read_to_string(folder.join(name)).expect("committed");
    serde_json::from_str(&text).expect("JSON")
}

/// A model that people use.
struct Real {
    /// The environment variable that says where its file is.
    variable: &'static str,
    /// What its golden data is called.
    name: &'static str,
    /// The text of the token with which its answers end.
    end: &'static str,
}

const SMOLLM2: Real = Real {
    variable: "MINNOW_MODEL_SMOLLM2",
    name: "smollm2",
    end: "<|im_end|>",
};

const GEMMA3: Real = Real {
    variable: "MINNOW_MODEL_GEMMA3",
    name: "gemma3",
    end: "<eos>",
};

fn load(Real { variable, .. }: &Real) -> (Model, Metadata) {
    let path = env::var_os(variable).unwrap_or_else(|| {
        panic!("{variable} does not name the model's file; run `cargo xtask test`, which gets it")
    });
    let file = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let header = Header::parse(&file).expect("valid");
    let mut builder = Builder::new(std::slice::from_ref(&header)).expect("a supported model");
    for tensor in &header.tensors {
        let bytes = &file[tensor.offset as usize..tensor.end() as usize];
        builder
            .write(&tensor.name, bytes)
            .expect("as large as the directory says");
    }
    (builder.finish().expect("complete"), header.metadata)
}

fn list(json: &Value) -> &[Value] {
    json.as_array().expect("a list")
}

fn text(json: &Value) -> &str {
    json.as_str().expect("a text")
}

fn ids(json: &Value) -> Vec<u32> {
    let id = |json: &Value| json.as_u64().expect("an id") as u32;
    list(json).iter().map(id).collect()
}

fn floats(json: &Value) -> Vec<f64> {
    list(json)
        .iter()
        .map(|json| json.as_f64().expect("a number"))
        .collect()
}

fn rms(values: &[f64]) -> f64 {
    let squares: f64 = values.iter().map(|value| value.powi(2)).sum();
    (squares / values.len() as f64).sqrt()
}

fn prompt(json: &Value) -> Prompt {
    match json["messages"].as_array() {
        None => Prompt::Text(text(&json["text"]).to_owned()),
        Some(messages) => Prompt::Chat(Conversation {
            messages: messages
                .iter()
                .map(|message| Message::new(text(&message["role"]), text(&message["content"])))
                .collect(),
            add_generation_prompt: true,
            ..Conversation::default()
        }),
    }
}

/// What one prompt led to.
#[derive(Default)]
struct Answer {
    tokens: Vec<u32>,
    text: String,
    reason: Option<FinishReason>,
}

/// Compares an answer with llama.cpp's up to the first near tie that went the other way, and gives the number of
/// steps compared.
fn compare(answer: &Answer, golden: &Value, end: &str) -> Result<usize, String> {
    let (expected, best, second) = (
        ids(&golden["generated"]),
        floats(&golden["best_logit"]),
        floats(&golden["second_logit"]),
    );
    // The token that ends a generation is in llama.cpp's list, but not in the answer.
    let ended = expected.len() < GENERATED as usize;
    let last = expected.len() - usize::from(ended);
    for step in 0..expected.len() {
        let wanted = expected[..last].get(step);
        let token = answer.tokens.get(step);
        if token != wanted {
            let lead = best[step] - second[step];
            return match lead < NEAR_TIE {
                true => {
                    println!(
                        "{}: step {step} goes the other way, llama.cpp's lead is {lead:.3}",
                        golden["name"]
                    );
                    Ok(step)
                }
                false => Err(format!(
                    "step {step}: {token:?} instead of {wanted:?}, which leads by {lead}"
                )),
            };
        }
    }
    let reason = if ended {
        FinishReason::Stop
    } else {
        FinishReason::Length
    };
    if answer.reason != Some(reason) {
        return Err(format!(
            "ended with {:?} instead of {reason:?}",
            answer.reason
        ));
    }
    let expected_text = text(&golden["generated_text"]);
    let expected_text = expected_text.strip_suffix(end).unwrap_or(expected_text);
    if answer.text != expected_text {
        return Err(format!(
            "the text is {:?} instead of {expected_text:?}",
            answer.text
        ));
    }
    Ok(expected.len())
}

#[test]
fn smollm2_greedy_texts_are_those_of_llama_cpp() {
    greedy_texts_are_those_of_llama_cpp(&SMOLLM2);
}

#[test]
fn gemma3_greedy_texts_are_those_of_llama_cpp() {
    greedy_texts_are_those_of_llama_cpp(&GEMMA3);
}

fn greedy_texts_are_those_of_llama_cpp(real: &Real) {
    let golden = golden(&format!("{}.json", real.name));
    let prompts = list(&golden["prompts"]);
    let (model, metadata) = load(real);
    let tokenizer = Arc::new(Tokenizer::from_metadata(&metadata).expect("a supported tokenizer"));
    let source = metadata.string("tokenizer.chat_template").expect("a text");
    let template =
        source.map(|source| Template::new(source, SpecialTokens::default()).expect("valid"));
    let options = EngineOptions {
        cache_tokens: 4096,
        kv: KvType::F32,
        ..EngineOptions::with_context(1024)
    };
    let mut engine = Engine::new(
        Arc::new(model),
        tokenizer,
        template,
        options,
        Box::new(Serial),
        Box::new(Frozen),
    )
    .expect("an engine");

    let mut answers = BTreeMap::new();
    for entry in prompts {
        let tokens = engine.prompt_tokens(&prompt(entry)).expect("tokens");
        assert_eq!(tokens, ids(&entry["ids"]), "{}", entry["name"]);
        let id = engine
            .submit(Request {
                sampling: sampler::Params::greedy(),
                max_tokens: Some(GENERATED),
                ..Request::new(prompt(entry))
            })
            .expect("accepted");
        answers.insert(id, (entry, Answer::default()));
    }
    while !engine.is_idle() {
        for event in engine.step() {
            let (_, answer) = answers.get_mut(&event.id()).expect("a request of ours");
            match event {
                Event::Prefill { .. } | Event::Embedded { .. } => {}
                Event::Token { token, text, .. } => {
                    answer.tokens.push(token);
                    answer.text += &text;
                }
                Event::Finished { reason, text, .. } => {
                    answer.text += &text;
                    answer.reason = Some(reason);
                }
                Event::Failed { error, .. } => panic!("{error}"),
            }
        }
    }

    let (mut compared, mut total) = (0, 0);
    let cases = answers.values().map(|case| (text(&case.0["name"]), case));
    check_table(cases, |(entry, answer)| {
        total += list(&entry["generated"]).len();
        compare(answer, entry, real.end).map(|steps| compared += steps)
    });
    assert!(
        compared as f64 > COMPARED * total as f64,
        "only {compared} of {total} steps were compared"
    );
}

#[test]
fn smollm2_logits_are_those_of_llama_cpp() {
    logits_are_those_of_llama_cpp(&SMOLLM2);
}

#[test]
fn gemma3_logits_are_those_of_llama_cpp() {
    logits_are_those_of_llama_cpp(&GEMMA3);
}

fn logits_are_those_of_llama_cpp(real: &Real) {
    let prompts = golden(&format!("{}.json", real.name));
    let golden = golden(&format!("{}-logits.json", real.name));
    let sampled = ids(&golden["sampled_ids"]);
    let options = ContextOptions {
        capacity: 1024,
        kv: KvType::F32,
        ..ContextOptions::default()
    };
    let mut context =
        Context::new(Arc::new(load(real).0), options, Box::new(Serial)).expect("a context");
    let cases = list(&golden["prompts"])
        .iter()
        .zip(list(&prompts["prompts"]))
        .map(|(logits, prompt)| (text(&logits["name"]), (logits, prompt)));
    check_table(cases, |(golden, prompt)| {
        let seq = context.create();
        let mut forward = |tokens: &[u32], logits| {
            let input = Input {
                seq,
                tokens,
                logits,
            };
            let rows = context.forward(&[input]).expect("room for all");
            (0..rows.rows())
                .map(|row| rows.row(row).to_vec())
                .collect::<Vec<_>>()
        };
        let generated = ids(&prompt["generated"]);
        let mut steps = forward(&ids(&prompt["ids"]), Want::Last);
        steps.extend(forward(&generated[..generated.len() - 1], Want::All));
        context.release(seq);
        check_choices(&steps, prompt)?;
        check_logits(&steps[0], golden, &sampled)
    });
}

/// Every step, on llama.cpp's own text: where its best logit leads clearly, it is the best here.
fn check_choices(steps: &[Vec<f32>], prompt: &Value) -> Result<(), String> {
    let (best, second) = (
        floats(&prompt["best_logit"]),
        floats(&prompt["second_logit"]),
    );
    for (i, (logits, id)) in steps.iter().zip(ids(&prompt["generated"])).enumerate() {
        let (lead, choice) = (best[i] - second[i], argmax(logits) as u32);
        if lead >= CLEAR_LEAD && choice != id {
            return Err(format!(
                "step {i}: {choice} instead of {id}, which leads by {lead}"
            ));
        }
    }
    Ok(())
}

/// The first generated position's logits, on the ids in the fixture.
fn check_logits(logits: &[f32], golden: &Value, sampled: &[u32]) -> Result<(), String> {
    let largest = ids(&golden["largest"]["ids"]);
    let distances = |reference: &str| {
        let differences = |ids: &[u32], expected: &Value| -> Vec<f64> {
            let pairs = ids.iter().zip(floats(&expected[reference]));
            pairs
                .map(|(&id, x)| f64::from(logits[id as usize]) - x)
                .collect()
        };
        let sample = differences(sampled, &golden["sampled"]);
        // Softmax does not see what all logits have in common.
        let common = sample.iter().sum::<f64>() / sample.len() as f64;
        [differences(&largest, &golden["largest"]), sample].map(|mut differences| {
            differences.iter_mut().for_each(|x| *x -= common);
            rms(&differences)
        })
    };
    let number = |key: &str| golden[key].as_f64().expect("a number");
    let spread = floats(&golden["largest"]["llama_cpp"])[0] - number("smallest");
    for distance in distances("llama_cpp") {
        if distance > LOGIT_TOLERANCE * spread {
            return Err(format!(
                "{distance:.2} away from llama.cpp's logits, whose range is {spread:.1}"
            ));
        }
    }
    let [_, distance] = distances("exact");
    let (error, own) = (
        distance / number("standard_deviation"),
        number("llama_cpp_error"),
    );
    if error > OWN_ERROR_FACTOR * own {
        return Err(format!(
            "error {error:.1e} against exact arithmetic, llama.cpp's is {own:.1e}"
        ));
    }
    Ok(())
}
