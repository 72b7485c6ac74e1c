//! Everything one types while working on Minnow.
//!
//! `cargo xtask demo` and `cargo xtask test` are the two a newcomer needs; each installs what it
//! misses, so that a fresh clone works with only Rust, Node and a package manager.

mod bench;
mod checks;
mod demo;
mod models;
mod pkg;
mod project;
mod test;
mod tools;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::project::Project;

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    about = "Set-up, package, demo and tests of Minnow"
)]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install everything the other tasks need, and fetch the default model
    Setup,
    /// Build the npm package into dist/minnow-llm
    Pkg(pkg::Options),
    /// Build everything and serve the demo page
    Demo(demo::Options),
    /// Run every test: formatting, lints, native, wasm, package, browser
    Test(test::Options),
    /// Measure kernels, whole models and other engines in a headless browser
    Bench(bench::Options),
    /// Formatting, lints and the direction of dependencies only
    Ci,
    /// Write the tables of measured errors in docs/models.md and the README
    Docs,
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> anyhow::Result<()> {
    let project = Project::locate()?;
    match task {
        Task::Setup => setup(&project),
        Task::Pkg(options) => pkg::run(&project, &options),
        Task::Demo(options) => demo::run_demo(&project, &options),
        Task::Test(options) => test::run_all(&project, &options),
        Task::Bench(options) => bench::run_all(&project, &options),
        Task::Ci => checks::all(&project),
        Task::Docs => write_tables(&project),
    }
}

/// The test that measures writes what it would otherwise check; `cargo xtask test` then finds it current.
fn write_tables(project: &Project) -> anyhow::Result<()> {
    project::run(
        project
            .cargo()
            .args(["test", "--quiet", "--package", "model", "--test", "golden"])
            .env("MINNOW_UPDATE_DOCS", "1"),
    )
}

fn setup(project: &Project) -> anyhow::Result<()> {
    tools::wasm_target(project)?;
    tools::wasm_bindgen(project)?;
    tools::trunk(project)?;
    tools::chromium()?;
    models::SMOLLM2.fetch(project)?;
    Ok(())
}
