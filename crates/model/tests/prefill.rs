//! A prompt computed while the model arrives equals one that is computed afterwards.

mod common;

use std::sync::Arc;

use common::*;
use gguf::Header;
use kernels::Serial;
use kernels::kv::KvType;
use model::{Builder, ContextOptions, Error, Input, Prefill, Rehearsal, Want};
use testkit::{Architecture, TinyModel};

const PROMPT: [u32; 7] = [5, 6, 7, 1, 2, 9, 4];
const NEXT: u32 = 3;

fn file() -> Vec<u8> {
    TinyModel {
        embedding: 64,
        feed_forward: 96,
        head_dim: 16,
        ..TinyModel::new(Architecture::Qwen3)
    }
    .to_bytes()
}

fn options() -> ContextOptions {
    ContextOptions {
        capacity: 64,
        kv: KvType::F32,
        page: PAGE,
        ..ContextOptions::default()
    }
}

/// Builds the model from tensors in the order of `places`, prefilling as far as each lets it; gives the blocks that were computed
/// before the last tensor came, and the logits of the token after the prompt.
fn prefilled(file: &[u8], places: impl Iterator<Item = usize>) -> (usize, Vec<f32>) {
    let headers = [Header::parse(file).unwrap()];
    let mut builder = Builder::new(&headers).unwrap();
    let mut prefill = Prefill::new(builder.config(), options(), &PROMPT).unwrap();
    let mut early = 0;
    for place in places {
        let tensor = &headers[0].tensors[place];
        let bytes = &file[tensor.offset as usize..][..tensor.size as usize];
        builder.write(&tensor.name, bytes).unwrap();
        while !builder.missing().is_empty() && prefill.advance(&builder, &Serial) {
            early += 1;
        }
    }
    let model = Arc::new(builder.finish().unwrap());
    let (mut context, seq) = prefill.finish(model, Box::new(Serial));
    assert_eq!(context.len(seq).unwrap(), PROMPT.len());
    let input = Input {
        seq,
        tokens: &[NEXT],
        logits: Want::Last,
    };
    (early, context.forward(&[input]).unwrap().row(0).to_vec())
}

#[test]
fn a_prompt_goes_as_far_as_the_blocks_and_its_values_are_the_same() {
    let file = file();
    let model = Arc::new(build(&file, usize::MAX).unwrap());
    let mut whole = PROMPT.to_vec();
    whole.push(NEXT);
    let expected = alone(&model, &whole).pop().unwrap();
    let tensors = Header::parse(&file).unwrap().tensors;
    let of_layer = |place: &usize, layer: &str| tensors[*place].name.starts_with(layer);

    let (early, row) = prefilled(&file, 0..tensors.len());
    assert_same_bits(&row, &expected);
    assert!(early > 0, "nothing was computed before the last tensor");

    // The last block first: it has to wait for the one before it, and the embedding may come last.
    let (mut places, last): (Vec<_>, Vec<_>) =
        (0..tensors.len()).partition(|place| of_layer(place, "blk.1."));
    places.extend(last);
    let (_, row) = prefilled(&file, places.into_iter());
    assert_same_bits(&row, &expected);
    let (early, row) = prefilled(&file, (0..tensors.len()).rev());
    assert_same_bits(&row, &expected);
    assert_eq!(early, 0, "without an embedding there is nothing to compute");
}

#[test]
fn every_family_can_be_prefilled_at_the_end() {
    for model in families() {
        let prefill = Prefill::new(model.config(), options(), &PROMPT).unwrap();
        let (mut context, seq) = prefill.finish(Arc::clone(&model), Box::new(Serial));
        let input = Input {
            seq,
            tokens: &[NEXT],
            logits: Want::Last,
        };
        let row = context.forward(&[input]).unwrap().row(0).to_vec();
        let mut whole = PROMPT.to_vec();
        whole.push(NEXT);
        assert_same_bits(&row, &alone(&model, &whole).pop().unwrap());
    }
}

#[test]
fn pretend_tokens_run_through_the_blocks_that_have_landed_as_often_as_wanted() {
    let file = file();
    let headers = [Header::parse(&file).unwrap()];
    let mut builder = Builder::new(&headers).unwrap();
    let blocks = builder.config().layers;
    let rehearsals = [1, 8].map(|tokens| Rehearsal::new(builder.config(), KvType::F16, tokens));
    let mut rehearsals = rehearsals.map(Result::unwrap);
    for rehearsal in &mut rehearsals {
        assert!(!rehearsal.run(&builder, 0, &Serial));
    }
    for tensor in &headers[0].tensors {
        let bytes = &file[tensor.offset as usize..][..tensor.size as usize];
        builder.write(&tensor.name, bytes).unwrap();
    }
    for rehearsal in &mut rehearsals {
        for block in (0..blocks).chain(0..blocks) {
            assert!(rehearsal.run(&builder, block, &Serial));
        }
        assert!(!rehearsal.run(&builder, blocks, &Serial));
    }
}

#[test]
fn a_prompt_that_does_not_fit_is_refused() {
    let model = tiny(Architecture::Llama);
    let long = vec![1; 65];
    assert!(matches!(
        Prefill::new(model.config(), options(), &long),
        Err(Error::CacheFull { .. })
    ));
    assert!(matches!(
        Prefill::new(model.config(), options(), &[u32::MAX]),
        Err(Error::TokenOutOfRange { .. })
    ));
}
