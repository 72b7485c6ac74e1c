//! Prompts that were computed while the model arrived.

use crate::harness::{alone, answer, engine_with_early_prompts, request, roomy, tokenizer, tokens};
use chat::{Conversation, Message};
use engine::{EarlyPrompts, Engine, EngineOptions, Error, Prompt, Request};

/// Room for the states of any prompt here.
const ROOM: u64 = 1 << 20;

fn engine_with_early_prompt(prompt: &Prompt, options: EngineOptions) -> Engine {
    engine_with_early_prompts(std::slice::from_ref(prompt), options, ROOM)
}

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
fn several_prompts_are_there_and_longer_than_a_batch() {
    let options = EngineOptions {
        max_batch_tokens: 16,
        ..roomy()
    };
    let asked = [request(tokens(3, 60), 10), request(tokens(4, 41), 10)];
    let prompts = asked.clone().map(|request| request.prompt);
    let mut engine = engine_with_early_prompts(&prompts, options, ROOM);
    for (asked, cached) in asked.into_iter().zip([59, 40]) {
        let expected = alone(&asked);
        let answer = answer(&mut engine, asked);
        assert_eq!((answer.usage.cached_tokens, answer.ids), (cached, expected));
    }
}

#[test]
fn what_there_is_no_room_for_is_computed_when_it_is_asked_for() {
    let asked = request(tokens(3, 60), 10);
    let width = engine_with_early_prompts(&[], roomy(), 0)
        .model()
        .config()
        .embedding_length;
    let bytes = (20 * width * size_of::<f32>()) as u64;
    let prompts = [asked.prompt.clone(), Prompt::Tokens(tokens(4, 30))];
    let mut engine = engine_with_early_prompts(&prompts, roomy(), bytes);
    assert_eq!(engine.metrics().prefix_entries, 1);
    let expected = alone(&asked);
    let answer = answer(&mut engine, asked);
    assert_eq!((answer.usage.cached_tokens, answer.ids), (20, expected));
}

#[test]
fn a_prompt_that_is_there_is_not_computed_twice() {
    let prompts = [tokens(3, 60), tokens(3, 60), tokens(3, 50)].map(Prompt::Tokens);
    let engine = engine_with_early_prompts(&prompts, roomy(), ROOM);
    assert_eq!(engine.metrics().prefix_entries, 1);
}

#[test]
fn what_could_not_be_answered_is_refused_and_one_token_is_nothing_to_compute() {
    let config = engine_with_early_prompts(&[], roomy(), 0)
        .model()
        .config()
        .clone();
    let mut early = EarlyPrompts::new(&config, &roomy(), ROOM).unwrap();
    let mut add = |count| {
        let prompt = Prompt::Tokens(tokens(1, count));
        early.add(&prompt, tokenizer(), None, &config)
    };
    assert!(matches!(add(256), Err(Error::ContextOverflow { .. })));
    add(1).unwrap();
    add(0).unwrap();
    assert!(early.is_empty());
}
