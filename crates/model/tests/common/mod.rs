//! What the tests of several areas share.

#![allow(dead_code, reason = "each test crate uses a part")]

pub(crate) mod parts;

use std::sync::Arc;

use gguf::Header;
use kernels::Serial;
use kernels::kv::KvType;
use model::{Builder, Context, ContextOptions, Error, Input, Model, SeqId, Want};
use testkit::{Architecture, TinyModel};

pub(crate) const ARCHITECTURES: [Architecture; 3] = [
    Architecture::Llama,
    Architecture::Qwen2,
    Architecture::Qwen3,
];

/// A page of the contexts below, in tokens.
pub(crate) const PAGE: usize = 32;

/// Builds the model in a file, its tensors' bytes in pieces of `chunk`.
pub(crate) fn build(file: &[u8], chunk: usize) -> Result<Model, Error> {
    let headers = [Header::parse(file).expect("a valid file")];
    let mut builder = Builder::new(&headers)?;
    for tensor in &headers[0].tensors {
        for bytes in file[tensor.offset as usize..][..tensor.size as usize].chunks(chunk) {
            builder.write(&tensor.name, bytes)?;
        }
    }
    builder.finish()
}

pub(crate) fn tiny(architecture: Architecture) -> Arc<Model> {
    let file = TinyModel {
        embedding: 64,
        feed_forward: 96,
        head_dim: 16,
        ..TinyModel::new(architecture)
    }
    .to_bytes();
    Arc::new(build(&file, usize::MAX).expect("a valid model"))
}

/// Small models of all families.
pub(crate) fn families() -> Vec<Arc<Model>> {
    let drawn = ARCHITECTURES.map(tiny);
    drawn.into_iter().chain(FIXTURES.map(fixture)).collect()
}

/// One golden model of each family that `testkit` does not draw.
const FIXTURES: [&str; 8] = [
    "bitnet-b1.58-i2_s",
    "qwen3moe-q8_0",
    "bitnet-q8_0",
    "smollm3-q8_0",
    "gemma2-f16",
    "gemma3-f16",
    "gemma3-bf16",
    "phi3-q8_0",
];

/// A golden model.
pub(crate) fn fixture(name: &str) -> Arc<Model> {
    Arc::new(build(&fixture_file(name), usize::MAX).expect("a valid model"))
}

/// The file of a golden model.
pub(crate) fn fixture_file(name: &str) -> Vec<u8> {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/fixtures/models/tiny"
    );
    std::fs::read(format!("{folder}/{name}.gguf")).expect("committed")
}

pub(crate) fn context(model: &Arc<Model>, capacity: usize) -> Context {
    context_with(
        model,
        ContextOptions {
            capacity,
            kv: KvType::F32,
            page: PAGE,
            ..ContextOptions::default()
        },
    )
}

pub(crate) fn context_with(model: &Arc<Model>, options: ContextOptions) -> Context {
    Context::new(Arc::clone(model), options, Box::new(Serial)).expect("a supported layout")
}

/// `count` tokens that depend on `seed`.
pub(crate) fn tokens(model: &Model, seed: u64, count: usize) -> Vec<u32> {
    let mut rng = testkit::Rng::new(seed);
    (0..count)
        .map(|_| rng.below(model.config().vocab_size as u64) as u32)
        .collect()
}

/// Appends `tokens` and returns the logits after the last.
pub(crate) fn append(context: &mut Context, seq: SeqId, tokens: &[u32]) -> Result<Vec<f32>, Error> {
    let logits = context.forward(&[Input {
        seq,
        tokens,
        logits: Want::Last,
    }])?;
    assert_eq!(logits.rows(), 1);
    Ok(logits.row(0).to_vec())
}

/// The logits after each token of a sequence that is computed by itself, at once.
pub(crate) fn alone(model: &Arc<Model>, tokens: &[u32]) -> Vec<Vec<f32>> {
    let mut context = context(model, tokens.len());
    let seq = context.create();
    let logits = context
        .forward(&[Input {
            seq,
            tokens,
            logits: Want::All,
        }])
        .expect("there is room");
    (0..logits.rows())
        .map(|row| logits.row(row).to_vec())
        .collect()
}

#[track_caller]
pub(crate) fn assert_same_bits(left: &[f32], right: &[f32]) {
    assert_eq!(left.len(), right.len());
    let differing = left
        .iter()
        .zip(right)
        .position(|(left, right)| left.to_bits() != right.to_bits());
    assert_eq!(differing, None, "first differing element");
}
