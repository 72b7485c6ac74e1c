//! Every test, one step after the other, with a summary.

use std::env;
use std::fs;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::project::{Project, output, run, say};
use crate::{bench, checks, demo, models, pkg, tools};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Run only the steps with these names (see --list)
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Print the names of the steps and stop
    #[arg(long)]
    list: bool,
}

struct Step {
    name: &'static str,
    what: &'static str,
    run: fn(&Project) -> Result<()>,
}

const STEPS: &[Step] = &[
    Step {
        name: "format",
        what: "formatting",
        run: checks::formatting,
    },
    Step {
        name: "layers",
        what: "direction of dependencies",
        run: checks::dependency_direction,
    },
    Step {
        name: "lints",
        what: "clippy, native and wasm",
        run: checks::lints,
    },
    Step {
        name: "native",
        what: "native tests of all crates",
        run: native,
    },
    Step {
        name: "wasm",
        what: "kernel tests as wasm, and on workers that share memory",
        run: wasm_kernels,
    },
    Step {
        name: "pkg",
        what: "the npm package",
        run: package,
    },
    Step {
        name: "binding",
        what: "the JavaScript binding on its own, as wasm",
        run: binding,
    },
    Step {
        name: "packaging",
        what: "the package in bundlers and pages",
        run: packaging,
    },
    Step {
        name: "e2e",
        what: "the demo page and the loader, end to end",
        run: end_to_end,
    },
];

/// Runs the chosen steps, all of them even when one fails, and fails when any did.
pub(crate) fn run_all(project: &Project, options: &Options) -> Result<()> {
    if options.list {
        for step in STEPS {
            println!("{:10} {}", step.name, step.what);
        }
        return Ok(());
    }
    if let Some(unknown) = options
        .only
        .iter()
        .find(|name| STEPS.iter().all(|s| s.name != **name))
    {
        bail!("there is no step {unknown}; `cargo xtask test --list` names them");
    }
    let chosen = STEPS
        .iter()
        .filter(|s| options.only.is_empty() || options.only.iter().any(|name| name == s.name));
    let mut results = Vec::new();
    for step in chosen {
        say(format!("{}: {}", step.name, step.what));
        let started = Instant::now();
        let result = (step.run)(project);
        if let Err(error) = &result {
            eprintln!("\x1b[31m✗ {}: {error:#}\x1b[0m", step.name);
        }
        results.push((step, started.elapsed(), result));
    }
    println!();
    for (step, took, result) in &results {
        let mark = if result.is_ok() { "✓" } else { "✗" };
        println!(
            "{mark} {:10} {:6.1} s  {}",
            step.name,
            took.as_secs_f64(),
            step.what
        );
    }
    let failed = results
        .iter()
        .filter(|(.., result)| result.is_err())
        .count();
    println!("\n{} passed, {failed} failed", results.len() - failed);
    if failed > 0 {
        bail!("{failed} of {} steps failed", results.len());
    }
    Ok(())
}

fn native(project: &Project) -> Result<()> {
    run(with_models(
        project,
        project
            .cargo()
            .args(["test", "--quiet", "--workspace", "--exclude", "web"]),
    )?)
}

fn wasm_kernels(project: &Project) -> Result<()> {
    tools::wasm_target(project)?;
    let runner = tools::wasm_bindgen(project)?.join("wasm-bindgen-test-runner");
    let node = tools::relaxed_node(project)?;
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths([node].into_iter().chain(env::split_paths(&path)))?;
    for variant in pkg::VARIANTS.iter().filter(|variant| !variant.threads) {
        run(project
            .cargo()
            .args([
                "test",
                "--package",
                "kernels",
                "--target",
                tools::WASM_TARGET,
            ])
            .args(["--target-dir", &variant.target_dir()])
            .env("RUSTFLAGS", variant.rustflags())
            .env("PATH", &path)
            .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER", &runner))?;
    }
    kernels_on_threads(project)
}

/// Products on one, two and three threads of a page against those of the scalar specification.
fn kernels_on_threads(project: &Project) -> Result<()> {
    let mut example = project.cargo();
    let specification =
        output(example.args(["run", "--quiet", "-p", "kernels", "--example", "threads"]))?;
    let expected = project.path("target/threads.jsonl");
    fs::write(&expected, specification)
        .with_context(|| format!("cannot write {}", expected.display()))?;
    bench::threads(project, Some(&expected))
}

fn package(project: &Project) -> Result<()> {
    pkg::run(project, &pkg::Options::default())
}

fn binding(project: &Project) -> Result<()> {
    let variant = &pkg::VARIANTS[0];
    let runner = tools::wasm_bindgen(project)?.join("wasm-bindgen-test-runner");
    run(project
        .cargo()
        .args(["test", "--package", "web", "--target", tools::WASM_TARGET])
        .args(["--target-dir", &variant.target_dir()])
        .env("RUSTFLAGS", variant.rustflags())
        .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER", runner))
}

fn packaging(project: &Project) -> Result<()> {
    package(project)?;
    tools::npm_packages(project, "tests/packaging")?;
    run(tools::node(project)?
        .arg("tests/packaging/run.mjs")
        .env("CHROMIUM", tools::chromium()?))
}

fn end_to_end(project: &Project) -> Result<()> {
    demo::build(project)?;
    run(&mut node_tests(project, "www")?)?;
    tools::npm_packages(project, "tests/e2e")?;
    let mut tests = node_tests(project, "tests/e2e")?;
    with_models(project, tests.env("CHROMIUM", tools::chromium()?))?;
    if let Some(firefox) = tools::firefox()? {
        tests.env("FIREFOX", firefox);
    }
    run(&mut tests)
}

/// Tells a test run where the models are that it needs.
fn with_models<'a>(project: &Project, command: &'a mut Command) -> Result<&'a mut Command> {
    for model in [models::SMOLLM2, models::GEMMA3] {
        command.env(model.variable, model.fetch(project)?);
    }
    Ok(command)
}

/// Node's test runner, which finds the tests below the folder it starts in. One file at a time:
/// two browsers at once would take the processors from each other.
fn node_tests(project: &Project, folder: &str) -> Result<Command> {
    let mut node = tools::node(project)?;
    node.current_dir(project.path(folder)).args([
        "--test",
        "--test-concurrency=1",
        "--test-reporter=spec",
    ]);
    Ok(node)
}
