//! The wasm module, once per variant: cargo, then wasm-bindgen, then wasm-opt and an order that gzips well.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use super::{TEMPLATE, order};
use crate::project::{Project, output, run, say};
use crate::tools;

/// wasm-bindgen's JavaScript, its types, and the module itself.
pub(super) const GLUE: &str = "minnow.js";
pub(super) const GLUE_TYPES: &str = "minnow.d.ts";
pub(super) const MODULE: &str = "minnow_bg.wasm";

/// The cargo profile that a page downloads.
pub(crate) const PROFILE: &str = "wasm";

/// One build of the wasm module.
pub(crate) struct Variant {
    /// Its name in the package.
    pub(crate) name: &'static str,
    features: &'static str,
    /// Whether several workers compute on one shared memory.
    pub(crate) threads: bool,
}

/// Plain SIMD128 is the floor; relaxed SIMD is picked where the browser has it, threads where the page may share memory.
pub(crate) const VARIANTS: &[Variant] = &[
    Variant {
        name: "simd",
        features: "+simd128",
        threads: false,
    },
    Variant {
        name: "relaxed",
        features: "+simd128,+relaxed-simd",
        threads: false,
    },
    Variant {
        name: "simd-threads",
        features: "+simd128",
        threads: true,
    },
    Variant {
        name: "relaxed-threads",
        features: "+simd128,+relaxed-simd",
        threads: true,
    },
];

/// What shared memory takes beyond [`Variant::features`]. The memory is made by `threads.ts`, whose `INITIAL_PAGES` must
/// not be less than these initial bytes; the greatest size is a 32-bit address space. The exports are what
/// wasm-bindgen builds each thread's storage with.
const THREADS_FLAGS: &str = "-C target-feature=+atomics,+bulk-memory,+mutable-globals \
    -C link-arg=--shared-memory -C link-arg=--import-memory \
    -C link-arg=--initial-memory=4194304 -C link-arg=--max-memory=4294967296 \
    -C link-arg=--export=__wasm_init_tls -C link-arg=--export=__tls_size \
    -C link-arg=--export=__tls_align -C link-arg=--export=__tls_base";

/// The standard library is built with the module: for threads because the one that comes with the compiler has no atomics,
/// for all because it can then be made small (sorting alone, for a dozen types, takes 20 KB less, gzipped).
const STANDARD_LIBRARY: [&str; 2] = [
    "-Zbuild-std=std,panic_abort",
    "-Zbuild-std-features=optimize_for_size",
];

/// The message of a panic names its file, without the line: for each place that may panic, line and column take 8 KB, gzipped.
const PANICS: &str = "-Zlocation-detail=file";

impl Variant {
    /// Each variant has a target folder of its own, so that they do not rebuild each other's work.
    pub(crate) fn target_dir(&self) -> String {
        format!("target/wasm-{}", self.name)
    }

    /// The compiler flags that make the variant.
    pub(crate) fn rustflags(&self) -> String {
        let features = format!("-C target-feature={}", self.features);
        if self.threads {
            format!("{features} {THREADS_FLAGS}")
        } else {
            features
        }
    }

    /// What wasm-opt may use: the variant's own features, and those that the compiler uses anyway.
    fn optimizer_features(&self) -> Vec<&'static str> {
        let mut features = vec![
            "--enable-bulk-memory",
            "--enable-multivalue",
            "--enable-mutable-globals",
            "--enable-nontrapping-float-to-int",
            "--enable-reference-types",
            "--enable-sign-ext",
            "--enable-simd",
        ];
        if self.features.contains("relaxed-simd") {
            features.push("--enable-relaxed-simd");
        }
        if self.threads {
            features.push("--enable-threads");
        }
        features
    }
}

/// A cargo command that compiles what a variant's module is made of, or something like it, to the last flag.
fn cargo(project: &Project, variant: &Variant, command: &str) -> Result<Command> {
    tools::wasm_target(project)?;
    tools::rust_source(project)?;
    let flags = format!(
        "{} {PANICS} {}",
        variant.rustflags(),
        without_local_paths(project)?
    );
    let mut cargo = project.cargo();
    // Building the standard library and cutting locations are unstable still: this opens the door for this one build.
    cargo
        .arg(command)
        .args(STANDARD_LIBRARY)
        .env("RUSTC_BOOTSTRAP", "1")
        .args(["--quiet", "--profile", PROFILE])
        .args(["--target", tools::WASM_TARGET])
        .args(["--target-dir", &variant.target_dir()])
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("RUSTFLAGS", flags);
    Ok(cargo)
}

/// Builds an example of the kernels as a variant's module is built, with some exports, and returns it.
pub(crate) fn example(
    project: &Project,
    variant: &Variant,
    name: &str,
    exports: &[&str],
) -> Result<PathBuf> {
    tools::npm_packages(project, TEMPLATE)?;
    let exports = exports
        .iter()
        .flat_map(|name| ["-C".to_owned(), format!("link-arg=--export={name}")]);
    run(cargo(project, variant, "rustc")?
        .args(["--package", "kernels", "--example", name, "--"])
        .args(exports))?;
    let examples = project
        .path(variant.target_dir())
        .join(tools::WASM_TARGET)
        .join(PROFILE)
        .join("examples");
    let (compiled, module) = (
        examples.join(format!("{name}.wasm")),
        examples.join(format!("{name}.optimized.wasm")),
    );
    fs::copy(&compiled, &module).with_context(|| format!("cannot copy {}", compiled.display()))?;
    optimize(project, variant, &project.path(TEMPLATE), &module)?;
    Ok(module)
}

