//! Pages are shared, copied when written, given back and used again.

mod common;

use common::*;
use kernels::kv::KvType;
use model::{ContextOptions, Error, Input, Want};
use testkit::Architecture;

#[test]
fn a_fork_continues_as_if_it_had_the_prefix_itself() {
    let model = tiny(Architecture::Llama);
    let prefix = tokens(&model, 1, 75);
    // Inside a page, at a page's end, at the parent's end, and nothing at all.
    for len in [40, 64, 75, 0] {
        let mut context = context(&model, 512);
        let parent = context.create();
        append(&mut context, parent, &prefix).unwrap();
        let child = context.fork(parent, len).unwrap();
        assert_eq!(context.len(child).unwrap(), len);

        let [to_child, to_parent] = [tokens(&model, 2, 50), tokens(&model, 3, 50)];
        let logits = append(&mut context, child, &to_child).unwrap();
        let whole = [&prefix[..len], &to_child].concat();
        assert_same_bits(&logits, alone(&model, &whole).last().unwrap());

        let logits = append(&mut context, parent, &to_parent).unwrap();
        let whole = [&prefix[..], &to_parent].concat();
        assert_same_bits(&logits, alone(&model, &whole).last().unwrap());
    }
}

#[test]
fn sequences_that_share_a_partial_page_may_grow_in_one_batch() {
    let model = tiny(Architecture::Qwen2);
    let prefix = tokens(&model, 1, 50);
    let mut context = context(&model, 512);
    let parent = context.create();
    append(&mut context, parent, &prefix).unwrap();
    let children = [(); 3].map(|()| context.fork(parent, 45).unwrap());
    let tails = [4u64, 5, 6].map(|seed| tokens(&model, seed, 30));
    let inputs: Vec<_> = children
        .iter()
        .zip(&tails)
        .map(|(&seq, tokens)| Input {
            seq,
            tokens,
            logits: Want::Last,
        })
        .collect();
    let logits = context.forward(&inputs).unwrap();
    for (row, tail) in tails.iter().enumerate() {
        let whole = [&prefix[..45], tail].concat();
        assert_same_bits(logits.row(row), alone(&model, &whole).last().unwrap());
    }
    let logits = append(&mut context, parent, &tails[0]).unwrap();
    assert_same_bits(
        &logits,
        alone(&model, &[&prefix[..], &tails[0]].concat())
            .last()
            .unwrap(),
    );
}

#[test]
fn a_truncated_sequence_leaves_its_fork_alone() {
    let model = tiny(Architecture::Qwen3);
    let prefix = tokens(&model, 1, 64);
    let mut context = context(&model, 512);
    let parent = context.create();
    append(&mut context, parent, &prefix).unwrap();
    let child = context.fork(parent, 64).unwrap();
    context.truncate(parent, 50).unwrap();
    let replacement = tokens(&model, 2, 14);
    let logits = append(&mut context, parent, &replacement).unwrap();
    assert_same_bits(
        &logits,
        &alone(&model, &[&prefix[..50], &replacement].concat())[63],
    );
    let next = tokens(&model, 3, 1);
    let logits = append(&mut context, child, &next).unwrap();
    assert_same_bits(&logits, &alone(&model, &[&prefix[..], &next].concat())[64]);
}

#[test]
fn forks_share_pages_and_copy_only_the_one_they_write() {
    let model = tiny(Architecture::Llama);
    let mut context = context(&model, 10 * PAGE);
    let parent = context.create();
    append(&mut context, parent, &tokens(&model, 1, 100)).unwrap();
    assert_eq!(context.free_tokens(), 6 * PAGE);
    let child = context.fork(parent, 100).unwrap();
    assert_eq!(context.free_tokens(), 6 * PAGE);
    append(&mut context, child, &[1]).unwrap();
    assert_eq!(context.free_tokens(), 5 * PAGE);
    append(&mut context, parent, &[1]).unwrap();
    assert_eq!(context.free_tokens(), 5 * PAGE);
    context.release(parent);
    assert_eq!(context.free_tokens(), 6 * PAGE);
    context.release(child);
    assert_eq!(context.free_tokens(), 10 * PAGE);
}

#[test]
fn memory_grows_page_by_page_and_is_used_again() {
    let model = tiny(Architecture::Llama);
    let mut context = context(&model, 1 << 20);
    assert_eq!(context.kv_bytes(), 0);
    let config = model.config();
    let page_bytes =
        config.layers * config.kv_heads * (config.key_length + config.value_length) * PAGE * 4;
    let seq = context.create();
    append(&mut context, seq, &tokens(&model, 1, PAGE)).unwrap();
    assert_eq!(context.kv_bytes(), page_bytes);
    append(&mut context, seq, &[0]).unwrap();
    assert_eq!(context.kv_bytes(), 2 * page_bytes);
    let scratch_bytes = context.scratch_bytes();
    for round in 0..3 {
        context.release(seq);
        let seq = context.create();
        let prompt = tokens(&model, round, PAGE);
        let logits = append(&mut context, seq, &prompt).unwrap();
        assert_same_bits(&logits, &alone(&model, &prompt)[PAGE - 1]);
        for _ in 0..PAGE {
            append(&mut context, seq, &[0]).unwrap();
        }
        context.truncate(seq, PAGE / 2).unwrap();
        append(&mut context, seq, &prompt).unwrap();
        context.release(seq);
    }
    assert_eq!(context.kv_bytes(), 2 * page_bytes);
    assert_eq!(context.scratch_bytes(), scratch_bytes);
}

