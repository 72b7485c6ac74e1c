//! Requests may be given up at any time.

use crate::harness::{Answers, alone, engine, request, roomy, small, tokens};
use engine::{EngineOptions, FinishReason, RequestId};

#[test]
fn cancelling_frees_all_pages_in_every_phase() {
    // In line; in the prompt; after some tokens.
    for steps in [0, 1, 2, 4, 9] {
        let mut engine = engine(roomy());
        let free = engine.metrics().free_tokens;
        let mut answers = Answers::default();
        let id = engine.submit(request(tokens(0, 60), 100)).unwrap();
        for _ in 0..steps {
            answers.step(&mut engine);
        }
        assert!(engine.cancel(id));
        assert!(!engine.cancel(id), "it has ended already");
        assert!(!engine.is_idle(), "the end is still to be told");
        answers.run(&mut engine);
        let answer = answers.get(id);
        assert_eq!(answer.reason, Some(FinishReason::Abort));
        assert_eq!(answer.usage.completion_tokens, answer.ids.len());
        assert_eq!(
            answer.timings.prompt_n,
            (steps * 24).min(60),
            "after {steps} steps"
        );
        engine.clear_prefix_cache();
        assert_eq!(engine.metrics().free_tokens, free, "after {steps} steps");
    }
}

#[test]
fn without_a_prefix_cache_pages_are_free_at_once() {
    let mut engine = engine(EngineOptions {
        prefix_entries: 0,
        ..roomy()
    });
    let free = engine.metrics().free_tokens;
    let id = engine.submit(request(tokens(0, 60), 100)).unwrap();
    for _ in 0..5 {
        engine.step();
    }
    assert!(engine.metrics().free_tokens < free);
    engine.cancel(id);
    assert_eq!(engine.metrics().free_tokens, free);
}

#[test]
fn others_go_on_undisturbed() {
    let mut engine = engine(roomy());
    let mut answers = Answers::default();
    let ids: Vec<_> = (0..3)
        .map(|n| engine.submit(request(tokens(n, 30), 20)).unwrap())
        .collect();
    for _ in 0..8 {
        answers.step(&mut engine);
    }
    assert!(engine.cancel(ids[1]));
    answers.run(&mut engine);
    assert_eq!(answers.get(ids[1]).reason, Some(FinishReason::Abort));
    for n in [0, 2] {
        assert_eq!(answers.get(ids[n]).ids, alone(&request(tokens(n, 30), 20)));
    }
}

#[test]
fn a_cancelled_answer_can_be_taken_up_again() {
    let mut engine = engine(small());
    let mut answers = Answers::default();
    let id = engine.submit(request(tokens(0, 40), 20)).unwrap();
    while answers.tokens_of(id) < 5 {
        answers.step(&mut engine);
    }
    engine.cancel(id);
    let again = engine.submit(request(tokens(0, 40), 20)).unwrap();
    answers.run(&mut engine);
    assert_eq!(answers.get(again).ids, alone(&request(tokens(0, 40), 20)));
    assert_eq!(answers.get(again).usage.cached_tokens, 39);
}

#[test]
fn an_unknown_request_can_not_be_cancelled() {
    assert!(!engine(small()).cancel(RequestId::from(7)));
}
