//! What was computed once is not computed again.

use crate::harness::{alone, answer, answer_all, engine, request, roomy, tokens};
use chat::{Conversation, Message};
use engine::{EngineOptions, Prompt, Request};

#[test]
fn the_next_turn_only_computes_what_is_new() {
    let mut engine = engine(roomy());
    let first = answer(&mut engine, request(tokens(0, 50), 10));
    // The last token of an answer is never computed, so the cache holds all but that.
    let mut next = tokens(0, 50);
    next.extend(&first.ids);
    next.extend(tokens(5, 12));
    let second = answer(&mut engine, request(next.clone(), 10));
    assert_eq!(second.usage.cached_tokens, 59);
    assert_eq!(second.usage.prompt_tokens, 72);
    assert_eq!(second.timings.prompt_n, 13);
    assert_eq!(second.prefill, [(72, 72)]);
    assert_eq!(second.ids, alone(&request(next, 10)));
}

#[test]
fn a_conversation_shares_its_beginning() {
    let mut engine = engine(roomy());
    let mut messages = vec![Message::new("user", "hello there and an hour in the rain")];
    let mut cached = 0;
    for turn in 0..3 {
        let conversation = Conversation {
            messages: messages.clone(),
            add_generation_prompt: true,
            ..Conversation::default()
        };
        let asked = Request {
            prompt: Prompt::Chat(conversation),
            ..request(Vec::new(), 6)
        };
        let expected = alone(&asked);
        let answer = answer(&mut engine, asked);
        assert_eq!(answer.ids, expected);
        assert!(
            turn == 0 || answer.usage.cached_tokens > cached,
            "turn {turn}: {:?}",
            answer.usage
        );
        cached = answer.usage.cached_tokens;
        messages.push(Message::new("assistant", "in the"));
        messages.push(Message::new("user", "and then?"));
    }
}

#[test]
fn the_same_prompt_again_computes_one_token() {
    let mut engine = engine(roomy());
    let first = answer(&mut engine, request(tokens(0, 50), 10));
    let second = answer(&mut engine, request(tokens(0, 50), 10));
    assert_eq!(second.usage.cached_tokens, 49);
    assert_eq!(second.ids, first.ids);
    assert_eq!(engine.metrics().cache_hits, 1);
}

#[test]
fn several_answers_to_one_prompt_compute_it_once() {
    let mut engine = engine(roomy());
    let sampled = |seed| Request {
        sampling: sampler::Params {
            seed,
            temperature: 1.5,
            ..sampler::Params::default()
        },
        ..request(tokens(0, 100), 8)
    };
    let answers = answer_all(&mut engine, (0..4).map(sampled).collect());
    for (seed, answer) in (0..4).zip(&answers) {
        assert_eq!(answer.ids, alone(&sampled(seed)));
        assert_eq!(answer.usage.cached_tokens, if seed == 0 { 0 } else { 99 });
    }
    assert_eq!(engine.metrics().prompt_tokens, 100 + 3);
}

#[test]
fn a_shared_beginning_is_waited_for_but_a_different_prompt_is_not() {
    let mut engine = engine(roomy());
    let branch = |n| [tokens(0, 90), tokens(n, 10)].concat();
    let answers = answer_all(
        &mut engine,
        vec![
            request(branch(1), 5),
            request(branch(2), 5),
            request(tokens(9, 4), 5),
        ],
    );
    assert_eq!(answers[1].usage.cached_tokens, 90);
    assert_eq!(answers[0].ids, alone(&request(branch(1), 5)));
    assert_eq!(answers[1].ids, alone(&request(branch(2), 5)));
    assert_eq!(answers[2].ids, alone(&request(tokens(9, 4), 5)));
}

#[test]
fn without_entries_nothing_is_kept() {
    let mut engine = engine(EngineOptions {
        prefix_entries: 0,
        ..roomy()
    });
    for _ in 0..2 {
        assert_eq!(
            answer(&mut engine, request(tokens(0, 50), 2))
                .usage
                .cached_tokens,
            0
        );
    }
    assert_eq!(engine.metrics().prefix_entries, 0);
}
