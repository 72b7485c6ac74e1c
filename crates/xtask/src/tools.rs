//! Programs the other tasks need: found where they are, installed once where they can be.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::project::{Project, find_program, output, run, say};

/// The target every wasm variant is built for.
pub(crate) const WASM_TARGET: &str = "wasm32-unknown-unknown";

/// Newer releases of trunk need a newer compiler than the workspace promises.
const TRUNK_VERSION: &str = "0.21.14";

/// Sees to it that the standard library for wasm is installed.
pub(crate) fn wasm_target(project: &Project) -> Result<()> {
    let sysroot = PathBuf::from(output(
        project.command("rustc").args(["--print", "sysroot"]),
    )?);
    if sysroot.join("lib/rustlib").join(WASM_TARGET).is_dir() {
        return Ok(());
    }
    if find_program(&["rustup"]).is_none() {
        bail!("the Rust target {WASM_TARGET} is missing: install it with your Rust distribution");
    }
    say(format!("Installing the Rust target {WASM_TARGET}"));
    run(project
        .command("rustup")
        .args(["target", "add", WASM_TARGET]))
}

/// Sees to it that the source of the standard library is installed, which builds with threads compile.
pub(crate) fn rust_source(project: &Project) -> Result<()> {
    let sysroot = PathBuf::from(output(
        project.command("rustc").args(["--print", "sysroot"]),
    )?);
    if sysroot
        .join("lib/rustlib/src/rust/library/Cargo.lock")
        .is_file()
    {
        return Ok(());
    }
    if find_program(&["rustup"]).is_none() {
        bail!(
            "the source of Rust's standard library is missing: install it with your Rust distribution"
        );
    }
    say("Installing the source of Rust's standard library");
    run(project
        .command("rustup")
        .args(["component", "add", "rust-src"]))
}

/// The folder with `wasm-bindgen` and `wasm-bindgen-test-runner`, of the version in `Cargo.lock`:
/// the tool and the library must be the same release.
pub(crate) fn wasm_bindgen(project: &Project) -> Result<PathBuf> {
    let lock = fs::read_to_string(project.path("Cargo.lock")).context("cannot read Cargo.lock")?;
    let version = locked_version(&lock, "wasm-bindgen")
        .context("Cargo.lock does not name wasm-bindgen: run `cargo metadata` once")?;
    cargo_tool(project, "wasm-bindgen-cli", "wasm-bindgen", version)
}

/// The folder with `trunk`, which serves the demo page.
pub(crate) fn trunk(project: &Project) -> Result<PathBuf> {
    cargo_tool(project, "trunk", "trunk", TRUNK_VERSION)
}

/// Finds `program` of exactly `version` on `PATH` or in the cache, else installs its `package`
/// there: a prebuilt binary where `cargo binstall` is at hand, built from source otherwise.
/// Returns the folder it lies in.
fn cargo_tool(project: &Project, package: &str, program: &str, version: &str) -> Result<PathBuf> {
    let root = project.cached(format!("tools/{package}-{version}"));
    let cached = root
        .join("bin")
        .join(program)
        .with_extension(env::consts::EXE_EXTENSION);
    for candidate in find_program(&[program]).into_iter().chain([cached]) {
        let Some(folder) = candidate.parent() else {
            continue;
        };
        if candidate.is_file() && reports_version(project, &candidate, version) {
            return Ok(folder.to_path_buf());
        }
    }
    let wanted = format!("{package}@{version}");
    if find_program(&["cargo-binstall"]).is_some() {
        say(format!("Fetching {wanted}"));
        let mut binstall = project.cargo();
        binstall.args([
            "binstall",
            "--no-confirm",
            "--disable-strategies",
            "compile",
            "--root",
        ]);
        if run(binstall.arg(&root).arg(&wanted)).is_ok() {
            return Ok(root.join("bin"));
        }
    }
    say(format!("Building {wanted} (once; a few minutes)"));
    // Without a target folder of its own the build would wait for the lock of the one in use.
    let build = root.join("build");
    run(project
        .cargo()
        .args(["install", "--locked", "--root"])
        .arg(&root)
        .arg("--target-dir")
        .arg(&build)
        .arg(&wanted))?;
    fs::remove_dir_all(&build).ok();
    Ok(root.join("bin"))
}

