//! A model with a sliding window takes a beginning up again where it still has what its next token sees, and computes it anew
//! where it has not.

use crate::harness::{alone_windowed, answer, answer_all, request, roomy, tokens, windowed_engine};
use engine::EngineOptions;

#[test]
fn the_next_turn_goes_on_after_the_last() {
    let mut engine = windowed_engine(roomy());
    let mut text = tokens(0, 100);
    for turn in 0..3 {
        let next = request(text.clone(), 20);
        let answer = answer(&mut engine, next.clone());
        assert_eq!(answer.ids, alone_windowed(&next));
        // What the last turn computed: all but the last token of its answer, and not the four that are new.
        let known = if turn == 0 { 0 } else { text.len() - 5 };
        assert_eq!(answer.usage.cached_tokens, known);
        text.extend(&answer.ids);
        text.extend(tokens(turn + 1, 4));
    }
}

#[test]
fn a_beginning_that_has_left_the_window_is_computed_anew() {
    let mut engine = windowed_engine(roomy());
    let again = request(tokens(0, 60), 150);
    let expected = alone_windowed(&again);
    for _ in 0..2 {
        let answer = answer(&mut engine, again.clone());
        assert_eq!(
            (answer.ids, answer.usage.cached_tokens),
            (expected.clone(), 0)
        );
    }
    // A text shorter than window and page together is never cut.
    let short = request(tokens(3, 30), 10);
    let expected = alone_windowed(&short);
    for known in [0, 29] {
        let answer = answer(&mut engine, short.clone());
        assert_eq!(
            (answer.ids, answer.usage.cached_tokens),
            (expected.clone(), known)
        );
    }
}

#[test]
fn prompts_that_begin_alike_are_answered_as_if_alone() {
    let mut engine = windowed_engine(roomy());
    let branch = |n| request([tokens(0, 90), tokens(n, 50)].concat(), 8);
    let same = |n| request(tokens(n, 120), 8);
    let requests = vec![branch(1), branch(2), same(7), same(7), branch(3)];
    let expected: Vec<_> = requests.iter().map(alone_windowed).collect();
    let answers = answer_all(&mut engine, requests);
    for (answer, expected) in answers.iter().zip(&expected) {
        assert_eq!(&answer.ids, expected);
    }
    // One prompt twice is computed once; what only begins alike is not waited for in vain.
    assert_eq!(answers[3].usage.cached_tokens, 119);
}

#[test]
fn under_pressure_the_answers_stay_the_same() {
    let mut engine = windowed_engine(EngineOptions {
        cache_tokens: 320,
        ..roomy()
    });
    let requests: Vec<_> = (0..6).map(|n| request(tokens(n, 70), 60)).collect();
    let expected: Vec<_> = requests.iter().map(alone_windowed).collect();
    let answers = answer_all(&mut engine, requests);
    for (answer, expected) in answers.iter().zip(&expected) {
        assert_eq!(&answer.ids, expected);
    }
}
