//! An engine with a tiny model of random weights, and answers collected from its events.

use std::{
    cell::Cell,
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use engine::{
    Clock, EarlyPrompts, Engine, EngineOptions, Error, Event, FinishReason, Prompt, Request,
    RequestId, Timings, Usage,
};
use model::{Builder, Model};
use sampler::{Logprobs, Params};
use testkit::{Architecture, TinyModel};
use tokenizer::Tokenizer;

/// Milliseconds that pass between two looks at the test clock.
const TICK_MS: f64 = 10.0;

/// More steps than any test needs: one that takes more is stuck.
const STUCK: usize = 10_000;

/// A clock that ticks when it is read.
#[derive(Default)]
struct Ticking(Cell<f64>);

impl Clock for Ticking {
    fn now_ms(&self) -> f64 {
        self.0.set(self.0.get() + TICK_MS);
        self.0.get()
    }
}

struct Parts {
    /// The model's file.
    bytes: Vec<u8>,
    model: Arc<Model>,
    tokenizer: Arc<Tokenizer>,
    template: String,
}

/// Tokens that the first layer of [`WINDOWED`] sees.
pub(crate) const WINDOW: u32 = 40;

/// One model for all tests, but those of windows.
static PARTS: LazyLock<Parts> = LazyLock::new(|| {
    let tiny = TinyModel {
        layers: 1,
        ..TinyModel::new(Architecture::Llama)
    };
    load(tiny.to_bytes())
});

/// A model whose first layer sees a window, and whose second sees everything.
static WINDOWED: LazyLock<Parts> = LazyLock::new(|| {
    let writer = TinyModel::new(Architecture::Llama)
        .writer()
        .with("llama.attention.sliding_window", WINDOW)
        .with("llama.attention.sliding_window_pattern", 2u32);
    load(writer.to_bytes().unwrap())
});

fn load(bytes: Vec<u8>) -> Parts {
    let header = gguf::Header::parse(&bytes).unwrap();
    let mut builder = Builder::new(std::slice::from_ref(&header)).unwrap();
    for tensor in &header.tensors {
        builder
            .write(
                &tensor.name,
                &bytes[tensor.offset as usize..tensor.end() as usize],
            )
            .unwrap();
    }
    Parts {
        model: Arc::new(builder.finish().unwrap()),
        tokenizer: Arc::new(Tokenizer::from_metadata(&header.metadata).unwrap()),
        template: header
            .metadata
            .string("tokenizer.chat_template")
            .unwrap()
            .unwrap()
            .to_owned(),
        bytes,
    }
}

/// Small limits: a context of 256 tokens, room for one of them, 24 tokens a step.
pub(crate) fn small() -> EngineOptions {
    EngineOptions {
        max_batch_tokens: 24,
        ..EngineOptions::with_context(256)
    }
}

/// Room for everything.
pub(crate) fn roomy() -> EngineOptions {
    EngineOptions {
        cache_tokens: 8192,
        ..small()
    }
}

pub(crate) fn engine(options: EngineOptions) -> Engine {
    try_engine(options).unwrap()
}

pub(crate) fn try_engine(options: EngineOptions) -> Result<Engine, Error> {
    engine_with_template(options, Some(&PARTS.template))
}

/// An engine with a model whose first layer sees [`WINDOW`] tokens.
pub(crate) fn windowed_engine(options: EngineOptions) -> Engine {
    engine_of(&WINDOWED, options, None).unwrap()
}

pub(crate) fn engine_with_template(
    options: EngineOptions,
    template: Option<&str>,
) -> Result<Engine, Error> {
    engine_of(&PARTS, options, template)
}

fn engine_of(
    parts: &Parts,
    options: EngineOptions,
    template: Option<&str>,
) -> Result<Engine, Error> {
    let Parts {
        model, tokenizer, ..
    } = parts;
    let template =
        template.map(|source| chat::Template::new(source, chat::SpecialTokens::default()).unwrap());
    let clock = Box::<Ticking>::default();
    let pool = Box::new(kernels::Serial);
    Engine::new(
        Arc::clone(model),
        Arc::clone(tokenizer),
        template,
        options,
        pool,
        clock,
    )
}

/// An engine whose model arrived while `prompts` were computed, the later ones added when it was nearly there. Their states may
/// take `bytes`.
pub(crate) fn engine_with_early_prompts(
    prompts: &[Prompt],
    options: EngineOptions,
    bytes: u64,
) -> Engine {
    let Parts {
        bytes: file,
        tokenizer,
        ..
    } = &*PARTS;
    let header = gguf::Header::parse(file).unwrap();
    let mut builder = Builder::new(std::slice::from_ref(&header)).unwrap();
    let template = chat::Template::new(&PARTS.template, chat::SpecialTokens::default()).unwrap();
    let mut early = EarlyPrompts::new(builder.config(), &options, bytes).unwrap();
    let mut prompts = prompts.iter();
    let add = |early: &mut EarlyPrompts, builder: &Builder, prompt: &Prompt| {
        let added = early.add(prompt, tokenizer, Some(&template), builder.config());
        added.unwrap();
    };
    if let Some(first) = prompts.next() {
        add(&mut early, &builder, first);
    }
    for (place, tensor) in header.tensors.iter().enumerate() {
        let bytes = &file[tensor.offset as usize..tensor.end() as usize];
        builder.write(&tensor.name, bytes).unwrap();
        if place + 3 == header.tensors.len() {
            (&mut prompts).for_each(|prompt| add(&mut early, &builder, prompt));
        }
        while early.advance(&builder, &kernels::Serial).unwrap() {}
    }
    Engine::with_early_prompts(
        early,
        Arc::new(builder.finish().unwrap()),
        Arc::clone(tokenizer),
        Some(template),
        options,
        Box::new(kernels::Serial),
        Box::<Ticking>::default(),
    )
    .unwrap()
}

pub(crate) fn tokenizer() -> &'static Tokenizer {
    &PARTS.tokenizer
}