fn reports_version(project: &Project, program: &Path, version: &str) -> bool {
    output(project.command(program).arg("--version"))
        .is_ok_and(|printed| printed.split_whitespace().any(|word| word == version))
}

fn locked_version<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let entry = lock.split("[[package]]").find(|e| {
        e.lines().any(|l| {
            l.strip_prefix("name = ")
                .is_some_and(|n| n.trim_matches('"') == package)
        })
    })?;
    entry
        .lines()
        .find_map(|l| l.strip_prefix("version = "))
        .map(|v| v.trim_matches('"'))
}

/// Installs the locked npm packages of the folder `relative`, unless they are there already.
pub(crate) fn npm_packages(project: &Project, relative: &str) -> Result<()> {
    let folder = project.path(relative);
    let lock = folder.join("package-lock.json");
    let digest =
        Sha256::digest(fs::read(&lock).with_context(|| format!("cannot read {}", lock.display()))?);
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let stamp = folder.join("node_modules/.installed-lock");
    if fs::read_to_string(&stamp).is_ok_and(|stamped| stamped == digest) {
        return Ok(());
    }
    say(format!("Installing npm packages of {relative}"));
    run(npm(project)?
        .args(["ci", "--no-audit", "--no-fund", "--loglevel=error"])
        .current_dir(&folder))?;
    fs::write(&stamp, digest).with_context(|| format!("cannot write {}", stamp.display()))
}

/// `npm`, or what to install when it is missing.
pub(crate) fn npm(project: &Project) -> Result<Command> {
    let npm = find_program(&["npm", "npm.cmd"])
        .context("npm is missing: install Node.js 20 or newer (nodejs.org)")?;
    Ok(project.command(npm))
}

/// `node`, or what to install when it is missing.
pub(crate) fn node(project: &Project) -> Result<Command> {
    let node = find_program(&["node"])
        .context("node is missing: install Node.js 20 or newer (nodejs.org)")?;
    Ok(project.command(node))
}

/// The folder with a `node` that has relaxed SIMD: the one on `PATH` if it is recent enough, else one from npm. Node.js 20 has it
/// behind a switch only, and its baseline compiler gets one instruction wrong.
pub(crate) fn relaxed_node(project: &Project) -> Result<PathBuf> {
    const VERSION: &str = "24.21.0";
    /// `i8x16.relaxed_swizzle` of two constants.
    const PROBE: &str = "process.exit(WebAssembly.validate(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, \
        3, 2, 1, 0, 10, 15, 1, 13, 0, 65, 0, 253, 15, 65, 0, 253, 15, 253, 128, 2, 11])) ? 0 : 1)";
    let has_it = |node: &Path| output(project.command(node).args(["--eval", PROBE])).is_ok();
    let root = project.cached(format!("tools/node-{VERSION}"));
    let cached = root
        .join("node_modules/node/bin/node")
        .with_extension(env::consts::EXE_EXTENSION);
    let found = || {
        let candidates = find_program(&["node"]).into_iter().chain([cached.clone()]);
        let mut usable = candidates.filter(|node| node.is_file() && has_it(node));
        usable.find_map(|node| node.parent().map(Path::to_path_buf))
    };
    if let Some(found) = found() {
        return Ok(found);
    }
    say(format!("Installing Node.js {VERSION}, for relaxed SIMD"));
    fs::create_dir_all(&root).with_context(|| format!("cannot make {}", root.display()))?;
    run(npm(project)?
        .args([
            "install",
            "--no-audit",
            "--no-fund",
            "--loglevel=error",
            "--prefix",
        ])
        .arg(&root)
        .arg(format!("node@{VERSION}")))?;
    found().context("npm's package node brought no program that has relaxed SIMD")
}

