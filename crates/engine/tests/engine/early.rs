//! A prompt that was computed while the model arrived.

use crate::harness::{alone, answer, engine_with_early_prompt, request, roomy, tokenizer, tokens};
use chat::{Conversation, Message};
use engine::{EarlyPrompt, EngineOptions, Error, Prompt, Request};

#[test]
fn one_token_is_left_to_compute_and_the_answer_is_the_same() {
    let asked = request(tokens(3, 60), 10);
    let mut engine = engine_with_early_prompt(&asked.prompt, roomy());
    let expected = alone(&asked);
    let answer = answer(&mut engine, asked);
    assert_eq!(answer.usage.cached_tokens, 59);
    assert_eq!(answer.ids, expected);
}

#[test]
fn a_conversation_is_rendered_as_it_will_be() {
    let conversation = Conversation {
        messages: vec![Message::new("user", "hello there and an hour in the rain")],
        add_generation_prompt: true,
        ..Conversation::default()
    };
    let asked = Request {
        prompt: Prompt::Chat(conversation),
        ..request(Vec::new(), 6)
    };
    let mut engine = engine_with_early_prompt(&asked.prompt, roomy());
    let expected = alone(&asked);
    let answer = answer(&mut engine, asked);
    assert_eq!(answer.usage.cached_tokens, answer.usage.prompt_tokens - 1);
    assert_eq!(answer.ids, expected);
}

#[test]
fn another_request_is_answered_as_ever() {
    let mut engine = engine_with_early_prompt(&Prompt::Tokens(tokens(3, 60)), roomy());
    let asked = request(tokens(4, 20), 10);
    let expected = alone(&asked);
    assert_eq!(answer(&mut engine, asked).ids, expected);
}

#[test]
fn an_engine_that_keeps_nothing_lets_the_prompt_go() {
    let options = EngineOptions {
        prefix_entries: 0,
        ..roomy()
    };
    let asked = request(tokens(3, 60), 10);
    let mut engine = engine_with_early_prompt(&asked.prompt, options);
    let expected = alone(&asked);
    let answer = answer(&mut engine, asked);
    assert_eq!((answer.usage.cached_tokens, answer.ids), (0, expected));
}

#[test]
fn what_could_not_be_answered_is_refused_and_one_token_is_nothing_to_compute() {
    let config = engine_with_early_prompt(&Prompt::Tokens(tokens(3, 60)), roomy())
        .model()
        .config()
        .clone();
    let early = |count| {
        let prompt = Prompt::Tokens(tokens(1, count));
        EarlyPrompt::new(&prompt, tokenizer(), None, &config, &roomy())
    };
    assert!(matches!(early(256), Err(Error::ContextOverflow { .. })));
    assert!(early(1).unwrap().is_none());
    assert!(early(0).unwrap().is_none());
}
