//! A header alone is enough to accept a model, or to say what is wrong with it.

mod common;

use common::parts::{Parts, assert_unsupported};
use gguf::{Array, Header, TensorType, Value};
use kernels::kv::KvType;
use kernels::rope::{RopeScaling, RopeStyle};
use model::{Architecture, Error, inspect};
use testkit::{COMPUTABLE, TinyModel};

#[test]
fn dimensions_are_read() {
    let config = Parts::new(testkit::Architecture::Qwen3).config().unwrap();
    assert_eq!(config.architecture, Architecture::Qwen3);
    assert_eq!(
        (
            config.layers,
            config.embedding_length,
            config.feed_forward_length
        ),
        (2, 256, 512)
    );
    assert_eq!(
        (
            config.heads,
            config.kv_heads,
            config.key_length,
            config.value_length
        ),
        (4, 2, 64, 64)
    );
    assert_eq!((config.context_length, config.norm_epsilon), (1024, 1e-6));
    assert_eq!(
        (config.rope.style, config.rope.dims, config.rope.base),
        (RopeStyle::NeoX, 64, 1e4)
    );
    assert_eq!(config.rope.scaling, RopeScaling::None);
    assert!(config.tied_output);
}

#[test]
fn absent_keys_have_the_defaults_of_llama_cpp() {
    let config = Parts::llama()
        .without("llama.attention.head_count_kv")
        .without("llama.attention.key_length")
        .without("llama.attention.value_length")
        .without("llama.rope.dimension_count")
        .without("llama.rope.freq_base")
        .without("llama.vocab_size")
        .config()
        .unwrap();
    assert_eq!(
        (
            config.heads,
            config.kv_heads,
            config.key_length,
            config.value_length
        ),
        (4, 4, 64, 64)
    );
    assert_eq!(
        (config.rope.style, config.rope.dims, config.rope.base),
        (RopeStyle::Normal, 64, 1e4)
    );
    assert_eq!(config.vocab_size, testkit::vocabulary().tokens.len());
}

#[test]
fn numbers_given_for_each_layer_must_be_the_same() {
    let key = "llama.attention.head_count_kv";
    let config = Parts::llama()
        .set(key, Value::Array(Array::I32(vec![2, 2])))
        .config()
        .unwrap();
    assert_eq!(config.kv_heads, 2);
    assert_unsupported(
        Parts::llama()
            .set(key, Value::Array(Array::I32(vec![2, 4])))
            .config(),
        key,
    );
    assert_unsupported(
        Parts::llama()
            .set(key, Value::Array(Array::I32(vec![-2, -2])))
            .config(),
        key,
    );
    assert_unsupported(
        Parts::llama()
            .set(key, Value::Array(Array::I32(vec![])))
            .config(),
        key,
    );
}

#[test]
fn rope_scaling_is_read() {
    let scaled = |kind: &str| {
        Parts::llama()
            .set("llama.rope.scaling.type", kind)
            .set("llama.rope.scaling.factor", 4.0f32)
            .set("llama.rope.scaling.original_context_length", 256u32)
            .set("llama.rope.scaling.attn_factor", 0.5f32)
    };
    assert_eq!(
        scaled("none").config().unwrap().rope.scaling,
        RopeScaling::None
    );
    let linear = scaled("linear").config().unwrap().rope;
    assert_eq!(
        (linear.scaling, linear.magnitude),
        (RopeScaling::Linear { factor: 4.0 }, 0.5)
    );
    let yarn = RopeScaling::Yarn {
        factor: 4.0,
        original_context: 256,
        beta_fast: 32.0,
        beta_slow: 1.0,
    };
    assert_eq!(scaled("yarn").config().unwrap().rope.scaling, yarn);
    // Its factors are tensors.
    assert_eq!(scaled("longrope").config().unwrap().rope, linear);
    assert_unsupported(scaled("dynamic").config(), "llama.rope.scaling.type");
    let old = Parts::llama()
        .set("llama.rope.scale_linear", 2.0f32)
        .config()
        .unwrap();
    assert_eq!(old.rope.scaling, RopeScaling::Linear { factor: 2.0 });
}

#[test]
fn architectures_that_are_not_implemented_are_named() {
    let error = Parts::llama()
        .set("general.architecture", "mamba")
        .inspect()
        .unwrap_err();
    let supported = Architecture::ALL.map(Architecture::name).join(", ");
    assert_eq!(
        error.to_string(),
        format!(
            "unknown architecture \"mamba\"; supported are {supported}: choose a model of one of these families"
        )
    );
    assert!(matches!(
        Parts::llama().without("general.architecture").config(),
        Err(Error::MissingKey { key }) if key == "general.architecture"
    ));
    assert!(matches!(inspect(&[]), Err(Error::NoHeader)));
}

