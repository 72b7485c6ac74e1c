//! Headers that differ from a model's in some place.

use gguf::{Header, TensorType, Value, Writer};
use model::{Config, Error, inspect};
use testkit::TinyModel;

/// The parts of a tiny model's header, to be changed.
pub(crate) struct Parts {
    pub(crate) metadata: Vec<(String, Value)>,
    pub(crate) tensors: Vec<(String, Vec<u64>, TensorType)>,
}

impl Parts {
    pub(crate) fn new(architecture: testkit::Architecture) -> Self {
        Self::of(&TinyModel::new(architecture).to_bytes())
    }

    /// The header of a golden model.
    pub(crate) fn fixture(name: &str) -> Self {
        Self::of(&super::fixture_file(name))
    }

    fn of(file: &[u8]) -> Self {
        let header = Header::parse(file).unwrap();
        Self {
            metadata: header
                .metadata
                .iter()
                .map(|(key, value)| (key.to_owned(), value.clone()))
                .collect(),
            tensors: header
                .tensors
                .into_iter()
                .map(|tensor| (tensor.name, tensor.shape, tensor.kind))
                .collect(),
        }
    }

    pub(crate) fn llama() -> Self {
        Self::new(testkit::Architecture::Llama)
    }

    pub(crate) fn set(mut self, key: &str, value: impl Into<Value>) -> Self {
        self = self.without(key);
        self.metadata.push((key.to_owned(), value.into()));
        self
    }

    /// Gives another architecture's name to the keys.
    pub(crate) fn rename(mut self, from: &str, to: &str) -> Self {
        for (key, _) in &mut self.metadata {
            *key = key.replace(&format!("{from}."), &format!("{to}."));
        }
        self.set("general.architecture", to)
    }

    pub(crate) fn without(mut self, key: &str) -> Self {
        self.metadata.retain(|(present, _)| present != key);
        self.tensors.retain(|(present, ..)| present != key);
        self
    }

    pub(crate) fn tensor(mut self, name: &str, shape: &[u64], kind: TensorType) -> Self {
        self = self.without(name);
        self.tensors.push((name.to_owned(), shape.to_vec(), kind));
        self
    }

    pub(crate) fn header(self) -> Header {
        let mut writer = Writer::new();
        for (key, value) in self.metadata {
            writer = writer.with(key, value);
        }
        for (name, shape, kind) in self.tensors {
            let bytes = vec![0; kind.tensor_bytes(&shape).unwrap() as usize];
            writer = writer.tensor(name, &shape, kind, bytes);
        }
        Header::parse(&writer.to_bytes().unwrap()).unwrap()
    }

    pub(crate) fn config(self) -> Result<Config, Error> {
        Config::from_header(&self.header())
    }

    pub(crate) fn inspect(self) -> Result<model::Plan, Error> {
        inspect(&[self.header()])
    }
}

#[track_caller]
pub(crate) fn assert_unsupported(result: Result<Config, Error>, expected: &str) {
    match result {
        Err(Error::UnsupportedValue { key, .. }) => assert_eq!(key, expected),
        other => panic!("{other:?} instead of an unsupported {expected}"),
    }
}
