//! Files that must be refused, each with the error that names its fault, and without memory for what it claims.

use gguf::{Array, Error, Header, HeaderReader, Limits, StringArray, TensorType, Value, Writer};

/// A header put together field by field, so that any field can be wrong.
#[derive(Default)]
struct Raw(Vec<u8>);

impl Raw {
    fn start(version: u32, tensors: u64, entries: u64) -> Self {
        Self(b"GGUF".to_vec())
            .bytes(&version.to_le_bytes())
            .u64(tensors)
            .u64(entries)
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn u32(self, value: u32) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    fn u64(self, value: u64) -> Self {
        self.bytes(&value.to_le_bytes())
    }

    fn text(self, text: &[u8]) -> Self {
        self.u64(text.len() as u64).bytes(text)
    }

    fn tensor(self, name: &str, shape: &[u64], kind: u32, offset: u64) -> Self {
        let named = self.text(name.as_bytes()).u32(shape.len() as u32);
        shape
            .iter()
            .fold(named, |raw, &dimension| raw.u64(dimension))
            .u32(kind)
            .u64(offset)
    }

    fn error(&self) -> Error {
        Header::parse(&self.0).expect_err("the header must be refused")
    }
}

#[track_caller]
fn assert_too_large(raw: &Raw, what: &str) {
    match raw.error() {
        Error::TooLarge { what: found, .. } => assert!(found.contains(what), "{found}"),
        other => panic!("{other:?}"),
    }
}

const U8: u32 = 0;
const BOOL: u32 = 7;
const STRING: u32 = 8;
const ARRAY: u32 = 9;
const F32: u32 = 0;
const Q8_0: u32 = 8;

#[test]
fn other_files_are_told_by_their_first_bytes() {
    let error = Header::parse(b"<!DOCTYPE html>").expect_err("not GGUF");
    assert_eq!(error, Error::NotGguf { first: *b"<!DO" });
    assert!(error.to_string().contains("\"<!DO\""), "{error}");
}

#[test]
fn versions_are_told_apart() {
    for version in [0, 1, 4, 0x1_0001] {
        assert_eq!(
            Raw::start(version, 0, 0).error(),
            Error::UnsupportedVersion { version }
        );
    }
    for version in [1, 2, 3] {
        assert_eq!(
            Raw::start(u32::swap_bytes(version), 0, 0).error(),
            Error::BigEndian { version }
        );
    }
    for version in [2, 3] {
        let header = Header::parse(&Raw::start(version, 0, 0).0).expect("an empty file");
        assert_eq!((header.version, header.file_size()), (version, 24));
    }
}

#[test]
fn absurd_counts_and_lengths_are_refused_when_they_are_read() {
    assert_too_large(&Raw::start(3, u64::MAX, 0), "number of tensors");
    assert_too_large(&Raw::start(3, 0, u64::MAX), "number of metadata entries");
    assert_too_large(&Raw::start(3, 0, 1).u64(u64::MAX), "metadata key 0");
    let key = || Raw::start(3, 0, 1).text(b"k");
    assert_too_large(
        &key().u32(STRING).u64(u64::MAX),
        "value of metadata key \"k\"",
    );
    assert_too_large(
        &key().u32(ARRAY).u32(U8).u64(u64::MAX),
        "number of elements",
    );
    assert_too_large(
        &key().u32(ARRAY).u32(STRING).u64(1).u64(1 << 40),
        "string 0",
    );
    assert_too_large(&Raw::start(3, 1, 0).u64(65), "name of tensor 0");
    assert_too_large(
        &Raw::start(3, 1, 0).text(b"t").u32(5),
        "dimensions of tensor \"t\"",
    );
    let far = u64::MAX / 64 * 32;
    assert_too_large(
        &Raw::start(3, 1, 0).tensor("t", &[1], F32, far),
        "end of tensor \"t\"",
    );
}

#[test]
fn an_array_that_cannot_fit_in_the_header_is_refused_before_its_elements() {
    let limits = Limits {
        header_bytes: 1000,
        ..Limits::default()
    };
    let raw = Raw::start(3, 0, 1)
        .text(b"k")
        .u32(ARRAY)
        .u32(STRING)
        .u64(200);
    let error = HeaderReader::with_limits(limits)
        .push(&raw.0)
        .expect_err("1600 bytes of lengths");
    assert!(
        matches!(error, Error::TooLarge { limit: 1000, .. }),
        "{error:?}"
    );
}

#[test]
fn a_header_longer_than_the_limit_is_refused() {
    let texts: StringArray = (0..100).map(|i| format!("text {i}")).collect();
    let file = Writer::new()
        .with("texts", texts)
        .to_bytes()
        .expect("valid");
    let header = Header::parse(&file).expect("valid");
    for header_bytes in [24, 40, 900, header.data_offset - 1] {
        let limits = Limits {
            header_bytes,
            ..Limits::default()
        };
        let result = HeaderReader::with_limits(limits).push(&file);
        assert!(
            matches!(result, Err(Error::TooLarge { .. })),
            "{header_bytes}: {result:?}"
        );
    }
}

#[test]
fn entries_must_make_sense() {
    let entry = |key: &[u8]| Raw::start(3, 0, 1).text(key);
    assert_eq!(entry(b"").error(), Error::EmptyKey { index: 0 });
    assert!(matches!(entry(b"\xff").error(), Error::InvalidUtf8 { .. }));
    assert!(matches!(
        entry(b"k").u32(STRING).text(b"\xc3").error(),
        Error::InvalidUtf8 { .. }
    ));
    let unknown = Error::UnknownValueType {
        key: "k".to_owned(),
        id: 13,
    };
    assert_eq!(entry(b"k").u32(13).error(), unknown);
    assert_eq!(entry(b"k").u32(ARRAY).u32(13).u64(0).error(), unknown);
    let invalid = Error::InvalidBool {
        key: "k".to_owned(),
        byte: 2,
    };
    assert_eq!(entry(b"k").u32(BOOL).bytes(&[2]).error(), invalid);
    let twice = Raw::start(3, 0, 2)
        .text(b"k")
        .u32(U8)
        .bytes(&[1])
        .text(b"k")
        .u32(U8)
        .bytes(&[1]);
    assert_eq!(
        twice.error(),
        Error::DuplicateKey {
            key: "k".to_owned()
        }
    );
}

#[test]
fn arrays_nest_only_so_deep() {
    let nested = |depth: usize| {
        let open = Raw::start(3, 0, 1).text(b"k").u32(ARRAY);
        let outer = (1..depth).fold(open, |raw, _| raw.u32(ARRAY).u64(1));
        outer.u32(U8).u64(1).bytes(&[7])
    };
    let limit = Limits::default().array_depth;
    let header = Header::parse(&nested(limit).0).expect("as deep as allowed");
    let Some(Value::Array(mut array)) = header.metadata.get("k").cloned() else {
        panic!("an array");
    };
    for _ in 1..limit {
        array = match array {
            Array::Arrays(mut inner) if inner.len() == 1 => inner.remove(0),
            other => panic!("{other:?}"),
        };
    }
    assert_eq!(array, Array::U8(vec![7]));
    let key = "k".to_owned();
    assert_eq!(
        nested(limit + 1).error(),
        Error::ArrayTooDeep { key, limit }
    );
}

#[test]
fn alignment_must_be_a_power_of_two_from_8() {
    let with = |alignment: u32| {
        let file = Raw::start(3, 0, 1)
            .text(gguf::ALIGNMENT_KEY.as_bytes())
            .u32(4)
            .u32(alignment);
        Header::parse(&file.0).map(|header| header.alignment)
    };
    for good in [8, 32, 4096] {
        assert_eq!(with(good), Ok(good.into()));
    }
    for bad in [0, 1, 4, 24, 33, 1 << 31] {
        assert!(
            matches!(with(bad), Err(Error::BadAlignment { .. })),
            "{bad}"
        );
    }
}

#[test]
fn shapes_must_fit_their_type() {
    let shape = |shape: &[u64], kind| Raw::start(3, 1, 0).tensor("t", shape, kind, 0).error();
    for bad in [&[][..], &[0], &[32, 0]] {
        assert!(matches!(shape(bad, F32), Error::BadShape { .. }), "{bad:?}");
    }
    assert!(matches!(shape(&[33], Q8_0), Error::BadShape { .. }));
    for overflowing in [
        &[1 << 62][..],
        &[1 << 32, 1 << 32],
        &[u64::MAX, u64::MAX, u64::MAX, u64::MAX],
    ] {
        assert!(
            matches!(shape(overflowing, F32), Error::BadShape { .. }),
            "{overflowing:?}"
        );
    }
    for withdrawn in [4, 5, 31, 33, 37, 43, u32::MAX] {
        let tensor = "t".to_owned();
        assert_eq!(
            shape(&[32], withdrawn),
            Error::UnknownTensorType {
                tensor,
                id: withdrawn
            }
        );
    }
}

#[test]
fn tensors_must_be_aligned_and_in_order() {
    let two = |second: u64| {
        Raw::start(3, 2, 0)
            .tensor("a", &[9], F32, 0)
            .tensor("b", &[1], F32, second)
    };
    let tensor = || "b".to_owned();
    assert_eq!(
        two(40).error(),
        Error::MisalignedTensor {
            tensor: tensor(),
            offset: 40,
            alignment: 32
        }
    );
    for offset in [0, 32] {
        let expected = Error::OverlappingTensor {
            tensor: tensor(),
            offset,
            previous_end: 36,
        };
        assert_eq!(two(offset).error(), expected);
    }
    let header = Header::parse(&two(96).0).expect("a gap is allowed");
    assert_eq!(header.tensors[1].offset, header.data_offset + 96);
    assert_eq!(header.file_size(), header.data_offset + 100);
    let same = Raw::start(3, 2, 0)
        .tensor("a", &[8], F32, 0)
        .tensor("a", &[8], F32, 32);
    assert_eq!(
        same.error(),
        Error::DuplicateTensor {
            tensor: "a".to_owned()
        }
    );
}

#[test]
fn a_failed_reader_stays_failed() {
    let mut reader = HeaderReader::new();
    let first = reader.push(b"nope").expect_err("not GGUF");
    assert_eq!(reader.push(b"GGUF").expect_err("still not"), first);
}

#[test]
fn a_truncated_header_says_where_it_ended() {
    let file = Writer::new().with("k", 1u8).to_bytes().expect("valid");
    let error = Header::parse(&file[..30]).expect_err("truncated");
    assert_eq!(error, Error::Truncated { bytes: 30 });
}

#[test]
fn the_writer_refuses_what_a_reader_would() {
    let tensor = |shape: &[u64], bytes| {
        Writer::new()
            .tensor("t", shape, TensorType::Q8_0, vec![0; bytes])
            .to_bytes()
    };
    assert!(tensor(&[32, 2], 68).is_ok());
    assert!(matches!(
        tensor(&[32, 2], 67),
        Err(Error::WrongTensorSize {
            expected: 68,
            actual: 67,
            ..
        })
    ));
    assert!(matches!(tensor(&[31], 34), Err(Error::BadShape { .. })));
    let twice = Writer::new().with("k", 1u8).with("k", 2u8).to_bytes();
    assert!(matches!(twice, Err(Error::DuplicateKey { .. })));
    let alignment = Writer::new().with(gguf::ALIGNMENT_KEY, 48u32).to_bytes();
    assert!(matches!(
        alignment,
        Err(Error::BadAlignment { alignment: 48, .. })
    ));
    let version = Writer::new().version(1).to_bytes();
    assert_eq!(version, Err(Error::UnsupportedVersion { version: 1 }));
}
