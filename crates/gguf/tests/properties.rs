//! What must hold for every file, piece size, cut and damage.

use gguf::{Array, Header, HeaderReader, StringArray, TensorType, Value, Writer};
use proptest::{collection::vec, prelude::*};

fn numbers() -> impl Strategy<Value = Array> {
    prop_oneof![
        vec(any::<u8>(), 0..9).prop_map(Array::U8),
        vec(any::<i8>(), 0..9).prop_map(Array::I8),
        vec(any::<u16>(), 0..9).prop_map(Array::U16),
        vec(any::<i16>(), 0..9).prop_map(Array::I16),
        vec(any::<u32>(), 0..9).prop_map(Array::U32),
        vec(any::<i32>(), 0..9).prop_map(Array::I32),
        vec(any::<u64>(), 0..9).prop_map(Array::U64),
        vec(any::<i64>(), 0..9).prop_map(Array::I64),
        vec(any::<f32>(), 0..9).prop_map(Array::F32),
        vec(any::<f64>(), 0..9).prop_map(Array::F64),
        vec(any::<bool>(), 0..9).prop_map(Array::Bool),
        vec(vec(any::<u8>(), 0..9), 0..9)
            .prop_map(|texts| Array::Strings(texts.into_iter().collect::<StringArray>())),
    ]
}

fn arrays() -> impl Strategy<Value = Array> {
    numbers().prop_recursive(3, 12, 3, |inner| vec(inner, 0..4).prop_map(Array::Arrays))
}

fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<u8>().prop_map(Value::U8),
        any::<i8>().prop_map(Value::I8),
        any::<u16>().prop_map(Value::U16),
        any::<i16>().prop_map(Value::I16),
        any::<u32>().prop_map(Value::U32),
        any::<i32>().prop_map(Value::I32),
        any::<u64>().prop_map(Value::U64),
        any::<i64>().prop_map(Value::I64),
        any::<f32>().prop_map(Value::F32),
        any::<f64>().prop_map(Value::F64),
        any::<bool>().prop_map(Value::Bool),
        ".{0,12}".prop_map(Value::String),
        arrays().prop_map(Value::Array),
    ]
}

/// Metadata entries, tensors, version and alignment of a valid file.
type Contents = (Vec<Value>, Vec<(Vec<u64>, TensorType)>, u32, u32);

fn contents() -> impl Strategy<Value = Contents> {
    let kind = proptest::sample::select(TensorType::ALL);
    let tensor = (vec(1u64..4, 1..=4), kind).prop_map(|(mut shape, kind)| {
        shape[0] *= kind.block_len();
        (shape, kind)
    });
    let alignment = prop_oneof![Just(8), Just(32), Just(256)];
    (vec(values(), 0..6), vec(tensor, 0..6), 2u32..=3, alignment)
}

fn file((entries, tensors, version, alignment): &Contents) -> Vec<u8> {
    let start = Writer::new()
        .version(*version)
        .with(gguf::ALIGNMENT_KEY, *alignment);
    let with_entries = entries
        .iter()
        .enumerate()
        .fold(start, |writer, (i, value)| {
            writer.with(format!("key.{i}"), value.clone())
        });
    let writer = tensors
        .iter()
        .enumerate()
        .fold(with_entries, |writer, (i, (shape, kind))| {
            let size = kind.tensor_bytes(shape).expect("a valid shape");
            writer.tensor(
                format!("tensor.{i}"),
                shape,
                *kind,
                vec![i as u8 + 1; size as usize],
            )
        });
    writer.to_bytes().expect("a valid file")
}

/// Feeds `bytes` in pieces of the given sizes, again and again.
fn in_pieces(bytes: &[u8], sizes: &[usize]) -> (Option<Header>, HeaderReader) {
    let mut reader = HeaderReader::new();
    let mut rest = bytes;
    for &size in sizes.iter().cycle() {
        let (piece, after) = rest.split_at(size.min(rest.len()));
        rest = after;
        if let Some(header) = reader.push(piece).expect("a valid file") {
            return (Some(header), reader);
        }
        if rest.is_empty() {
            break;
        }
    }
    (None, reader)
}

