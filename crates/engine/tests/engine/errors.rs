//! What is refused, and that nothing else suffers from it.

use crate::harness::{
    alone, answer, answer_all, engine, engine_with_template, request, roomy, small, tokens,
    try_engine,
};
use chat::{Conversation, Message};
use engine::{Engine, EngineOptions, Error, Prompt, Request};
use sampler::Params;

fn refused(engine: &mut Engine, request: Request) -> Error {
    engine.submit(request).expect_err("it should be refused")
}

#[test]
fn a_prompt_longer_than_the_context_is_refused_with_both_numbers() {
    let mut engine = engine(small());
    let error = refused(&mut engine, request(tokens(0, 256), 1));
    assert!(matches!(
        error,
        Error::ContextOverflow {
            prompt_tokens: 256,
            context_length: 256
        }
    ));
    assert!(error.to_string().contains("256"));
    assert_eq!(answer(&mut engine, request(tokens(0, 255), 9)).ids.len(), 1);
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    let mut engine = engine(small());
    let good = || request(tokens(0, 5), 3);
    let cases = [
        ("empty", request(Vec::new(), 3)),
        ("token 9999", request(vec![9999], 3)),
        (
            "stop string",
            Request {
                stop: vec![String::new()],
                ..good()
            },
        ),
        (
            "top_p",
            Request {
                sampling: Params {
                    top_p: 2.0,
                    ..Params::default()
                },
                ..good()
            },
        ),
        (
            "logit_bias",
            Request {
                sampling: Params {
                    logit_bias: vec![(9999, 1.0)],
                    ..Params::default()
                },
                ..good()
            },
        ),
    ];
    for (word, bad) in cases {
        let message = refused(&mut engine, bad).to_string();
        assert!(message.contains(word), "{word}: {message}");
    }
    assert!(engine.is_idle());
    assert_eq!(answer(&mut engine, good()).ids, alone(&good()));
}

#[test]
fn a_request_that_fails_takes_nobody_with_it() {
    let mut engine = engine(roomy());
    let forbidden = (0..276).map(|id| (id, f32::NEG_INFINITY)).collect();
    let hopeless = Request {
        sampling: Params {
            logit_bias: forbidden,
            ..Params::default()
        },
        ..request(tokens(1, 30), 5)
    };
    let answers = answer_all(
        &mut engine,
        vec![
            request(tokens(0, 30), 8),
            hopeless,
            request(tokens(2, 30), 8),
        ],
    );
    assert!(matches!(
        answers[1].error,
        Some(Error::Sampling(sampler::Error::NoCandidates { .. }))
    ));
    for n in [0, 2] {
        assert_eq!(answers[n].ids, alone(&request(tokens(n, 30), 8)));
    }
}

#[test]
fn template_errors_are_the_requests_own() {
    let asked = || {
        let conversation = Conversation {
            messages: vec![Message::new("user", "hi")],
            ..Conversation::default()
        };
        Request {
            prompt: Prompt::Chat(conversation),
            ..request(Vec::new(), 3)
        }
    };
    let refusing = "{{ raise_exception('roles must alternate') }}";
    let mut engine = engine_with_template(small(), Some(refusing)).unwrap();
    let error = refused(&mut engine, asked());
    assert!(matches!(error, Error::Template(_)));
    assert!(error.to_string().contains("roles must alternate"));
    assert!(engine.is_idle());
    let mut engine = engine_with_template(small(), None).unwrap();
    assert!(matches!(refused(&mut engine, asked()), Error::NoTemplate));
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    let cases = [
        (
            "context_length is 1,",
            EngineOptions {
                context_length: 1,
                ..small()
            },
        ),
        ("context_length is 5000,", EngineOptions::with_context(5000)),
        (
            "cache_tokens",
            EngineOptions {
                cache_tokens: 100,
                ..small()
            },
        ),
        (
            "max_sequences",
            EngineOptions {
                max_sequences: 0,
                ..small()
            },
        ),
        (
            "max_batch_tokens",
            EngineOptions {
                max_batch_tokens: 8,
                ..small()
            },
        ),
    ];
    for (word, options) in cases {
        let message = try_engine(options).expect_err(word).to_string();
        assert!(message.contains(word), "{word}: {message}");
    }
}
