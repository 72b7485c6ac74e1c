//! Split sets: which files belong together.

use gguf::{Error, Header, Split, TensorType, Value, Writer, split};

fn shard(no: u16, count: u16, total: i32, tensors: &[&str]) -> Header {
    let start = Writer::new()
        .with(split::NO_KEY, no)
        .with(split::COUNT_KEY, count)
        .with(split::TENSORS_KEY, total);
    let writer = tensors.iter().fold(start, |writer, name| {
        writer.tensor(*name, &[1], TensorType::F32, vec![0; 4])
    });
    Header::parse(&writer.to_bytes().expect("valid")).expect("valid")
}

fn split_of(no: impl Into<Value>, count: impl Into<Value>) -> Result<Option<Split>, Error> {
    let writer = Writer::new()
        .with(split::NO_KEY, no)
        .with(split::COUNT_KEY, count)
        .with(split::TENSORS_KEY, 3);
    Header::parse(&writer.to_bytes()?)?.split()
}

#[track_caller]
fn assert_bad(headers: &[Header], reason: &str) {
    let error = split::check_set(headers)
        .expect_err("not a set")
        .to_string();
    assert!(error.contains(reason), "{error}");
}

#[test]
fn split_keys_are_read_and_checked() {
    let expected = Split {
        no: 1,
        count: 2,
        tensors: 3,
    };
    assert_eq!(split_of(1u16, 2u16), Ok(Some(expected)));
    assert_eq!(split_of(1i64, 2u8), Ok(Some(expected)));
    assert_eq!(split_of(0u16, 1u16), Ok(None));
    assert!(matches!(split_of(2u16, 2u16), Err(Error::BadSplit { .. })));
    assert!(matches!(
        split_of(0u16, 70_000u32),
        Err(Error::BadSplit { .. })
    ));
    assert!(matches!(split_of("0", 2u16), Err(Error::WrongType { .. })));
    let incomplete = Writer::new()
        .with(split::COUNT_KEY, 2u16)
        .to_bytes()
        .expect("valid");
    let header = Header::parse(&incomplete).expect("valid");
    assert!(matches!(header.split(), Err(Error::BadSplit { .. })));
}

#[test]
fn a_set_is_complete_in_order_and_of_one_model() {
    let (a, b) = (shard(0, 2, 3, &["x", "y"]), shard(1, 2, 3, &["z"]));
    assert_eq!(split::check_set(&[a.clone(), b.clone()]), Ok(()));
    assert_bad(&[], "no files");
    assert_bad(std::slice::from_ref(&a), "1 files were given");
    assert_bad(&[a.clone(), b.clone(), b.clone()], "3 files were given");
    assert_bad(&[b.clone(), a.clone()], "file 0 has split.no 1");
    assert_bad(
        &[a.clone(), shard(1, 2, 4, &["z"])],
        "2 files and 4 tensors",
    );
    assert_bad(&[a.clone(), shard(1, 2, 3, &["z", "w"])], "have 4 tensors");
    let twice = split::check_set(&[a.clone(), shard(1, 2, 3, &["x"])]);
    assert_eq!(
        twice,
        Err(Error::DuplicateTensor {
            tensor: "x".to_owned()
        })
    );
    let whole = Header::parse(&Writer::new().to_bytes().expect("valid")).expect("valid");
    assert_eq!(split::check_set(std::slice::from_ref(&whole)), Ok(()));
    assert_bad(&[whole.clone(), b], "the first is a whole model");
    assert_bad(&[a, whole], "file 1 does not belong to a set");
}
