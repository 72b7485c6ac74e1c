//! Models to load in the world.

use std::collections::BTreeMap;

use loader::{Digest, Error, ModelSpec, Source};

use super::{End, Tensors, World, file, tensors_of};

pub(crate) const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

/// Tensors of `blocks` blocks as in a file that has them sorted as text, block 10 before block 2, and the output's.
pub(crate) fn sorted_as_text(blocks: u32) -> Vec<String> {
    let mut names: Vec<String> = (0..blocks)
        .flat_map(|block| [format!("blk.{block}.v"), format!("blk.{block}.w")])
        .collect();
    names.sort();
    names.insert(0, "token_embd.weight".to_owned());
    names.push("output_norm.weight".to_owned());
    names
}

/// A model, the world it is loaded in, and where its parts are.
pub(crate) struct Case {
    pub(crate) world: World,
    pub(crate) model: ModelSpec,
    pub(crate) addresses: Vec<String>,
}

impl Case {
    /// A model served at `source`, its whole files cut into the source's parts.
    pub(crate) fn new(source: &[&str], files: &[Vec<u8>], seed: u64) -> Self {
        let model = ModelSpec::from_source(&Source::parse_list(source).unwrap()).unwrap();
        let mut addresses = Vec::new();
        let mut server = BTreeMap::new();
        for (spec, bytes) in model.files.iter().zip(files) {
            let piece = bytes.len().div_ceil(spec.parts.len()).max(1);
            let pieces = bytes.chunks(piece).chain([&[][..]]);
            for (part, bytes) in spec.parts.iter().zip(pieces) {
                let loader::files::Location::Url(url) = &part.location else {
                    panic!("{part:?}")
                };
                addresses.push(url.to_string());
                server.insert(url.to_string(), bytes.to_vec());
            }
        }
        Self {
            world: World::new(server, seed),
            model,
            addresses,
        }
    }

    pub(crate) fn single(seed: u64) -> (Self, Tensors) {
        let files = [file(&NAMES, None, seed)];
        (
            Self::new(&["https://h.org/m.gguf"], &files, seed),
            tensors_of(&files),
        )
    }

    /// The publisher's hashes are known, as they are from a hub.
    pub(crate) fn with_hashes(mut self, files: &[Vec<u8>]) -> Self {
        for (spec, bytes) in self.model.files.iter_mut().zip(files) {
            spec.sha256 = Some(Digest::of(bytes));
        }
        self
    }

    /// The same model is served at `source`, too, or what is said to be the same.
    pub(crate) fn with_mirror(mut self, source: &[&str], files: &[Vec<u8>]) -> Self {
        let mirror = Self::new(source, files, 0);
        self.model.add_mirror(&mirror.model).unwrap();
        self.world.server.extend(mirror.world.server);
        self
    }

    /// Loads, and is killed after `steps` events.
    #[track_caller]
    pub(crate) fn kill_after(&mut self, steps: usize) {
        let end = self.world.load(&self.model, Some(steps));
        assert!(matches!(end, End::Killed), "{end:?}");
    }

    /// The server has another version from now on.
    pub(crate) fn replace(&mut self, newer: &[u8]) {
        let address = self.addresses[0].clone();
        self.world.server.insert(address, newer.to_vec());
    }

    pub(crate) fn load(&mut self) -> End {
        self.world.load(&self.model, None)
    }

    #[track_caller]
    pub(crate) fn expect(&mut self, expected: &Tensors) -> loader::download::Summary {
        match self.load() {
            End::Done(summary, tensors) => {
                assert_eq!(&tensors, expected);
                summary
            }
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn expect_failure(&mut self) -> Error {
        match self.load() {
            End::Failed(error) => error,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.world.record.is_none() && self.world.chunks.is_empty() && self.world.journal.is_empty()
    }

    pub(crate) fn size(&self) -> u64 {
        self.world
            .server
            .values()
            .map(|bytes| bytes.len() as u64)
            .sum()
    }
}
