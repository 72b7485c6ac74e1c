//! Layers that see a window keep what it needs, and a sequence can be taken up again wherever that is still there.

mod common;

use std::sync::Arc;

use common::parts::Parts;
use common::*;
use kernels::kv::KvType;
use model::{Context, ContextOptions, Error, Model};

/// Two layers that see 32 tokens, and one that sees all.
fn mixed() -> Arc<Model> {
    fixture("gemma3-f16")
}

/// Only layers that see 100 tokens.
fn windowed() -> Arc<Model> {
    fixture("llama-window-f32")
}

fn append_in_chunks(context: &mut Context, seq: model::SeqId, tokens: &[u32], chunk: usize) {
    for tokens in tokens.chunks(chunk) {
        append(context, seq, tokens).unwrap();
    }
}

#[test]
fn pages_that_left_the_window_are_given_back() {
    let model = mixed();
    let mut context = context(&model, 20 * PAGE);
    let seq = context.create();
    append_in_chunks(&mut context, seq, &tokens(&model, 1, 10 * PAGE), PAGE);
    let config = model.config();
    let layer_page = config.kv_heads * (config.key_length + config.value_length) * PAGE * 4;
    // The window, a chunk, and the page that is kept beyond.
    assert_eq!(context.kv_bytes(), layer_page * (10 + 2 * 3));
    assert_eq!(context.free_tokens(), 10 * PAGE);
    context.release(seq);
    assert_eq!(context.free_tokens(), 20 * PAGE);
}

#[test]
fn a_model_that_only_sees_a_window_outgrows_its_cache() {
    let model = windowed();
    let mut context = context(&model, 7 * PAGE);
    let seq = context.create();
    let text = tokens(&model, 1, 700);
    append_in_chunks(&mut context, seq, &text[..699], PAGE);
    let logits = append(&mut context, seq, &text[699..]).unwrap();
    assert_same_bits(&logits, alone(&model, &text).last().unwrap());
}

#[test]
fn a_sequence_goes_on_after_every_length_that_is_resumable() {
    let model = mixed();
    let window = model.config().window(0).unwrap();
    let text = tokens(&model, 1, 200);
    let other = tokens(&model, 2, 40);
    for grown in [60, 64, 95, 96, 150, 200] {
        let mut context = context(&model, 1024);
        let parent = context.create();
        append_in_chunks(&mut context, parent, &text[..grown], 17);
        let mut least = None;
        for len in (0..=grown).rev() {
            let resumable = context.resumable(parent, len).unwrap();
            assert!(resumable == len || resumable == 0, "{resumable} of {len}");
            assert_eq!(resumable, context.resumable_from(grown, len));
            if resumable < len {
                assert!(matches!(
                    context.fork(parent, len),
                    Err(Error::LeftWindow { asked, least: told, .. })
                        if asked == len && Some(told) == least
                ));
                assert!(context.truncate(parent, len).is_err());
                continue;
            }
            least = Some(len);
            // Enough lengths to meet every place in a page.
            if len % 7 != 0 && len + 7 < grown {
                continue;
            }
            let child = context.fork(parent, len).unwrap();
            append_in_chunks(&mut context, child, &other[..39], 11);
            let logits = append(&mut context, child, &other[39..]).unwrap();
            let whole = [&text[..len], &other].concat();
            assert_same_bits(&logits, alone(&model, &whole).last().unwrap());
            context.release(child);
        }
        assert_eq!(context.resumable(parent, grown).unwrap(), grown);
        let less = grown - (PAGE - 1);
        assert_eq!(context.resumable(parent, less).unwrap(), less);
        let all = (1..grown).all(|len| context.resumable_from(grown, len) == len);
        assert_eq!(all, grown + 1 < window + 2 * PAGE, "{grown}");
        // Nothing of this has touched the parent.
        let logits = append(&mut context, parent, &other).unwrap();
        let whole = [&text[..grown], &other].concat();
        assert_same_bits(&logits, alone(&model, &whole).last().unwrap());
    }
}

#[test]
fn a_truncated_sequence_can_grow_and_be_cut_again() {
    let model = mixed();
    let text = tokens(&model, 1, 200);
    let mut context = context(&model, 1024);
    let seq = context.create();
    append_in_chunks(&mut context, seq, &text, 50);
    let mut kept = text.clone();
    for round in 0..4 {
        let len = kept.len() - 20;
        context.truncate(seq, len).unwrap();
        kept.truncate(len);
        kept.extend(tokens(&model, 10 + round, 45));
        let logits = append(&mut context, seq, &kept[len..]).unwrap();
        assert_same_bits(&logits, alone(&model, &kept).last().unwrap());
    }
    context.truncate(seq, 0).unwrap();
    assert_eq!(context.free_tokens(), 1024);
    let logits = append(&mut context, seq, &text).unwrap();
    assert_same_bits(&logits, alone(&model, &text).last().unwrap());
}

#[test]
fn a_fork_keeps_pages_that_its_parent_no_longer_needs() {
    let model = mixed();
    let text = tokens(&model, 1, 300);
    let mut context = context(&model, 1024);
    let parent = context.create();
    append_in_chunks(&mut context, parent, &text[..70], 35);
    let child = context.fork(parent, 70).unwrap();
    append_in_chunks(&mut context, parent, &text[70..], 64);
    let other = tokens(&model, 2, 100);
    let logits = append(&mut context, child, &other).unwrap();
    let whole = [&text[..70], &other].concat();
    assert_same_bits(&logits, alone(&model, &whole).last().unwrap());
    context.release(parent);
    context.release(child);
    assert_eq!(context.free_tokens(), 1024);
}

#[test]
fn memory_is_told_beforehand() {
    for name in ["gemma3-f16", "llama-window-f32"] {
        let plan = Parts::fixture(name).inspect().unwrap();
        let model = fixture(name);
        for (grown, chunk) in [(20, 20), (400, 32), (700, 128)] {
            let mut context = context(&model, 1024);
            let seq = context.create();
            append_in_chunks(&mut context, seq, &tokens(&model, 1, grown), chunk);
            let told = plan.kv_bytes(KvType::F32, grown, chunk, PAGE).unwrap();
            let taken = context.kv_bytes() as u64;
            assert!(
                taken <= told && told <= taken * 3 / 2,
                "{name}, {grown} tokens: {told} bytes told, {taken} taken"
            );
        }
    }
}

#[test]
fn long_contexts_rotate_by_their_own_factors() {
    let model = fixture("phi3-long-f32");
    let original = model.config().original_context_length;
    let logits = |context_length| {
        let options = ContextOptions {
            capacity: 64,
            kv: KvType::F32,
            context_length,
            page: PAGE,
        };
        let mut context = context_with(&model, options);
        let seq = context.create();
        append(&mut context, seq, &tokens(&model, 1, 40)).unwrap()
    };
    assert_same_bits(&logits(original), &logits(40));
    assert_same_bits(&logits(original + 1), &logits(4 * original));
    assert_ne!(logits(original), logits(original + 1));
}
