//! What a sequence gets depends on its own tokens only.

mod common;

use common::*;
use kernels::kv::KvType;
use kernels::{Pool, Serial};
use model::{Context, ContextOptions, Input, Want};
use std::sync::Arc;
use testkit::Architecture;

#[test]
fn a_batch_of_sequences_equals_each_alone() {
    for model in families() {
        let lengths = [1, 40, 7, 64, 33];
        let prompts: Vec<_> = lengths
            .iter()
            .map(|&n| tokens(&model, n as u64, n))
            .collect();
        let mut context = context(&model, 512);
        let inputs: Vec<_> = prompts
            .iter()
            .map(|tokens| Input {
                seq: context.create(),
                tokens,
                logits: Want::All,
            })
            .collect();
        let logits = context.forward(&inputs).unwrap();
        assert_eq!(logits.rows(), lengths.iter().sum::<usize>());
        let mut row = 0;
        for prompt in &prompts {
            for expected in alone(&model, prompt) {
                assert_same_bits(logits.row(row), &expected);
                row += 1;
            }
        }
    }
}

#[test]
fn chunks_equal_one_shot() {
    for model in families() {
        let prompt = tokens(&model, 1, 100);
        let expected = alone(&model, &prompt);
        for chunk in [1, 3, 32, 45, 99] {
            let mut context = context(&model, 128);
            let seq = context.create();
            let mut done = 0;
            for tokens in prompt.chunks(chunk) {
                let logits = append(&mut context, seq, tokens).unwrap();
                done += tokens.len();
                assert_same_bits(&logits, &expected[done - 1]);
            }
            assert_eq!(context.len(seq).unwrap(), 100);
        }
    }
}

#[test]
fn prompts_and_single_tokens_mix_in_a_batch() {
    let model = tiny(Architecture::Qwen3);
    let (long, short) = (tokens(&model, 2, 70), tokens(&model, 3, 9));
    let mut context = context(&model, 512);
    let (a, b) = (context.create(), context.create());
    append(&mut context, b, &short[..8]).unwrap();
    let logits = context
        .forward(&[
            Input {
                seq: a,
                tokens: &long[..50],
                logits: Want::None,
            },
            Input {
                seq: b,
                tokens: &short[8..],
                logits: Want::Last,
            },
        ])
        .unwrap();
    assert_eq!(logits.rows(), 1);
    assert_same_bits(logits.row(0), &alone(&model, &short)[8]);
    let logits = append(&mut context, a, &long[50..]).unwrap();
    assert_same_bits(&logits, &alone(&model, &long)[69]);
}

#[test]
fn only_wanted_rows_are_returned_in_the_order_of_the_batch() {
    let model = tiny(Architecture::Llama);
    let prompts = [
        tokens(&model, 4, 5),
        tokens(&model, 5, 3),
        tokens(&model, 6, 4),
    ];
    let mut context = context(&model, 256);
    let wants = [Want::Last, Want::All, Want::None];
    let inputs: Vec<_> = prompts
        .iter()
        .zip(wants)
        .map(|(tokens, logits)| Input {
            seq: context.create(),
            tokens,
            logits,
        })
        .collect();
    let logits = context.forward(&inputs).unwrap();
    assert_eq!(logits.rows(), 4);
    assert_same_bits(logits.row(0), &alone(&model, &prompts[0])[4]);
    for (row, expected) in alone(&model, &prompts[1]).iter().enumerate() {
        assert_same_bits(logits.row(1 + row), expected);
    }
}

#[test]
fn a_batch_may_want_no_logits_at_all() {
    let model = tiny(Architecture::Qwen2);
    let prompt = tokens(&model, 7, 20);
    let mut context = context(&model, 64);
    let seq = context.create();
    let logits = context
        .forward(&[Input {
            seq,
            tokens: &prompt[..19],
            logits: Want::None,
        }])
        .unwrap();
    assert_eq!(logits.rows(), 0);
    let logits = append(&mut context, seq, &prompt[19..]).unwrap();
    assert_same_bits(&logits, &alone(&model, &prompt)[19]);
}

#[test]
fn the_page_size_does_not_matter() {
    let model = tiny(Architecture::Llama);
    let prompt = tokens(&model, 8, 150);
    for kv in KvType::ALL {
        let run = |page| {
            let mut context = context_with(
                &model,
                ContextOptions {
                    capacity: 512,
                    kv,
                    page,
                    ..ContextOptions::default()
                },
            );
            let seq = context.create();
            append(&mut context, seq, &prompt).unwrap()
        };
        let expected = run(32);
        assert_same_bits(&run(64), &expected);
        assert_same_bits(&run(256), &expected);
    }
}

#[test]
fn the_number_of_threads_does_not_matter() {
    /// A new thread for every part.
    struct Scoped(usize);
    // SAFETY: each part gets one thread, which ends with the scope.
    unsafe impl Pool for Scoped {
        fn threads(&self) -> usize {
            self.0
        }
        fn run(&self, parts: usize, job: &(dyn Fn(usize) + Sync)) {
            std::thread::scope(|scope| {
                for part in 0..parts {
                    scope.spawn(move || job(part));
                }
            });
        }
    }
    let model = tiny(Architecture::Qwen2);
    let prompt = tokens(&model, 9, 70);
    let run = |pool: Box<dyn Pool>| {
        let mut context =
            Context::new(Arc::clone(&model), ContextOptions::default(), pool).unwrap();
        let seq = context.create();
        append(&mut context, seq, &prompt[..69]).unwrap();
        append(&mut context, seq, &prompt[69..]).unwrap()
    };
    let expected = run(Box::new(Serial));
    assert_same_bits(&run(Box::new(Scoped(2))), &expected);
    assert_same_bits(&run(Box::new(Scoped(5))), &expected);
}

#[test]
fn half_precision_keys_and_values_change_logits_only_a_little() {
    let model = tiny(Architecture::Qwen3);
    let prompt = tokens(&model, 10, 60);
    let mut context = context_with(
        &model,
        ContextOptions {
            capacity: 64,
            kv: KvType::F16,
            page: PAGE,
            ..ContextOptions::default()
        },
    );
    let seq = context.create();
    let logits = append(&mut context, seq, &prompt).unwrap();
    testkit::assert_close(&logits, &alone(&model, &prompt)[59], 2e-3);
}
