//! Several requests at a time give what each gives alone.

use crate::harness::{Answers, alone, answer, answer_all, engine, request, roomy, small, tokens};
use engine::{EngineOptions, FinishReason, Request};
use sampler::Params;

fn requests() -> Vec<Request> {
    let lengths = [3, 70, 1, 33, 24, 100, 12];
    let requests = lengths
        .iter()
        .enumerate()
        .map(|(n, &len)| request(tokens(n, len), 10 + n as u32));
    requests.collect()
}

#[test]
fn parallel_requests_equal_serial_ones() {
    let expected: Vec<_> = requests().iter().map(alone).collect();
    for max_sequences in [1, 3, 8] {
        let mut engine = engine(EngineOptions {
            max_sequences,
            ..roomy()
        });
        let answers = answer_all(&mut engine, requests());
        for (answer, expected) in answers.iter().zip(&expected) {
            assert_eq!(&answer.ids, expected);
            assert_eq!(answer.reason, Some(FinishReason::Length));
        }
    }
}

#[test]
fn seeded_sampling_does_not_depend_on_the_batch() {
    let sampled = |seed| Request {
        sampling: Params {
            seed,
            temperature: 1.5,
            repeat_penalty: 1.1,
            ..Params::default()
        },
        ..request(tokens(1, 20), 12)
    };
    let expected: Vec<_> = (0..4).map(|seed| alone(&sampled(seed))).collect();
    assert_ne!(expected[0], expected[1]);
    let answers = answer_all(&mut engine(roomy()), (0..4).map(sampled).collect());
    assert_eq!(
        answers
            .into_iter()
            .map(|answer| answer.ids)
            .collect::<Vec<_>>(),
        expected
    );
}

#[test]
fn a_long_prompt_does_not_hold_up_an_answer() {
    let mut engine = engine(roomy());
    let mut answers = Answers::default();
    let quick = engine.submit(request(tokens(0, 2), 50)).unwrap();
    answers.step(&mut engine);
    assert_eq!(answers.tokens_of(quick), 1);
    let slow = engine.submit(request(tokens(1, 200), 1)).unwrap();
    for produced in 2..8 {
        answers.step(&mut engine);
        assert_eq!(answers.tokens_of(quick), produced);
        assert_eq!(answers.tokens_of(slow), 0);
    }
    answers.run(&mut engine);
    assert_eq!(answers.get(slow).ids, alone(&request(tokens(1, 200), 1)));
}

#[test]
fn prompts_take_turns() {
    let mut engine = engine(roomy());
    let ids: Vec<_> = (0..3)
        .map(|n| engine.submit(request(tokens(n, 48), 1)).unwrap())
        .collect();
    let mut order = Vec::new();
    while !engine.is_idle() {
        let events = engine.step();
        order.extend(
            events
                .iter()
                .filter(|event| matches!(event, engine::Event::Prefill { .. }))
                .map(|event| event.id()),
        );
    }
    assert_eq!(order[..6], [ids[0], ids[1], ids[2], ids[0], ids[1], ids[2]]);
}

#[test]
fn prefill_is_reported_chunk_by_chunk() {
    let answer = answer(&mut engine(small()), request(tokens(0, 60), 1));
    assert_eq!(answer.prefill, [(24, 60), (48, 60), (60, 60)]);
}

#[test]
fn usage_and_timings_are_counted() {
    let mut engine = engine(small());
    let answer = answer(&mut engine, request(tokens(0, 60), 5));
    assert_eq!(
        (answer.usage.prompt_tokens, answer.usage.completion_tokens),
        (60, 5)
    );
    assert_eq!(answer.usage.cached_tokens, 0);
    let timings = answer.timings;
    assert_eq!(
        (timings.prompt_n, timings.predicted_n, timings.cache_n),
        (60, 5, 0)
    );
    assert!(timings.prompt_ms > 0.0 && timings.predicted_ms > 0.0);
    assert_eq!(timings.prompt_per_second, 60.0 * 1000.0 / timings.prompt_ms);
    assert_eq!(
        timings.predicted_per_second,
        4.0 * 1000.0 / timings.predicted_ms
    );
    let metrics = engine.metrics();
    assert_eq!(
        (
            metrics.steps,
            metrics.prompt_tokens,
            metrics.generated_tokens
        ),
        (7, 60, 5)
    );
    assert_eq!(
        (metrics.finished, metrics.running, metrics.waiting),
        (1, 0, 0)
    );
}

#[test]
fn logprobs_come_with_every_token() {
    let asked = Request {
        logprobs: Some(3),
        ..request(tokens(0, 9), 6)
    };
    let answer = answer(&mut engine(small()), asked);
    assert_eq!(answer.logprobs.len(), 6);
    for (logprobs, &id) in answer.logprobs.iter().zip(&answer.ids) {
        assert_eq!(logprobs.top.len(), 3);
        assert_eq!(logprobs.chosen.token, id);
        assert_eq!(
            logprobs.top[0], logprobs.chosen,
            "greedy takes the most likely token"
        );
        assert!(
            logprobs.top[0].logprob <= 0.0 && logprobs.top[0].logprob >= logprobs.top[1].logprob
        );
    }
}
