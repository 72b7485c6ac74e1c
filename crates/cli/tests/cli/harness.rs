//! Tiny models on disk, and the program run with arguments.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;
use testkit::{Architecture, TinyModel};

/// A folder of its own for each test, gone afterwards.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        // What a run that was ended before its time has left would be mistaken for this run's.
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Names of all files, in order.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    pub(crate) fn model(&self) -> String {
        self.write("tiny.gguf", tiny().to_bytes())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A folder that stays behind in the build's scratch space harms nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn tiny() -> TinyModel {
    TinyModel {
        layers: 1,
        ..TinyModel::new(Architecture::Qwen3)
    }
}

pub(crate) fn minnow(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_minnow"))
        .args(args)
        .output()
        .unwrap()
}

/// Runs a command that must succeed and write one JSON value and nothing else.
pub(crate) fn json(args: &[&str]) -> Value {
    let output = minnow(args);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {stderr}");
    assert_eq!(stderr, "", "{args:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Runs a command that must fail; returns its message.
pub(crate) fn failure(args: &[&str]) -> String {
    let output = minnow(args);
    assert_eq!(output.status.code(), Some(1), "{args:?}");
    assert!(output.stdout.is_empty(), "{args:?}");
    String::from_utf8(output.stderr).unwrap()
}

pub(crate) fn ids(value: &Value) -> Vec<u64> {
    value["ids"]
        .as_array()
        .unwrap()
        .iter()
        .map(|id| id.as_u64().unwrap())
        .collect()
}
