//! From a file's bytes to its tensors' bytes.

use gguf::Header;

/// Gives each tensor its share of `bytes`, which begin at `position` of the file, without copying: one call per tensor that
/// has some, in file order. The header, padding and whatever follows the last tensor go to nobody.
///
/// # Errors
/// The first that `tensor` returns.
pub(crate) fn share_out<E>(
    header: &Header,
    position: u64,
    bytes: &[u8],
    mut tensor: impl FnMut(&str, &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let end = position + bytes.len() as u64;
    // The directory is in file order.
    let passed = header
        .tensors
        .partition_point(|info| info.end() <= position);
    for info in &header.tensors[passed..] {
        if info.offset >= end {
            break;
        }
        let (from, to) = (info.offset.max(position), info.end().min(end));
        if from < to {
            // Both lie within `bytes`, whose length is a usize.
            let share = (from - position) as usize..(to - position) as usize;
            tensor(&info.name, &bytes[share])?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use gguf::{TensorType, Writer};
    use proptest::prelude::*;

    use super::*;

    fn file() -> Vec<u8> {
        let bytes = |n: u8, len: usize| vec![n; len];
        Writer::new()
            .with("general.architecture", "test")
            .tensor("a", &[8, 2], TensorType::F32, bytes(1, 64))
            .tensor("b", &[3], TensorType::F32, bytes(2, 12))
            .tensor("c", &[32], TensorType::Q8_0, bytes(3, 34))
            .to_bytes()
            .unwrap()
    }

    proptest! {
        #[test]
        fn tensors_are_the_same_however_the_file_is_cut(cuts in prop::collection::vec(1_usize..200, 1..40)) {
            let file = file();
            let header = Header::parse(&file).unwrap();
            let mut got: BTreeMap<String, Vec<u8>> = BTreeMap::new();
            let mut position = 0;
            for cut in cuts.iter().cycle() {
                let piece = &file[position..][..(*cut).min(file.len() - position)];
                share_out(&header, position as u64, piece, |name, bytes| {
                    got.entry(name.to_owned()).or_default().extend_from_slice(bytes);
                    Ok::<_, ()>(())
                }).unwrap();
                position += piece.len();
                if position == file.len() { break }
            }
            let expected = [("a", vec![1; 64]), ("b", vec![2; 12]), ("c", vec![3; 34])];
            prop_assert_eq!(got, expected.map(|(name, bytes)| (name.to_owned(), bytes)).into());
        }
    }

    #[test]
    fn an_error_ends_it() {
        let file = file();
        let header = Header::parse(&file).unwrap();
        let mut calls = 0;
        let result = share_out(&header, 0, &file, |_, _| {
            calls += 1;
            Err("no")
        });
        assert_eq!((result, calls), (Err("no"), 1));
    }
}