#[test]
fn keys_without_defaults_must_be_there() {
    for key in [
        "llama.block_count",
        "llama.context_length",
        "llama.embedding_length",
        "llama.feed_forward_length",
        "llama.attention.head_count",
        "llama.attention.layer_norm_rms_epsilon",
    ] {
        match Parts::llama().without(key).config() {
            Err(Error::MissingKey { key: missing }) => assert_eq!(missing, key),
            other => panic!("{other:?} without {key}"),
        }
    }
}

#[test]
fn values_that_make_no_sense_or_are_not_implemented_are_refused_by_key() {
    let cases: [(&str, Value); 18] = [
        ("llama.block_count", 0u32.into()),
        ("llama.block_count", 100_000u32.into()),
        ("llama.embedding_length", 0u32.into()),
        ("llama.embedding_length", u32::MAX.into()),
        ("llama.attention.head_count", 0u32.into()),
        ("llama.attention.head_count", 70_000u32.into()),
        ("llama.attention.head_count_kv", 3u32.into()),
        ("llama.attention.head_count_kv", 0u32.into()),
        ("llama.attention.key_length", 0u32.into()),
        ("llama.attention.key_length", 60u32.into()),
        ("llama.attention.value_length", 512u32.into()),
        ("llama.attention.layer_norm_rms_epsilon", 0f32.into()),
        ("llama.attention.layer_norm_rms_epsilon", f32::NAN.into()),
        ("llama.rope.dimension_count", 32u32.into()),
        ("llama.rope.freq_base", 0f32.into()),
        ("llama.rope.freq_base", f32::INFINITY.into()),
        ("llama.rope.scaling.factor", (-1f32).into()),
        ("llama.expert_count", 8u32.into()),
    ];
    for (key, value) in cases {
        assert_unsupported(Parts::llama().set(key, value).config(), key);
    }
}

#[test]
fn mixtures_that_are_not_implemented_are_refused_by_key() {
    let mixture = || {
        Parts::llama()
            .rename("llama", "qwen3moe")
            .set("qwen3moe.expert_count", 8u32)
            .set("qwen3moe.expert_used_count", 2u32)
    };
    let config = mixture().config().unwrap();
    let experts = config.experts.unwrap();
    assert_eq!((experts.count, experts.used, experts.scale), (8, 2, 1.0));
    assert_eq!(config.feed_forward_length, 512 / 2);
    let cases: [(&str, Value); 7] = [
        ("qwen3moe.expert_count", 0u32.into()),
        ("qwen3moe.expert_count", 5000u32.into()),
        ("qwen3moe.expert_used_count", 9u32.into()),
        ("qwen3moe.expert_used_count", 0u32.into()),
        ("qwen3moe.expert_feed_forward_length", 30u32.into()),
        ("qwen3moe.expert_shared_count", 1u32.into()),
        ("qwen3moe.expert_weights_scale", f32::NAN.into()),
    ];
    for (key, value) in cases {
        assert_unsupported(mixture().set(key, value).config(), key);
    }
}

#[test]
fn keys_of_embedding_models_are_refused_by_name() {
    for (key, value) in [
        ("qwen3.pooling_type", Value::from(5u32)),
        (
            "qwen3.classifier.output_labels",
            Array::U32(vec![1, 2]).into(),
        ),
    ] {
        let qwen3 = Parts::new(testkit::Architecture::Qwen3);
        assert_unsupported(qwen3.set(key, value).config(), key);
    }
    let reranker = Parts::new(testkit::Architecture::Qwen3).set("qwen3.pooling_type", 4u32);
    assert!(matches!(
        reranker.inspect(),
        Err(Error::MissingTensor { tensor }) if tensor == "cls.output.weight"
    ));
    let bert = Parts::llama()
        .rename("llama", "bert")
        .set("bert.attention.layer_norm_epsilon", 1e-12f32);
    assert!(matches!(
        bert.config(),
        Err(Error::MissingKey { key }) if key == "tokenizer.ggml.token_type_count"
    ));
}

#[test]
fn values_of_the_wrong_type_are_refused_by_key() {
    let error = Parts::llama()
        .set("llama.block_count", "two")
        .config()
        .unwrap_err();
    assert!(error.to_string().contains("llama.block_count"), "{error}");
}

