//! A file written by the reference implementation reads as it was written (tests/fixtures/gguf/make.py).

use gguf::{Array, Header, StringArray, TensorType, Value};

const FILE: &[u8] = include_bytes!("../../../tests/fixtures/gguf/values.gguf");

#[test]
fn every_metadata_type() {
    let metadata = Header::parse(FILE).expect("valid").metadata;
    let strings: StringArray = ["a", "", "țară", "中"].into_iter().collect();
    let nested = vec![Array::I32(vec![1, 2]), Array::I32(vec![3])];
    let expected: [(&str, Value); 22] = [
        ("general.architecture", "llama".into()),
        ("general.alignment", 64u32.into()),
        ("u8", 200u8.into()),
        ("i8", (-100i8).into()),
        ("u16", 60_000u16.into()),
        ("i16", (-30_000i16).into()),
        ("u32", 4_000_000_000u32.into()),
        ("i32", (-2_000_000_000i32).into()),
        ("u64", ((1u64 << 63) + 5).into()),
        ("i64", (-(1i64 << 62)).into()),
        ("f32", 0.1f32.into()),
        ("f64", 0.1f64.into()),
        ("yes", true.into()),
        ("no", false.into()),
        ("text", "țară 中文 🦊".into()),
        ("empty", "".into()),
        ("strings", strings.into()),
        ("i32s", Array::I32(vec![1, -2, 3]).into()),
        ("f32s", Array::F32(vec![0.5, -1.25]).into()),
        ("bools", Array::Bool(vec![true, false, true]).into()),
        ("nested", Array::Arrays(nested).into()),
        ("bytes", Array::U8(vec![0, 0x80, 0xff]).into()),
    ];
    for (key, value) in &expected {
        assert_eq!(metadata.get(key), Some(value), "{key}");
    }
    assert_eq!(metadata.len(), expected.len() + 1, "all but made.with");
}

#[test]
fn typed_getters_convert_and_refuse() {
    let metadata = Header::parse(FILE).expect("valid").metadata;
    assert_eq!(metadata.u32("u8"), Ok(Some(200)));
    assert_eq!(metadata.i32("i16"), Ok(Some(-30_000)));
    assert_eq!(metadata.u64("u64"), Ok(Some((1 << 63) + 5)));
    assert_eq!(metadata.f32("f64"), Ok(Some(0.1)));
    assert_eq!(metadata.string("absent"), Ok(None));
    let error = metadata.u32("i32").expect_err("negative").to_string();
    assert!(error.contains("\"i32\" is i32 -2000000000"), "{error}");
    let error = metadata.strings("i32s").expect_err("numbers").to_string();
    assert!(error.contains("an array of i32"), "{error}");
    let texts = metadata
        .strings("strings")
        .expect("strings")
        .expect("present");
    assert_eq!(
        texts.iter().collect::<Vec<_>>(),
        [&b"a"[..], b"", "țară".as_bytes(), "中".as_bytes()]
    );
    assert_eq!((texts.get_str(2), texts.get_str(4)), (Some("țară"), None));
}

#[test]
fn tensors_lie_where_the_directory_says() {
    let header = Header::parse(FILE).expect("valid");
    let found: Vec<_> = header
        .tensors
        .iter()
        .map(|t| (t.name.as_str(), t.kind, t.size))
        .collect();
    let expected = [
        ("matrix.f32", TensorType::F32, 512),
        ("matrix.f16", TensorType::F16, 256),
        ("matrix.q8_0", TensorType::Q8_0, 136),
        ("matrix.bf16", TensorType::BF16, 256),
    ];
    assert_eq!(found, expected);
    for tensor in &header.tensors {
        assert_eq!(tensor.shape, [64, 2]);
        assert_eq!(tensor.offset % 64, 0);
    }
    let f32s = header.tensor("matrix.f32").expect("present");
    let last = FILE[..f32s.end() as usize]
        .last_chunk()
        .expect("four bytes");
    assert_eq!(f32::from_le_bytes(*last), 127.0 / 64.0);
}