/// Prompt number `n`: `len` tokens that no other prompt begins with.
pub(crate) fn tokens(n: usize, len: usize) -> Vec<u32> {
    (0..len)
        .map(|i| ((i * 31 + i * i * 7 + n * 53) % 250) as u32)
        .collect()
}

/// A greedy request for `count` tokens that never ends by itself.
pub(crate) fn request(prompt: Vec<u32>, count: u32) -> Request {
    Request {
        sampling: Params::greedy(),
        max_tokens: Some(count),
        ignore_eos: true,
        ..Request::new(Prompt::Tokens(prompt))
    }
}

/// Everything that was told about one request.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) ids: Vec<u32>,
    pub(crate) pieces: Vec<String>,
    pub(crate) logprobs: Vec<Logprobs>,
    pub(crate) prefill: Vec<(usize, usize)>,
    pub(crate) reason: Option<FinishReason>,
    pub(crate) error: Option<Error>,
    pub(crate) embedding: Vec<f32>,
    pub(crate) usage: Usage,
    pub(crate) timings: Timings,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        self.pieces.concat()
    }

    pub(crate) fn ended(&self) -> bool {
        self.reason.is_some() || self.error.is_some()
    }

    fn take(&mut self, event: Event) {
        assert!(!self.ended(), "{event:?} came after the end");
        match event {
            Event::Prefill { done, total, .. } => self.prefill.push((done, total)),
            Event::Token {
                token,
                text,
                logprobs,
                ..
            } => {
                self.ids.push(token);
                self.pieces.push(text);
                self.logprobs.extend(logprobs);
            }
            Event::Embedded { values, .. } => self.embedding = values,
            Event::Finished {
                reason,
                text,
                usage,
                timings,
                ..
            } => {
                self.pieces.push(text);
                (self.reason, self.usage, self.timings) = (Some(reason), usage, timings);
            }
            Event::Failed { error, .. } => self.error = Some(error),
        }
    }
}

/// What was told about each request so far.
#[derive(Debug, Default)]
pub(crate) struct Answers(BTreeMap<RequestId, Answer>);

impl Answers {
    pub(crate) fn step(&mut self, engine: &mut Engine) {
        for event in engine.step() {
            self.0.entry(event.id()).or_default().take(event);
        }
    }

    pub(crate) fn run(&mut self, engine: &mut Engine) {
        for _ in 0..STUCK {
            if engine.is_idle() {
                return;
            }
            self.step(engine);
        }
        panic!("still not idle: {engine:?}");
    }

    pub(crate) fn get(&self, id: RequestId) -> &Answer {
        &self.0[&id]
    }

    pub(crate) fn tokens_of(&self, id: RequestId) -> usize {
        self.0.get(&id).map_or(0, |answer| answer.ids.len())
    }
}

/// Answers requests all at once, in their order.
pub(crate) fn answer_all(engine: &mut Engine, requests: Vec<Request>) -> Vec<Answer> {
    let ids: Vec<_> = requests
        .into_iter()
        .map(|request| engine.submit(request).unwrap())
        .collect();
    let mut answers = Answers::default();
    answers.run(engine);
    ids.iter().map(|id| answers.0.remove(id).unwrap()).collect()
}

pub(crate) fn answer(engine: &mut Engine, request: Request) -> Answer {
    answer_all(engine, vec![request]).remove(0)
}

/// The tokens that a fresh engine, doing nothing else, chooses.
pub(crate) fn alone(request: &Request) -> Vec<u32> {
    answer(&mut engine(plain()), request.clone()).ids
}

/// As [`alone`], of the model of [`windowed_engine`].
pub(crate) fn alone_windowed(request: &Request) -> Vec<u32> {
    answer(&mut windowed_engine(plain()), request.clone()).ids
}

/// Prompts at once, and nothing kept.
fn plain() -> EngineOptions {
    EngineOptions {
        max_batch_tokens: 256,
        prefix_entries: 0,
        ..roomy()
    }
}
