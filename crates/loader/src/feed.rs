//! From a file's bytes to its tensors' bytes.

use gguf::Header;

/// Cuts a file, given in order and in pieces of any size, into its tensors, without copying.
#[derive(Debug, Clone, Default)]
pub struct TensorFeed {
    /// Bytes of the file that have passed.
    position: u64,
    /// Place in the directory of the first tensor that is not yet complete.
    next: usize,
}

impl TensorFeed {
    /// A feed at the start of a file.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the file's next bytes and gives each tensor its share: at least one call per tensor that has bytes, in
    /// file order. The header, padding and whatever follows the last tensor go to nobody.
    ///
    /// # Errors
    /// The first that `tensor` returns; the feed is then of no further use.
    pub fn push<E>(
        &mut self,
        header: &Header,
        bytes: &[u8],
        mut tensor: impl FnMut(&str, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let (start, end) = (self.position, self.position + bytes.len() as u64);
        self.position = end;
        while let Some(info) = header.tensors.get(self.next) {
            let (from, to) = (info.offset.max(start), info.end().min(end));
            if from < to {
                // Both lie within `bytes`, whose length is a usize.
                tensor(
                    &info.name,
                    &bytes[(from - start) as usize..(to - start) as usize],
                )?;
            }
            if info.end() > end {
                break;
            }
            self.next += 1;
        }
        Ok(())
    }

    /// Whether every tensor's last byte has passed.
    pub fn is_complete(&self, header: &Header) -> bool {
        self.next == header.tensors.len()
    }
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
            let mut feed = TensorFeed::new();
            let mut got: BTreeMap<String, Vec<u8>> = BTreeMap::new();
            let mut rest = &file[..];
            for cut in cuts.iter().cycle() {
                let (piece, tail) = rest.split_at((*cut).min(rest.len()));
                feed.push(&header, piece, |name, bytes| {
                    got.entry(name.to_owned()).or_default().extend_from_slice(bytes);
                    Ok::<_, ()>(())
                }).unwrap();
                rest = tail;
                if rest.is_empty() { break }
            }
            prop_assert!(feed.is_complete(&header));
            let expected = [("a", vec![1; 64]), ("b", vec![2; 12]), ("c", vec![3; 34])];
            prop_assert_eq!(got, expected.map(|(name, bytes)| (name.to_owned(), bytes)).into());
        }
    }

    #[test]
    fn an_error_stops_the_feed() {
        let file = file();
        let header = Header::parse(&file).unwrap();
        let mut calls = 0;
        let result = TensorFeed::new().push(&header, &file, |_, _| {
            calls += 1;
            Err("no")
        });
        assert_eq!((result, calls), (Err("no"), 1));
    }
}