/// Builds a variant, unless nothing has changed, and returns the folder with its files.
pub(super) fn build(project: &Project, variant: &Variant, template: &Path) -> Result<PathBuf> {
    let bindgen = tools::wasm_bindgen(project)?.join("wasm-bindgen");
    say(format!("Building the {} module", variant.name));
    run(cargo(project, variant, "build")?.args(["--package", "web"]))?;
    let compiled = project
        .path(variant.target_dir())
        .join(tools::WASM_TARGET)
        .join(PROFILE)
        .join("web.wasm");

    let folder = project.path(variant.target_dir()).join("package");
    let stamp = folder.join(".made-from");
    let made_from = fingerprint(&compiled, template)?;
    if fs::read_to_string(&stamp).is_ok_and(|stamped| stamped == made_from) {
        return Ok(folder);
    }
    run(project
        .command(bindgen)
        // Workers say where the module is, in a form that bundlers find.
        .arg("--omit-default-module-path")
        .args(["--target", "web", "--out-name", "minnow", "--out-dir"])
        .arg(&folder)
        .arg(&compiled))?;
    strip_comments(project, template, &folder)?;
    let module = folder.join(MODULE);
    optimize(project, variant, template, &module)?;
    fs::write(&stamp, made_from).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(folder)
}

/// wasm-opt's passes that make the module smaller gzipped, in the order that does so most.
///
/// Its levels (`-O3`, `-Oz`) make fewer bytes that gzip to 7 % more: they inline functions that have one caller, and number
/// locals by how often they are used or share them, each of which makes similar code different. What they do for
/// speed, LLVM has done: the kernels are no slower without.
const PASSES: [&str; 14] = [
    "--optimize-level=2",
    "--shrink-level=2",
    "--duplicate-function-elimination",
    "--optimize-instructions",
    "--remove-unused-brs",
    "--merge-blocks",
    "--remove-unused-names",
    "--rse",
    "--dae-optimizing",
    "--duplicate-function-elimination",
    "--simplify-locals",
    "--vacuum",
    "--code-folding",
    "--remove-unused-module-elements",
];

/// Makes the module smaller, and puts its functions into an order that gzips well.
fn optimize(project: &Project, variant: &Variant, template: &Path, module: &Path) -> Result<()> {
    let with = |passes: &[&str]| -> Result<()> {
        run(tools::node(project)?
            .arg(template.join("node_modules/binaryen/bin/wasm-opt"))
            .args(variant.optimizer_features())
            .args(passes)
            .arg(module)
            .arg("--output")
            .arg(module))
    };
    with(&PASSES)?;
    let optimized =
        fs::read(module).with_context(|| format!("cannot read {}", module.display()))?;
    fs::write(module, order::name_in_order(&optimized)?)
        .with_context(|| format!("cannot write {}", module.display()))?;
    with(&[
        "--reorder-functions-by-name",
        "--strip-producers",
        "--strip-target-features",
    ])
}

/// Comments are for editors, which read them in the declarations; without those of the glue a page downloads 2 KB less.
fn strip_comments(project: &Project, template: &Path, folder: &Path) -> Result<()> {
    let stripped = folder.join("stripped");
    run(tools::node(project)?
        .arg(template.join("node_modules/typescript/bin/tsc"))
        .args([
            "--ignoreConfig",
            "--allowJs",
            "--noCheck",
            "--removeComments",
        ])
        .args(["--target", "ES2022", "--module", "ES2022", "--outDir"])
        .arg(&stripped)
        .arg(folder.join(GLUE)))?;
    fs::rename(stripped.join(GLUE), folder.join(GLUE))
        .with_context(|| format!("cannot replace {GLUE} in {}", folder.display()))?;
    fs::remove_dir_all(&stripped).with_context(|| format!("cannot remove {}", stripped.display()))
}

/// Compiler flags that keep this machine's folders out of the module's panic messages: what is published tells nothing
/// about who built it, and is the same wherever it is built.
fn without_local_paths(project: &Project) -> Result<String> {
    let sysroot = PathBuf::from(output(
        project.command("rustc").args(["--print", "sysroot"]),
    )?);
    let cargo_home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo_home = cargo_home.or_else(|| env::home_dir().map(|home| home.join(".cargo")));
    let folders = [
        Some((project.path(""), "")),
        Some((sysroot.join("lib/rustlib/src/rust"), "rust")),
        cargo_home.map(|home| (home.join("registry/src"), "registry")),
    ];
    let flags = folders
        .into_iter()
        .flatten()
        .map(|(folder, name)| format!("--remap-path-prefix={}={name}", folder.display()));
    Ok(flags.collect::<Vec<_>>().join(" "))
}

/// Changes when the compiled module, or the programs that work on it, or this very program change.
fn fingerprint(compiled: &Path, template: &Path) -> Result<String> {
    let mut digest = Sha256::new();
    let lock = template.join("package-lock.json");
    for path in [compiled, &lock] {
        digest.update(fs::read(path).with_context(|| format!("cannot read {}", path.display()))?);
    }
    digest.update(include_bytes!("wasm.rs"));
    digest.update(include_bytes!("order.rs"));
    Ok(digest
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}