/// A Chromium: `$CHROMIUM`, the one on `PATH`, or Debian's package, which is installed when the
/// user may do so.
pub(crate) fn chromium() -> Result<PathBuf> {
    const NAMES: [&str; 4] = [
        "chromium",
        "chromium-browser",
        "google-chrome",
        "google-chrome-stable",
    ];
    const MAC: &str = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome";
    if let Some(named) = env::var_os("CHROMIUM").map(PathBuf::from) {
        if !named.is_file() {
            bail!("$CHROMIUM names {}, which is not a file", named.display());
        }
        return Ok(named);
    }
    let found =
        || find_program(&NAMES).or_else(|| Some(MAC.into()).filter(|p: &PathBuf| p.is_file()));
    if let Some(found) = found() {
        return Ok(found);
    }
    apt_install(&["chromium"])
        .context("Chromium is missing: install it, or name one in $CHROMIUM")?;
    found().context("Debian's chromium package brought no program of that name")
}

/// A Firefox: `$FIREFOX`, the one on `PATH`, or Debian's package, which is installed when the user may do so. `None` where
/// there is none and none can be had: the tests then run without it, and that is said.
pub(crate) fn firefox() -> Result<Option<PathBuf>> {
    const NAMES: [&str; 2] = ["firefox-esr", "firefox"];
    if let Some(named) = env::var_os("FIREFOX").map(PathBuf::from) {
        if !named.is_file() {
            bail!("$FIREFOX names {}, which is not a file", named.display());
        }
        return Ok(Some(named));
    }
    if let Some(found) = find_program(&NAMES) {
        return Ok(Some(found));
    }
    match apt_install(&["firefox-esr"]) {
        Ok(()) => Ok(find_program(&NAMES)),
        Err(error) => {
            say(format!(
                "NOT TESTED in Firefox, which is missing and cannot be installed ({error:#}): install it, or name one in $FIREFOX"
            ));
            Ok(None)
        }
    }
}

/// Python with pip, for what only PyPI carries.
pub(crate) fn python_with_pip(project: &Project) -> Result<PathBuf> {
    let usable = || {
        find_program(&["python3", "python"]).filter(|python| {
            output(project.command(python).args(["-m", "pip", "--version"])).is_ok()
        })
    };
    if let Some(python) = usable() {
        return Ok(python);
    }
    apt_install(&["python3-pip"]).context("Python 3 with pip is missing: install it")?;
    usable().context("Debian's python3-pip package brought no usable pip")
}

fn apt_install(packages: &[&str]) -> Result<()> {
    let apt = find_program(&["apt-get"]).context("this system has no apt-get")?;
    let sudo = find_program(&["sudo"]);
    let is_root = output(Command::new("id").arg("-u"))? == "0";
    let apt_get = |arguments: &[&str]| {
        let mut command = match (&sudo, is_root) {
            (Some(sudo), false) => {
                let mut command = Command::new(sudo);
                command.arg("-n").arg(&apt);
                command
            }
            _ => Command::new(&apt),
        };
        command
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(arguments);
        run(&mut command)
    };
    say(format!("Installing {} from Debian", packages.join(", ")));
    apt_get(&["update", "-qq"])?;
    apt_get(&[["install", "-y", "-qq"].as_slice(), packages].concat())
}

#[cfg(test)]
mod tests {
    use super::locked_version;

    #[test]
    fn reads_a_version_from_a_lock_file() {
        let lock = "[[package]]\nname = \"a-b\"\nversion = \"1.0.0\"\n\n[[package]]\nname = \"a\"\nversion = \"2.3.4\"\n";
        assert_eq!(locked_version(lock, "a"), Some("2.3.4"));
        assert_eq!(locked_version(lock, "b"), None);
    }
}
