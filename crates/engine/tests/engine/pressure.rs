//! More work than room.

use crate::harness::{Answers, alone, answer, answer_all, engine, request, small, tokens};
use engine::{EngineOptions, FinishReason};

#[test]
fn requests_wait_for_room_and_all_are_answered() {
    // Room for one context only, and requests of which two at most fit.
    let mut engine = engine(small());
    let requests: Vec<_> = (0..10).map(|n| request(tokens(n, 90), 6)).collect();
    let expected: Vec<_> = requests.iter().map(alone).collect();
    let mut answers = Answers::default();
    let ids: Vec<_> = requests
        .into_iter()
        .map(|request| engine.submit(request).unwrap())
        .collect();
    answers.step(&mut engine);
    let metrics = engine.metrics();
    assert_eq!(metrics.running + metrics.waiting, 10);
    assert!(metrics.waiting >= 8, "{metrics:?}");
    answers.run(&mut engine);
    for (id, expected) in ids.iter().zip(&expected) {
        assert_eq!(&answers.get(*id).ids, expected);
    }
    assert!(engine.metrics().evictions > 0);
}

#[test]
fn answers_that_outgrow_the_cache_are_computed_again_and_stay_the_same() {
    let mut engine = engine(small());
    let requests: Vec<_> = (0..5).map(|n| request(tokens(n, 20), 150)).collect();
    let expected: Vec<_> = requests.iter().map(alone).collect();
    let answers = answer_all(&mut engine, requests);
    for (answer, expected) in answers.iter().zip(&expected) {
        assert_eq!(&answer.ids, expected);
        assert_eq!(answer.usage.completion_tokens, 150);
        assert_eq!(
            answer.timings.prompt_n, 20,
            "computing again is not the prompt's cost"
        );
    }
    assert!(engine.metrics().preemptions > 0);
}

#[test]
fn kept_prefixes_give_way() {
    let mut engine = engine(small());
    for n in 0..8 {
        let answer = answer(&mut engine, request(tokens(n, 200), 40));
        assert_eq!(answer.reason, Some(FinishReason::Length));
    }
    assert!(engine.metrics().evictions >= 7);
}

#[test]
fn a_kept_prefix_that_fills_the_cache_can_still_be_continued() {
    let mut engine = engine(small());
    let first = answer(&mut engine, request(tokens(0, 245), 5));
    let mut next = tokens(0, 245);
    next.extend(&first.ids);
    let second = answer(&mut engine, request(next.clone(), 6));
    assert_eq!(second.usage.cached_tokens, 249);
    assert_eq!(second.ids, alone(&request(next, 6)));
    // Going back to an earlier point needs a copy of a page while the cache is full.
    let back = [tokens(0, 230), tokens(7, 20)].concat();
    let third = answer(&mut engine, request(back.clone(), 6));
    assert_eq!(third.ids, alone(&request(back, 6)));
}

#[test]
fn one_at_a_time_is_enough() {
    let mut engine = engine(EngineOptions {
        max_sequences: 1,
        max_batch_tokens: 2,
        ..small()
    });
    let requests: Vec<_> = (0..3).map(|n| request(tokens(n, 20), 5)).collect();
    let expected: Vec<_> = requests.iter().map(alone).collect();
    let answers = answer_all(&mut engine, requests);
    assert_eq!(
        answers
            .into_iter()
            .map(|answer| answer.ids)
            .collect::<Vec<_>>(),
        expected
    );
}
