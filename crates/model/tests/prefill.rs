//! A prompt computed while the model arrives equals one that is computed afterwards.

mod common;

use std::sync::Arc;

use common::*;
use gguf::{Header, TensorInfo};
use kernels::Serial;
use kernels::kv::KvType;
use model::{
    Builder, Config, Context, ContextOptions, Error, Input, Model, Prefill, Prefilled, Rehearsal,
    Want,
};
use testkit::{Architecture, TinyModel};

const PROMPT: [u32; 7] = [5, 6, 7, 1, 2, 9, 4];
const NEXT: u32 = 3;
/// Tokens computed at a time: the prompt is two panels and a rest.
const PANEL: usize = 3;

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

/// Builds the model from tensors in the order of `places`, prefilling as far as each lets it; gives the panels that were computed
/// before the last tensor came, and the logits of the token after the prompt.
fn prefilled(file: &[u8], places: impl Iterator<Item = usize>) -> (usize, Vec<f32>) {
    let headers = [Header::parse(file).unwrap()];
    let mut builder = Builder::new(&headers).unwrap();
    let mut prefill = with_prompt(builder.config(), &PROMPT).unwrap();
    let mut early = 0;
    for place in places {
        write(&mut builder, file, &headers[0].tensors[place]);
        while !builder.missing().is_empty() && prefill.advance(&builder, &Serial).unwrap() {
            early += 1;
        }
    }
    let model = Arc::new(builder.finish().unwrap());
    let (mut context, sequences) = prefill.finish(model, Box::new(Serial)).unwrap();
    (early, next_rows(&mut context, &sequences).concat())
}

fn with_prompt(config: &Config, tokens: &[u32]) -> Result<Prefill, Error> {
    let mut prefill = Prefill::new(config, options(), PANEL)?;
    prefill.add(config, tokens.to_vec())?;
    Ok(prefill)
}

fn write(builder: &mut Builder, file: &[u8], tensor: &TensorInfo) {
    let bytes = &file[tensor.offset as usize..][..tensor.size as usize];
    builder.write(&tensor.name, bytes).unwrap();
}

/// The logits of [`NEXT`] after each sequence.
fn next_rows(context: &mut Context, sequences: &[Prefilled]) -> Vec<Vec<f32>> {
    let row = |(seq, tokens): &Prefilled| {
        assert_eq!(context.len(*seq).unwrap(), tokens.len());
        let input = Input {
            seq: *seq,
            tokens: &[NEXT],
            logits: Want::Last,
        };
        context.forward(&[input]).unwrap().row(0).to_vec()
    };
    sequences.iter().map(row).collect()
}

/// The logits of [`NEXT`] after a prompt that is computed as ever.
fn expected(model: &Arc<Model>, prompt: &[u32]) -> Vec<f32> {
    alone(model, &[prompt, &[NEXT]].concat()).pop().unwrap()
}

#[test]
fn a_prompt_goes_as_far_as_the_blocks_and_its_values_are_the_same() {
    let file = file();
    let model = Arc::new(build(&file, usize::MAX).unwrap());
    let expected = expected(&model, &PROMPT);
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
        let prefill = with_prompt(model.config(), &PROMPT).unwrap();
        let (mut context, sequences) = prefill
            .finish(Arc::clone(&model), Box::new(Serial))
            .unwrap();
        let rows = next_rows(&mut context, &sequences);
        assert_same_bits(&rows[0], &expected(&model, &PROMPT));
    }
}

#[test]
fn a_prompt_that_outgrows_a_window_is_the_same_in_panels() {
    let model = fixture("gemma3-f16");
    let prompt = tokens(&model, 1, 5 * PAGE + 7);
    let options = ContextOptions {
        capacity: 8 * PAGE,
        ..options()
    };
    for panel in [PANEL, PAGE, 1000] {
        let mut prefill = Prefill::new(model.config(), options.clone(), panel).unwrap();
        prefill.add(model.config(), prompt.clone()).unwrap();
        let (mut context, sequences) = prefill
            .finish(Arc::clone(&model), Box::new(Serial))
            .unwrap();
        let rows = next_rows(&mut context, &sequences);
        assert_same_bits(&rows[0], &expected(&model, &prompt));
    }
}

#[test]
fn a_second_prompt_follows_the_first_and_may_come_late() {
    let file = file();
    let headers = [Header::parse(&file).unwrap()];
    let mut builder = Builder::new(&headers).unwrap();
    let mut prefill = with_prompt(builder.config(), &PROMPT).unwrap();
    let second = [9_u32, 8, 7, 6];
    for tensor in &headers[0].tensors {
        write(&mut builder, &file, tensor);
        while prefill.advance(&builder, &Serial).unwrap() {}
        if prefill.prompts().count() == 1 && builder.missing().len() == 2 {
            prefill.add(builder.config(), second.to_vec()).unwrap();
        }
    }
    let model = Arc::new(builder.finish().unwrap());
    let (mut context, sequences) = prefill
        .finish(Arc::clone(&model), Box::new(Serial))
        .unwrap();
    let rows = next_rows(&mut context, &sequences);
    assert_eq!(rows.len(), 2);
    assert_same_bits(&rows[0], &expected(&model, &PROMPT));
    assert_same_bits(&rows[1], &expected(&model, &second));
}

#[test]
fn a_second_prompt_that_is_hardly_begun_does_not_hold_up_the_first() {
    let model = tiny(Architecture::Qwen3);
    let mut prefill = with_prompt(model.config(), &PROMPT).unwrap();
    let free = prefill.free_tokens();
    prefill.add(model.config(), vec![1; PAGE]).unwrap();
    assert_eq!(prefill.free_tokens(), free - PAGE);
    let (context, sequences) = prefill.finish(model, Box::new(Serial)).unwrap();
    assert_eq!(sequences.len(), 1);
    assert_eq!(sequences[0].1, PROMPT);
    assert_eq!(context.free_tokens(), free, "its pages are free again");
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
        write(&mut builder, &file, tensor);
    }
    for rehearsal in &mut rehearsals {
        for block in (0..blocks).chain(0..blocks) {
            assert!(rehearsal.run(&builder, block, &Serial));
        }
        assert!(!rehearsal.run(&builder, blocks, &Serial));
    }
    let model = builder.finish().unwrap();
    let unused = Rehearsal::new(model.config(), KvType::F16, 1).unwrap();
    for rehearsal in rehearsals.iter_mut().chain(&mut [unused]) {
        assert!(rehearsal.run_in(&model, blocks - 1, &Serial));
        assert!(!rehearsal.run_in(&model, blocks, &Serial));
    }
}

#[test]
fn a_prompt_that_does_not_fit_is_refused() {
    let model = tiny(Architecture::Llama);
    let refused = |tokens: &[u32]| with_prompt(model.config(), tokens).unwrap_err();
    assert!(matches!(refused(&[1; 65]), Error::CacheFull { .. }));
    assert!(matches!(
        refused(&[u32::MAX]),
        Error::TokenOutOfRange { .. }
    ));
    assert!(matches!(refused(&[]), Error::EmptyInput));
}