/// NaN compares unequal to itself; its bits print the same.
fn printed(header: &Header) -> String {
    format!("{header:?}")
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(contents in contents()) {
        let file = file(&contents);
        let header = Header::parse(&file).expect("a valid file");
        let (entries, tensors, version, alignment) = contents;
        prop_assert_eq!(header.version, version);
        prop_assert_eq!(header.alignment, u64::from(alignment));
        prop_assert_eq!(header.metadata.len(), entries.len() + 1);
        for (i, value) in entries.iter().enumerate() {
            let read = header.metadata.get(&format!("key.{i}")).expect("present");
            prop_assert_eq!(format!("{read:?}"), format!("{value:?}"));
        }
        prop_assert_eq!(header.tensors.len(), tensors.len());
        for (i, (shape, kind)) in tensors.iter().enumerate() {
            let info = header.tensor(&format!("tensor.{i}")).expect("present");
            prop_assert_eq!((&info.shape, info.kind), (shape, *kind));
            prop_assert!((info.offset - header.data_offset).is_multiple_of(header.alignment));
            let bytes = &file[info.offset as usize..info.end() as usize];
            prop_assert!(bytes.iter().all(|&byte| byte == i as u8 + 1));
        }
        prop_assert!(header.file_size() <= file.len() as u64);
    }

    #[test]
    fn the_pieces_do_not_matter(contents in contents(), sizes in vec(1usize..70, 1..8)) {
        let file = file(&contents);
        let whole = Header::parse(&file).expect("a valid file");
        let (header, mut reader) = in_pieces(&file, &sizes);
        prop_assert_eq!(printed(&header.expect("complete")), printed(&whole));
        prop_assert!(reader.position() <= whole.data_offset);
        prop_assert_eq!(reader.push(b"surplus").expect("ignored"), None);
    }

    #[test]
    fn a_cut_header_is_never_complete(contents in contents(), cut in 0.0..1.0f64) {
        let file = file(&contents);
        let (_, reader) = in_pieces(&file, &[file.len()]);
        let cut = (reader.position() as f64 * cut) as usize;
        let (header, reader) = in_pieces(&file[..cut], &[13]);
        prop_assert_eq!(header, None);
        prop_assert_eq!(reader.position(), cut as u64);
    }

    #[test]
    fn damage_never_panics(
        contents in contents(),
        damage in vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
        size in 1usize..70,
    ) {
        let mut file = file(&contents);
        for (index, byte) in damage {
            let at = index.index(file.len());
            file[at] = byte;
        }
        let whole = Header::parse(&file);
        let mut reader = HeaderReader::new();
        let pieces = file.chunks(size).map(|piece| reader.push(piece)).find(|r| !matches!(r, Ok(None)));
        match (pieces, whole) {
            (Some(Ok(Some(pieces))), Ok(whole)) => prop_assert_eq!(printed(&pieces), printed(&whole)),
            (Some(Err(pieces)), Err(whole)) => prop_assert_eq!(pieces, whole),
            (None, Err(whole)) => prop_assert_eq!(reader.truncated(), whole),
            (pieces, whole) => prop_assert!(false, "in pieces {pieces:?}, whole {whole:?}"),
        }
    }

    #[test]
    fn noise_never_panics(noise in vec(any::<u8>(), 0..400)) {
        let mut file = b"GGUF\x03\0\0\0\x02\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0".to_vec();
        file.extend(noise);
        let whole = Header::parse(&file);
        let mut reader = HeaderReader::new();
        let byte_by_byte = file.chunks(1).find_map(|byte| reader.push(byte).err());
        prop_assert_eq!(byte_by_byte, whole.err().filter(|error| !matches!(error, gguf::Error::Truncated { .. })));
    }
}
