//! Builds the npm package `minnow-llm`: the wasm variants, the TypeScript half, and their sizes.
//!
//! `docs/packaging.md` says why the package is the way it is.

mod order;
mod sizes;
mod wasm;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::project::{Project, run as run_command, say};
use crate::tools;

pub(crate) use wasm::{VARIANTS, example};

/// The hand-written half of the package.
const TEMPLATE: &str = "pkg-templates/minnow-llm";

/// The package, ready for `npm pack` and `npm publish`.
pub(crate) const DIST: &str = "dist/minnow-llm";

/// What the package takes as it is, from the template and from the root of the checkout.
const TEMPLATE_FILES: [&str; 2] = ["package.json", "README.md"];
const ROOT_FILES: [&str; 2] = ["LICENSE-APACHE", "LICENSE-MIT"];

/// What tsc makes of a module of types, which nobody imports.
const NO_CODE: &[u8] = b"export {};\n";

#[derive(Debug, Default, clap::Args)]
pub(crate) struct Options {}

/// Builds the package into `dist/minnow-llm`, and fails where it is larger than it may be.
pub(crate) fn run(project: &Project, _options: &Options) -> Result<()> {
    tools::npm_packages(project, TEMPLATE)?;
    let template = project.path(TEMPLATE);
    check_version(&template.join("package.json"))?;

    let dist = project.path(DIST);
    let mut packaged = Vec::new();
    for variant in VARIANTS {
        let built = wasm::build(project, variant, &template)?;
        let inner = Path::new("wasm").join(variant.name);
        for name in [wasm::GLUE, wasm::GLUE_TYPES] {
            copy(
                &built.join(name),
                &template.join("src").join(&inner).join(name),
            )?;
        }
        for name in [wasm::GLUE, wasm::GLUE_TYPES, wasm::MODULE] {
            packaged.push((built.join(name), inner.join(name)));
        }
    }

    say("Compiling the TypeScript half");
    let compiled = template.join("build");
    fs::remove_dir_all(&compiled).ok();
    // Comments are for editors, which read them in the declarations; a page need not download them.
    for emit in [
        ["--declaration", "false", "--removeComments"].as_slice(),
        &["--emitDeclarationOnly"],
    ] {
        run_command(
            tools::node(project)?
                .arg(template.join("node_modules/typescript/bin/tsc"))
                .arg("--project")
                .arg(template.join("tsconfig.json"))
                .args(emit),
        )?;
    }
    for entry in
        fs::read_dir(&compiled).with_context(|| format!("cannot list {}", compiled.display()))?
    {
        let entry = entry?;
        if fs::read(entry.path())? != NO_CODE {
            packaged.push((entry.path(), entry.file_name().into()));
        }
    }
    packaged.extend(TEMPLATE_FILES.map(|name| (template.join(name), name.into())));
    packaged.extend(ROOT_FILES.map(|name| (project.path(name), name.into())));

    for (from, to) in &packaged {
        copy(from, &dist.join(to))?;
    }
    remove_others(
        &dist,
        &dist,
        &packaged
            .iter()
            .map(|(_, to)| dist.join(to))
            .collect::<Vec<_>>(),
    )?;
    sizes::check(&dist)
}

/// npm reads the version from `package.json`, everything else from the workspace.
fn check_version(manifest: &Path) -> Result<()> {
    let text = fs::read_to_string(manifest)
        .with_context(|| format!("cannot read {}", manifest.display()))?;
    let manifest: serde_json::Value = serde_json::from_str(&text)?;
    let (npm, workspace) = (manifest["version"].as_str(), env!("CARGO_PKG_VERSION"));
    if npm != Some(workspace) {
        bail!("{TEMPLATE}/package.json has version {npm:?}, but the workspace has {workspace:?}");
    }
    Ok(())
}

/// Copies a file unless its copy is the same already, so that watchers see only what has changed.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let bytes = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    if fs::read(to).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
    }
    fs::write(to, bytes).with_context(|| format!("cannot write {}", to.display()))
}

/// Removes what an earlier build left in `folder` and this one did not `keep`.
fn remove_others(root: &Path, folder: &Path, keep: &[PathBuf]) -> Result<()> {
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?
    {
        let path = entry?.path();
        if path.is_dir() {
            remove_others(root, &path, keep)?;
        } else if !keep.contains(&path) {
            fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    if folder != root && fs::read_dir(folder)?.next().is_none() {
        fs::remove_dir(folder)?;
    }
    Ok(())
}
