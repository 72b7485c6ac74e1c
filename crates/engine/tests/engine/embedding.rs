//! Texts are embedded beside answers, and give way to them.

use engine::{EmbeddingRequest, Error, FinishReason, Prompt};
use model::Pooling;

use crate::harness::*;

fn embedding(tokens: Vec<u32>, pooling: Pooling) -> EmbeddingRequest {
    EmbeddingRequest {
        input: Prompt::Tokens(tokens),
        pooling: Some(pooling),
        normalize: true,
    }
}

/// The embedding that a fresh engine gives, doing nothing else and all at once.
fn embedded_alone(request: EmbeddingRequest) -> Vec<f32> {
    let mut options = roomy();
    options.max_batch_tokens = 256;
    let mut engine = engine(options);
    let id = engine.embed(request).unwrap();
    let mut answers = Answers::default();
    answers.run(&mut engine);
    answers.get(id).embedding.clone()
}

#[test]
fn long_texts_take_several_steps_and_give_the_same() {
    for pooling in [Pooling::Mean, Pooling::Cls, Pooling::Last] {
        let mut engine = engine(small());
        let request = embedding(tokens(1, 60), pooling);
        let id = engine.embed(request.clone()).unwrap();
        let mut answers = Answers::default();
        answers.run(&mut engine);
        let answer = answers.get(id);
        assert_eq!(answer.prefill, [(24, 60), (48, 60)]);
        assert_eq!(answer.reason, Some(FinishReason::Stop));
        assert_eq!(
            (answer.usage.prompt_tokens, answer.timings.prompt_n),
            (60, 60)
        );
        let length: f32 = answer.embedding.iter().map(|x| x * x).sum();
        assert!((length - 1.0).abs() < 1e-5, "{pooling:?}: {length}");
        assert_eq!(answer.embedding, embedded_alone(request), "{pooling:?}");
    }
}

#[test]
fn every_token_has_an_embedding_where_nothing_is_pooled() {
    let all = embedded_alone(embedding(tokens(2, 9), Pooling::None));
    let last = embedded_alone(embedding(tokens(2, 9), Pooling::Last));
    assert_eq!(all.len(), 9 * last.len());
    assert_eq!(all[8 * last.len()..], last);
}

#[test]
fn answers_and_embeddings_do_not_disturb_each_other() {
    let mut engine = engine(roomy());
    let generation = request(tokens(3, 40), 30);
    let text = embedding(tokens(4, 100), Pooling::Mean);
    let answer = engine.submit(generation.clone()).unwrap();
    let texts = [(); 3].map(|()| engine.embed(text.clone()).unwrap());
    let mut answers = Answers::default();
    answers.run(&mut engine);
    assert_eq!(answers.get(answer).ids, alone(&generation));
    let expected = embedded_alone(text);
    for id in texts {
        assert_eq!(answers.get(id).embedding, expected);
    }
    assert_eq!(engine.metrics().finished, 4);
}

#[test]
fn a_text_gives_way_to_answers_where_the_cache_is_full() {
    // The cache holds 256 tokens: neither has room beside the other when both are long.
    let mut engine = engine(small());
    let generation = request(tokens(5, 100), 120);
    let text = embedding(tokens(6, 200), Pooling::Last);
    let answer = engine.submit(generation.clone()).unwrap();
    let mut answers = Answers::default();
    answers.step(&mut engine);
    let id = engine.embed(text.clone()).unwrap();
    answers.run(&mut engine);
    assert_eq!(answers.get(answer).ids, alone(&generation));
    assert_eq!(answers.get(id).embedding, embedded_alone(text));
    engine.clear_prefix_cache();
    assert_eq!(engine.metrics().free_tokens, 256);
}

#[test]
fn a_cancelled_text_gives_its_place_back() {
    let mut engine = engine(small());
    let id = engine
        .embed(embedding(tokens(7, 100), Pooling::Mean))
        .unwrap();
    let next = engine
        .embed(embedding(tokens(8, 10), Pooling::Mean))
        .unwrap();
    let mut answers = Answers::default();
    answers.step(&mut engine);
    assert!(engine.cancel(id) && !engine.cancel(id));
    answers.run(&mut engine);
    assert_eq!(answers.get(id).reason, Some(FinishReason::Abort));
    assert_eq!(answers.get(next).reason, Some(FinishReason::Stop));
    assert_eq!(engine.metrics().free_tokens, 256);
}

#[test]
fn texts_that_can_not_be_embedded_are_refused() {
    let mut engine = engine(small());
    for (tokens, reason) in [
        (tokens(9, 257), "257 tokens"),
        (Vec::new(), "empty"),
        (vec![100_000], "100000"),
    ] {
        let error = engine.embed(embedding(tokens, Pooling::Mean)).unwrap_err();
        assert!(matches!(error, Error::InvalidRequest(_)), "{error:?}");
        assert!(error.to_string().contains(reason), "{error}");
    }
    let error = engine
        .embed(embedding(tokens(9, 5), Pooling::Rank))
        .unwrap_err();
    assert!(matches!(error, Error::Model(model::Error::NoRankingHead)));
    assert!(engine.is_idle());
}
