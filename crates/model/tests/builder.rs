//! Building from bytes in any order and in pieces of any size.

mod common;

use common::*;
use gguf::{Header, TensorType, Writer};
use kernels::kv::KvType;
use model::{Builder, Error, Landed, inspect};
use std::sync::Arc;
use testkit::{Architecture, COMPUTABLE, Rng, TinyModel, random_tensor};

fn file() -> Vec<u8> {
    TinyModel {
        embedding: 64,
        feed_forward: 96,
        head_dim: 16,
        ..TinyModel::new(Architecture::Qwen3)
    }
    .to_bytes()
}

#[test]
fn the_sizes_of_pieces_do_not_matter() {
    let expected = alone(&tiny(Architecture::Qwen3), &[5, 6, 7]);
    for chunk in [1, 3, 1000] {
        let model = Arc::new(build(&file(), chunk).unwrap());
        for (row, expected) in alone(&model, &[5, 6, 7]).iter().zip(&expected) {
            assert_same_bits(row, expected);
        }
    }
}

#[test]
fn tensors_may_interleave_and_each_is_reported_when_it_lands() {
    let file = file();
    let headers = [Header::parse(&file).unwrap()];
    let mut builder = Builder::new(&headers).unwrap();
    let tensors = &headers[0].tensors;
    assert_eq!(builder.missing().len(), tensors.len());
    for tensor in tensors.iter().rev() {
        let bytes = &file[tensor.offset as usize..][..tensor.size as usize / 2];
        assert_eq!(builder.write(&tensor.name, bytes).unwrap(), None);
    }
    let mut layers = Vec::new();
    for tensor in tensors {
        let bytes =
            &file[tensor.offset as usize..][..tensor.size as usize][tensor.size as usize / 2..];
        let Landed {
            tensor: name,
            layer,
        } = builder.write(&tensor.name, bytes).unwrap().unwrap();
        assert_eq!(name, tensor.name);
        layers.extend(layer);
        assert_eq!(builder.write(&tensor.name, &[]).unwrap(), None);
    }
    assert_eq!(layers, [0, 1]);
    assert!(builder.missing().is_empty());
    let model = Arc::new(builder.finish().unwrap());
    assert_same_bits(
        &alone(&model, &[1, 2])[1],
        &alone(&tiny(Architecture::Qwen3), &[1, 2])[1],
    );
}

#[test]
fn bytes_that_are_too_many_or_missing_are_refused() {
    let file = file();
    let headers = [Header::parse(&file).unwrap()];
    let mut builder = Builder::new(&headers).unwrap();
    let size = headers[0].tensor("output_norm.weight").unwrap().size;
    assert!(matches!(
        builder.write("output_norm.weight", &vec![0; size as usize + 3]),
        Err(Error::TooManyBytes { surplus: 3, .. })
    ));
    assert!(matches!(
        builder.write("nothing", &[0]),
        Err(Error::UnknownTensor { .. })
    ));
    assert!(
        builder
            .write("output_norm.weight", &vec![0; size as usize])
            .unwrap()
            .is_some()
    );
    assert!(matches!(
        builder.write("output_norm.weight", &[1]),
        Err(Error::TooManyBytes { surplus: 1, .. })
    ));
    let count = headers[0].tensors.len() - 1;
    assert!(matches!(builder.finish(), Err(Error::Incomplete { count: c, .. }) if c == count));
}

#[test]
fn one_file_may_mix_all_types() {
    let plain = TinyModel {
        layers: 3,
        ..TinyModel::new(Architecture::Llama)
    }
    .to_bytes();
    let header = Header::parse(&plain).unwrap();
    let mut writer = Writer::new();
    for (key, value) in header.metadata.iter() {
        writer = writer.with(key, value.clone());
    }
    let (mut kinds, mut rng) = (COMPUTABLE.iter().cycle(), Rng::new(5));
    for tensor in &header.tensors {
        let bytes = &plain[tensor.offset as usize..tensor.end() as usize];
        let (kind, bytes) = match *tensor.shape {
            [columns, rows] => {
                let kind = *kinds.next().unwrap();
                let bytes = random_tensor(&mut rng, kind, columns as usize, rows as usize);
                (kind, bytes)
            }
            _ => (tensor.kind, bytes.to_vec()),
        };
        writer = writer.tensor(&tensor.name, &tensor.shape, kind, bytes);
    }
    let file = writer.to_bytes().unwrap();
    let header = Header::parse(&file).unwrap();
    for kind in COMPUTABLE {
        assert!(header.tensors.iter().any(|tensor| tensor.kind == kind));
    }
    let model = Arc::new(build(&file, 999).unwrap());
    let plan = inspect(&[header]).unwrap();
    assert_eq!(model.weight_bytes() as u64, plan.weight_bytes);
    let logits = alone(&model, &tokens(&model, 1, 20));
    assert!(logits.iter().flatten().all(|logit| logit.is_finite()));
}

#[test]
fn the_plan_tells_the_memory_that_is_taken() {
    for kind in [
        TensorType::F32,
        TensorType::F16,
        TensorType::Q4_0,
        TensorType::Q8_0,
        TensorType::Q2_K,
        TensorType::Q6_K,
        TensorType::IQ4_NL,
        TensorType::IQ4_XS,
        TensorType::I2_S,
        TensorType::MXFP4,
    ] {
        let file = TinyModel {
            kind,
            tied: false,
            ..TinyModel::new(Architecture::Qwen2)
        }
        .to_bytes();
        let headers = [Header::parse(&file).unwrap()];
        let plan = inspect(&headers).unwrap();
        let model = Arc::new(build(&file, usize::MAX).unwrap());
        assert_eq!(
            model.weight_bytes() as u64,
            plan.weight_bytes,
            "{}",
            kind.name()
        );

        let mut context = context(&model, 256);
        let seq = context.create();
        append(&mut context, seq, &tokens(&model, 1, 128)).unwrap();
        assert_eq!(
            context.kv_bytes(),
            128 * plan.kv_bytes_per_token(KvType::F32).unwrap()
        );
        let (told, taken) = (plan.scratch_bytes(128, 1), context.scratch_bytes() as u64);
        assert!(
            taken * 9 <= told * 10 && told <= taken * 2,
            "{}: {told} told, {taken} taken",
            kind.name()
        );
    }
}
