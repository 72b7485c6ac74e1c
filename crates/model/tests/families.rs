//! What each family reads from a header besides what all do, with its defaults.

mod common;

use common::parts::{Parts, assert_unsupported};
use gguf::{Array, TensorType, Value};
use kernels::activation::Activation;
use kernels::rope::{RopeScaling, RopeStyle};
use model::{Config, Error};

fn windows(config: &Config) -> Vec<Option<usize>> {
    (0..config.layers)
        .map(|layer| config.window(layer))
        .collect()
}

#[test]
fn gemma3_sees_a_window_in_five_of_six_layers() {
    let config = Parts::fixture("gemma3-f32").config().unwrap();
    let window = Some(100);
    assert_eq!(
        windows(&config),
        [window, window, window, window, window, None]
    );
    assert_eq!(
        (config.rope.style, config.rope.base, config.rope.scaling),
        (RopeStyle::NeoX, 1e6, RopeScaling::Linear { factor: 8.0 })
    );
    let rope = config.sliding_window.unwrap().rope;
    assert_eq!((rope.base, rope.scaling), (1e4, RopeScaling::None));
    assert_eq!(
        (config.activation, config.embedding_scale),
        (Activation::GeluTanh, 32f32.sqrt())
    );
    assert_eq!(
        (config.attention_soft_cap, config.logit_soft_cap),
        (None, None)
    );
    assert_eq!(config.attention_scale, 0.25);
}

#[test]
fn gemma3_reads_other_windows() {
    let gemma = || Parts::fixture("gemma3-f32");
    let window = "gemma3.attention.sliding_window";
    let pattern = "gemma3.attention.sliding_window_pattern";
    assert_eq!(
        gemma().set(window, 0u32).config().unwrap().sliding_window,
        None
    );
    assert_eq!(
        gemma().without(window).config().unwrap().sliding_window,
        None
    );
    let config = gemma()
        .set(pattern, 3u32)
        .set("gemma3.rope.freq_base_swa", 500f32)
        .config()
        .unwrap();
    let seen = Some(100);
    assert_eq!(windows(&config), [seen, seen, None, seen, seen, None]);
    assert_eq!(config.sliding_window.unwrap().rope.base, 500.0);
    // One of one layers sees everything.
    assert_eq!(
        gemma().set(pattern, 1u32).config().unwrap().sliding_window,
        None
    );
    let each = vec![false, true, false, false, true, false];
    let config = gemma()
        .set(pattern, Value::Array(Array::Bool(each)))
        .config();
    assert_eq!(
        windows(&config.unwrap()),
        [None, seen, None, None, seen, None]
    );
    for array in [Array::Bool(vec![true; 5]), Array::I32(vec![1; 6])] {
        assert_unsupported(gemma().set(pattern, Value::Array(array)).config(), pattern);
    }
}

#[test]
fn the_largest_gemmas_scale_queries_by_the_width_of_the_model() {
    for (fixture, architecture, layers) in [
        ("gemma3-f32", "gemma3", 62u32),
        ("gemma2-f32", "gemma2", 46),
    ] {
        let large = || Parts::fixture(fixture).set(&format!("{architecture}.block_count"), layers);
        // 32 / 2, as the heads of the small ones are long.
        assert_eq!(large().config().unwrap().attention_scale, 0.25);
        let width = format!("{architecture}.embedding_length");
        assert_eq!(
            large()
                .set(&width, 128u32)
                .config()
                .unwrap()
                .attention_scale,
            0.125
        );
        let scale = format!("{architecture}.attention.scale");
        assert_eq!(
            large()
                .set(&scale, 0.5f32)
                .config()
                .unwrap()
                .attention_scale,
            0.5
        );
    }
}

#[test]
fn gemma2_has_caps_and_alternating_windows() {
    let config = Parts::fixture("gemma2-f32").config().unwrap();
    assert_eq!(windows(&config), [Some(100), None, Some(100)]);
    assert_eq!(
        (config.attention_soft_cap, config.logit_soft_cap),
        (Some(2.0), Some(5.0))
    );
    assert_eq!(config.sliding_window.unwrap().rope, config.rope);
    let config = Parts::fixture("gemma2-f32")
        .without("gemma2.attention.sliding_window")
        .without("gemma2.attn_logit_softcapping")
        .set("gemma2.final_logit_softcapping", 0f32)
        .config()
        .unwrap();
    assert_eq!(windows(&config), [Some(4096), None, Some(4096)]);
    assert_eq!(
        (config.attention_soft_cap, config.logit_soft_cap),
        (Some(50.0), None)
    );
    let key = "gemma2.attn_logit_softcapping";
    assert_unsupported(Parts::fixture("gemma2-f32").set(key, -1f32).config(), key);
}

#[test]
fn activations_that_are_not_implemented_are_refused_by_key() {
    let key = "gemma2.hidden_activation";
    let with = |name: &str| Parts::fixture("gemma2-f32").set(key, name).config();
    assert_eq!(with("silu").unwrap().activation, Activation::Silu);
    assert_eq!(
        with("gelu_pytorch_tanh").unwrap().activation,
        Activation::GeluTanh
    );
    assert_unsupported(with("gelu"), key);
}

#[test]
fn phi3_rotates_a_part_of_each_head() {
    let phi = |dims: u32| {
        Parts::fixture("phi3-f32")
            .set("phi3.rope.dimension_count", dims)
            .config()
    };
    let rope = phi(12).unwrap().rope;
    assert_eq!((rope.style, rope.dims), (RopeStyle::NeoX, 12));
    for dims in [11, 18] {
        assert_unsupported(phi(dims), "phi3.rope.dimension_count");
    }
    let key = "phi3.feed_forward_length";
    assert_unsupported(Parts::fixture("phi3-f32").set(key, 50u32).config(), key);
}

#[test]
fn long_rope_needs_both_sets_of_factors() {
    let long = || Parts::fixture("phi3-long-f32");
    let config = long().config().unwrap();
    assert!(config.long_rope);
    assert_eq!(
        (config.original_context_length, config.rope.magnitude),
        (256, 1.1)
    );
    for tensor in ["rope_factors_long.weight", "rope_factors_short.weight"] {
        assert!(matches!(
            long().without(tensor).inspect(),
            Err(Error::MissingTensor { tensor: missing }) if missing == tensor
        ));
    }
    assert!(!Parts::fixture("phi3-f32").config().unwrap().long_rope);
    // Llama's files may have them too, but not together with factors for every context.
    let llama = || {
        Parts::llama()
            .tensor("rope_factors_long.weight", &[32], TensorType::F32)
            .tensor("rope_factors_short.weight", &[32], TensorType::F32)
    };
    llama().inspect().unwrap();
    assert!(matches!(
        llama()
            .tensor("rope_freqs.weight", &[32], TensorType::F32)
            .inspect(),
        Err(Error::UnexpectedTensor { .. })
    ));
}

#[test]
fn a_window_of_any_family_is_that_of_all_layers() {
    let llama = |tokens: u32| {
        Parts::llama()
            .set("llama.attention.sliding_window", tokens)
            .config()
            .unwrap()
    };
    assert_eq!(windows(&llama(64)), [Some(64), Some(64)]);
    assert_eq!(llama(0).sliding_window, None);
}