#[test]
fn missing_tensors_are_named() {
    for name in [
        "token_embd.weight",
        "output_norm.weight",
        "blk.1.ffn_up.weight",
        "blk.0.attn_norm.weight",
    ] {
        match Parts::llama().without(name).inspect() {
            Err(Error::MissingTensor { tensor }) => assert_eq!(tensor, name),
            other => panic!("{other:?} without {name}"),
        }
    }
    let qwen3 = Parts::new(testkit::Architecture::Qwen3).without("blk.0.attn_q_norm.weight");
    assert!(matches!(qwen3.inspect(), Err(Error::MissingTensor { .. })));
}

#[test]
fn tensors_of_another_shape_are_refused() {
    let error = Parts::llama()
        .tensor("blk.0.attn_k.weight", &[256, 64], TensorType::F32)
        .inspect()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "tensor \"blk.0.attn_k.weight\" has shape [256, 64], but the metadata ask for [256, 128] (columns first)"
    );
    let flat = Parts::llama()
        .tensor("blk.0.attn_k.weight", &[256 * 128], TensorType::F32)
        .inspect();
    assert!(matches!(flat, Err(Error::Shape { .. })));
    Parts::llama()
        .tensor("output_norm.weight", &[256, 1, 1], TensorType::F32)
        .inspect()
        .unwrap();
}

#[test]
fn formats_without_kernels_are_refused_by_tensor() {
    let name = "blk.0.ffn_up.weight";
    for &kind in TensorType::ALL {
        match (Parts::llama().tensor(name, &[256, 512], kind)).inspect() {
            Ok(_) => assert!(COMPUTABLE.contains(&kind), "{}", kind.name()),
            Err(Error::UnsupportedTensorType {
                tensor,
                kind: found,
                ..
            }) => {
                assert_eq!((tensor.as_str(), found), (name, kind));
                assert!(!COMPUTABLE.contains(&kind), "{}", kind.name());
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    let norm = Parts::llama()
        .tensor("output_norm.weight", &[256], TensorType::Q8_0)
        .inspect();
    assert!(matches!(norm, Err(Error::UnsupportedTensorType { .. })));
}

#[test]
fn tensors_that_would_be_left_out_are_refused() {
    let name = "blk.0.attn_q_norm.weight";
    match Parts::llama()
        .tensor(name, &[64], TensorType::F32)
        .inspect()
    {
        Err(Error::UnexpectedTensor { tensor, .. }) => assert_eq!(tensor, name),
        other => panic!("{other:?}"),
    }
    Parts::llama()
        .tensor("blk.0.attn_rot_embd.weight", &[32], TensorType::F32)
        .inspect()
        .unwrap();
    Parts::llama()
        .tensor("rope_freqs.weight", &[32], TensorType::F32)
        .inspect()
        .unwrap();
}

#[test]
fn a_split_set_is_one_model() {
    let mut first = Parts::llama();
    let rest = first.tensors.split_off(5);
    let second = Parts {
        metadata: Vec::new(),
        tensors: rest,
    };
    let (first, second) = (first.header(), second.header());
    let whole = Parts::llama().inspect().unwrap();
    let plan = inspect(&[first.clone(), second.clone()]).unwrap();
    assert_eq!(
        (plan.config, plan.weight_bytes),
        (whole.config, whole.weight_bytes)
    );
    assert!(matches!(
        inspect(std::slice::from_ref(&first)),
        Err(Error::MissingTensor { .. })
    ));
    assert!(matches!(
        inspect(&[first, second.clone(), second]),
        Err(Error::DuplicateTensor { .. })
    ));
}

#[test]
fn memory_is_told_beforehand() {
    let file = TinyModel::new(testkit::Architecture::Llama).to_bytes();
    let header = Header::parse(&file).unwrap();
    let plan = inspect(std::slice::from_ref(&header)).unwrap();
    let elements: u64 = header
        .tensors
        .iter()
        .map(|tensor| tensor.shape.iter().product::<u64>())
        .sum();
    assert_eq!(plan.parameters, elements);
    assert_eq!(
        plan.kv_bytes_per_token(KvType::F32).unwrap(),
        2 * 2 * (64 + 64) * 4
    );
    assert_eq!(
        plan.kv_bytes_per_token(KvType::F16).unwrap(),
        2 * 2 * (64 + 64) * 2
    );
    assert!(plan.scratch_bytes(128, 1) > plan.scratch_bytes(1, 1));
}