#[test]
fn a_full_cache_says_so_and_changes_nothing() {
    let model = tiny(Architecture::Llama);
    let mut context = context(&model, 3 * PAGE);
    let (a, b) = (context.create(), context.create());
    append(&mut context, a, &tokens(&model, 1, PAGE)).unwrap();
    let long = tokens(&model, 2, PAGE + 1);
    let inputs = [
        Input {
            seq: a,
            tokens: &long[..1],
            logits: Want::Last,
        },
        Input {
            seq: b,
            tokens: &long,
            logits: Want::Last,
        },
    ];
    let error = context.forward(&inputs).unwrap_err();
    assert!(
        matches!(
            error,
            Error::CacheFull {
                needed: 3,
                free: 2,
                capacity: 3,
                page: PAGE
            }
        ),
        "{error:?}"
    );
    assert_eq!(context.free_tokens(), 2 * PAGE);
    assert_eq!(
        (context.len(a).unwrap(), context.len(b).unwrap()),
        (PAGE, 0)
    );
    let logits = append(&mut context, b, &long).unwrap();
    assert_same_bits(&logits, &alone(&model, &long)[PAGE]);
}

#[test]
fn a_full_cache_refuses_the_copy_of_a_shared_page() {
    let model = tiny(Architecture::Llama);
    let mut context = context(&model, PAGE);
    let parent = context.create();
    append(&mut context, parent, &[1, 2, 3]).unwrap();
    let child = context.fork(parent, 2).unwrap();
    assert!(matches!(
        append(&mut context, child, &[4]),
        Err(Error::CacheFull {
            needed: 1,
            free: 0,
            ..
        })
    ));
    context.release(parent);
    let logits = append(&mut context, child, &[4]).unwrap();
    assert_same_bits(&logits, &alone(&model, &[1, 2, 4])[2]);
}

#[test]
fn released_sequences_are_refused() {
    let model = tiny(Architecture::Llama);
    let mut context = context(&model, 256);
    let old = context.create();
    append(&mut context, old, &[1, 2]).unwrap();
    context.release(old);
    context.release(old);
    let new = context.create();
    append(&mut context, new, &[3]).unwrap();
    assert!(matches!(
        append(&mut context, old, &[1]),
        Err(Error::UnknownSequence { .. })
    ));
    assert!(matches!(
        context.fork(old, 0),
        Err(Error::UnknownSequence { .. })
    ));
    assert!(matches!(
        context.truncate(old, 0),
        Err(Error::UnknownSequence { .. })
    ));
    assert!(matches!(
        context.len(old),
        Err(Error::UnknownSequence { .. })
    ));
    assert_eq!(context.len(new).unwrap(), 1);
}

#[test]
fn bad_inputs_are_refused_and_change_nothing() {
    let model = tiny(Architecture::Llama);
    let mut context = context(&model, 256);
    let seq = context.create();
    append(&mut context, seq, &[1, 2]).unwrap();
    let input = |tokens| Input {
        seq,
        tokens,
        logits: Want::Last,
    };
    let vocab_size = model.config().vocab_size;
    assert!(matches!(context.forward(&[]), Err(Error::EmptyInput)));
    assert!(matches!(
        context.forward(&[input(&[])]),
        Err(Error::EmptyInput)
    ));
    assert!(matches!(
        context.forward(&[input(&[1]), input(&[2])]),
        Err(Error::RepeatedSequence { index: 0 })
    ));
    let beyond = [1, vocab_size as u32];
    assert!(matches!(
        context.forward(&[input(&beyond)]),
        Err(Error::TokenOutOfRange { token, .. }) if token == vocab_size as u32
    ));
    assert!(matches!(
        context.truncate(seq, 3),
        Err(Error::BeyondEnd {
            len: 2,
            asked: 3,
            ..
        })
    ));
    assert!(matches!(
        context.fork(seq, 3),
        Err(Error::BeyondEnd {
            len: 2,
            asked: 3,
            ..
        })
    ));
    let logits = append(&mut context, seq, &[3]).unwrap();
    assert_same_bits(&logits, &alone(&model, &[1, 2, 3])[2]);
    assert_eq!(context.free_tokens(), 256 - PAGE);
}

#[test]
fn memory_that_cannot_be_had_is_an_error() {
    let model = tiny(Architecture::Llama);
    let options = ContextOptions {
        capacity: usize::MAX,
        kv: KvType::F32,
        // A page of 2⁵⁹ bytes: it can be addressed, but not had.
        page: 1 << 50,
        ..ContextOptions::default()
    };
    let mut context = context_with(&model, options);
    let seq = context.create();
    assert!(matches!(
        append(&mut context, seq, &[1]),
        Err(Error::OutOfMemory { .. })
    ));
    assert_eq!((context.len(seq).unwrap(), context.kv_bytes()), (0, 0));
}
