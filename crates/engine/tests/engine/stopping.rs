//! Everything that ends an answer.

use crate::harness::{answer, engine, request, roomy, small, tokenizer, tokens};
use engine::{FinishReason, Prompt, Request};
use sampler::Params;
use testkit::{END_OF_TURN, vocabulary};

/// A request whose sampling strongly prefers one token.
fn preferring(token: u32, ignore_eos: bool) -> Request {
    let sampling = Params {
        logit_bias: vec![(token, 1e4)],
        ..Params::greedy()
    };
    Request {
        sampling,
        ignore_eos,
        ..request(tokens(0, 5), 8)
    }
}

#[test]
fn the_model_may_end_its_answer() {
    let end = vocabulary().id(END_OF_TURN);
    let answer = answer(&mut engine(small()), preferring(end, false));
    assert_eq!(answer.reason, Some(FinishReason::Stop));
    assert_eq!(
        (answer.ids.as_slice(), answer.text().as_str()),
        (&[][..], "")
    );
    assert_eq!(
        answer.usage.completion_tokens, 1,
        "the end token counts, as in llama-server"
    );
}

#[test]
fn the_model_may_be_kept_from_ending() {
    let end = vocabulary().id(END_OF_TURN);
    let answer = answer(&mut engine(small()), preferring(end, true));
    assert_eq!(answer.reason, Some(FinishReason::Length));
    assert_eq!(answer.ids.len(), 8);
    assert!(
        !answer
            .ids
            .iter()
            .any(|&id| tokenizer().is_end_of_generation(id))
    );
}

#[test]
fn a_token_limit_ends_an_answer() {
    let answer = answer(&mut engine(small()), request(tokens(0, 5), 3));
    assert_eq!(
        (answer.ids.len(), answer.reason),
        (3, Some(FinishReason::Length))
    );
}

#[test]
fn a_limit_of_zero_computes_the_prompt_only() {
    let mut engine = engine(roomy());
    let warmed = answer(&mut engine, request(tokens(0, 40), 0));
    assert_eq!(
        (warmed.ids.len(), warmed.reason),
        (0, Some(FinishReason::Length))
    );
    assert_eq!(warmed.prefill.last(), Some(&(40, 40)));
    let next = answer(&mut engine, request(tokens(0, 50), 1));
    assert_eq!(next.usage.cached_tokens, 40);
}

#[test]
fn a_full_context_ends_an_answer() {
    let mut engine = engine(small());
    let unlimited = Request {
        max_tokens: None,
        ..request(tokens(0, 250), 0)
    };
    let answer = answer(&mut engine, unlimited);
    assert_eq!(answer.reason, Some(FinishReason::Length));
    assert_eq!(
        answer.ids.len(),
        6,
        "prompt and answer fill the context of 256 tokens"
    );
}

#[test]
fn stop_strings_end_an_answer_wherever_they_are_cut() {
    let plain = answer(&mut engine(small()), request(tokens(3, 7), 30));
    let text = plain.text();
    let starts: Vec<_> = text.char_indices().map(|(at, _)| at).collect();
    assert!(starts.len() > 12, "{text:?} is too short to cut");
    for at in [0, 1, 5, starts.len() - 4] {
        for length in 1..4 {
            let stop = &text[starts[at]..starts[at + length]];
            let asked = Request {
                stop: vec!["never".into(), stop.into()],
                ..request(tokens(3, 7), 30)
            };
            let stopped = answer(&mut engine(small()), asked);
            assert_eq!(
                stopped.reason,
                Some(FinishReason::Stop),
                "{stop:?} in {text:?}"
            );
            assert_eq!(
                stopped.text(),
                text[..text.find(stop).unwrap()],
                "{stop:?} in {text:?}"
            );
            assert!(stopped.ids.len() <= plain.ids.len());
        }
    }
}

#[test]
fn a_stop_string_that_stays_incomplete_is_shown() {
    let plain = answer(&mut engine(small()), request(tokens(3, 7), 12)).text();
    let last = plain.chars().last().unwrap();
    let asked = Request {
        stop: vec![format!("{last}\u{10ffff}")],
        ..request(tokens(3, 7), 12)
    };
    let answer = answer(&mut engine(small()), asked);
    assert_eq!(
        (answer.text(), answer.reason),
        (plain, Some(FinishReason::Length))
    );
}

#[test]
fn control_tokens_are_silent_unless_asked_for() {
    let start = vocabulary().id(testkit::START_OF_TURN);
    let shown = |special| {
        let asked = Request {
            special,
            max_tokens: Some(1),
            ..preferring(start, true)
        };
        answer(&mut engine(small()), asked).text()
    };
    assert_eq!(shown(false), "");
    assert_eq!(shown(true), testkit::START_OF_TURN);
}

#[test]
fn text_of_events_is_the_text_of_the_tokens() {
    for prompt in [
        Prompt::Text("hello there, <|im_start|>and".into()),
        Prompt::Tokens(tokens(9, 9)),
    ] {
        let asked = Request {
            prompt,
            ..request(Vec::new(), 40)
        };
        let answer = answer(&mut engine(small()), asked);
        let decoded = tokenizer().decode(&answer.ids, tokenizer::DecodeOptions { special: false });
        let shown = answer.text();
        // What the limit cut off within a character is not shown at all.
        assert!(decoded.starts_with(&shown), "{shown:?} of {decoded:?}");
        assert!(
            decoded[shown.len()..]
                .chars()
                .all(|c| c == char::REPLACEMENT_CHARACTER)
        );
    }
}
