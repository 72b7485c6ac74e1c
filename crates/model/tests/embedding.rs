//! Embeddings depend on the text only, and what can't be embedded is refused.

mod common;

use std::sync::Arc;

use common::*;
use kernels::kv::KvType;
use model::{Context, ContextOptions, Embedding, Error, Input, Model, Pooling, Want};

/// Golden models whose tokens see the whole text.
const ENCODERS: [&str; 2] = ["bert-mean-q4_0", "nomic-bert-cls-q8_0"];

fn embed(context: &mut Context, tokens: &[u32], pooling: Option<Pooling>, most: usize) -> Vec<f32> {
    let mut embedding = Embedding::new(context, tokens.to_vec(), pooling).unwrap();
    assert_eq!(embedding.tokens(), tokens.len());
    loop {
        if let Some(pooled) = embedding.advance(context, most).unwrap() {
            return pooled;
        }
    }
}

fn encoder(name: &str, kv: KvType) -> (Arc<Model>, Context) {
    let model = fixture(name);
    let options = ContextOptions {
        kv,
        ..ContextOptions::default()
    };
    let context = context_with(&model, options);
    (model, context)
}

#[test]
fn parts_of_any_length_give_the_same() {
    let model = fixture("qwen3-last-f32");
    let prompt = tokens(&model, 1, 70);
    for pooling in [Pooling::None, Pooling::Mean, Pooling::Cls, Pooling::Last] {
        let mut context = context(&model, 128);
        let expected = embed(&mut context, &prompt, Some(pooling), 1000);
        for most in [1, 7, 32, 69] {
            let parts = embed(&mut context, &prompt, Some(pooling), most);
            assert_same_bits(&parts, &expected);
        }
        assert_eq!(context.free_tokens(), 128);
    }
}

#[test]
fn poolings_are_made_of_the_tokens_states() {
    for name in ENCODERS {
        let (model, mut context) = encoder(name, KvType::F32);
        let prompt = tokens(&model, 2, 40);
        let mut of = |pooling| embed(&mut context, &prompt, Some(pooling), 16);
        let states = of(Pooling::None);
        let width = model.config().embedding_length;
        assert_same_bits(&of(Pooling::Cls), &states[..width]);
        assert_same_bits(&of(Pooling::Last), &states[39 * width..]);
        let mean: Vec<f32> = (0..width)
            .map(|i| states[i..].iter().step_by(width).sum::<f32>() / 40.0)
            .collect();
        testkit::assert_close(&of(Pooling::Mean), &mean, 1e-6);
    }
}

#[test]
fn tokens_see_those_after_them_and_the_cache_rounds_nothing() {
    for name in ENCODERS {
        let (model, mut context) = encoder(name, KvType::Q8_0);
        let mut prompt = tokens(&model, 3, 50);
        let before = embed(&mut context, &prompt, Some(Pooling::Cls), 8);
        assert_same_bits(
            &before,
            &embed(
                &mut encoder(name, KvType::F32).1,
                &prompt,
                Some(Pooling::Cls),
                50,
            ),
        );
        prompt[49] ^= 1;
        let after = embed(&mut context, &prompt, Some(Pooling::Cls), 8);
        assert!(testkit::max_abs_diff(&before, &after) > 1e-4);
    }
}

#[test]
fn models_for_embeddings_have_no_logits() {
    let (model, mut context) = encoder("bert-mean-q4_0", KvType::F32);
    assert!(!model.config().generates());
    let input = Input {
        seq: context.create(),
        tokens: &[1],
        logits: Want::Last,
    };
    assert!(matches!(context.forward(&[input]), Err(Error::NoLogits)));
}

#[test]
fn what_can_not_be_embedded_is_refused() {
    let (model, mut context) = encoder("bert-mean-q4_0", KvType::F32);
    let longest = model.config().context_length;
    let mut error = |tokens: Vec<u32>, pooling| {
        let pooling = Some(pooling);
        Embedding::new(&mut context, tokens, pooling)
            .unwrap_err()
            .to_string()
    };
    assert!(error(Vec::new(), Pooling::Mean).contains("without tokens"));
    assert!(error(vec![1; longest + 1], Pooling::Mean).contains("705 tokens"));
    assert!(error(vec![1], Pooling::Rank).contains("ranking head"));
    let mut embedding = Embedding::new(&mut context, vec![1, 9999], None).unwrap();
    let outcome = embedding.advance(&mut context, 8);
    assert!(matches!(
        outcome,
        Err(Error::TokenOutOfRange { token: 9999, .. })
    ));
    embedding.abandon(&mut context);
    assert_eq!(context.free_tokens(), ContextOptions::default().capacity);
}

#[test]
fn a_text_that_found_no_room_can_be_tried_again() {
    let model = fixture("qwen3-last-f32");
    let mut context = context(&model, 128);
    let prompt = tokens(&model, 4, 100);
    let other = context.create();
    append(&mut context, other, &prompt[..60]).unwrap();
    let mut embedding = Embedding::new(&mut context, prompt.clone(), None).unwrap();
    assert_eq!(embedding.advance(&mut context, 50).unwrap(), None);
    assert!(matches!(
        embedding.advance(&mut context, 50),
        Err(Error::CacheFull { .. })
    ));
    assert_eq!(embedding.done(), 50);
    context.release(other);
    let pooled = embedding.advance(&mut context, 50).unwrap().unwrap();
    assert_same_bits(&pooled, &embed(&mut context, &prompt, None, 100));
}
