//! Builds the npm package `minnow-llm`.

use anyhow::{Result, bail};

use crate::project::Project;

#[derive(Debug, Default, clap::Args)]
pub(crate) struct Options {}

/// One build of the wasm module.
pub(crate) struct Variant {
    /// Its name in the package.
    pub(crate) name: &'static str,
    features: &'static str,
}

/// Plain SIMD128 is the floor; relaxed SIMD is picked where the browser has it.
pub(crate) const VARIANTS: &[Variant] = &[
    Variant {
        name: "simd",
        features: "+simd128",
    },
    Variant {
        name: "relaxed",
        features: "+simd128,+relaxed-simd",
    },
];

impl Variant {
    /// Each variant has a target folder of its own, so that they do not rebuild each other's work.
    pub(crate) fn target_dir(&self) -> String {
        format!("target/wasm-{}", self.name)
    }

    /// The compiler flags that make the variant.
    pub(crate) fn rustflags(&self) -> String {
        format!("-C target-feature={}", self.features)
    }
}

/// Builds the package into `dist/minnow-llm`.
pub(crate) fn run(_project: &Project, _options: &Options) -> Result<()> {
    bail!("the package is not built yet")
}
