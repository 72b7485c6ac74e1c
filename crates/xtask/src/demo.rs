//! The demo page: built by trunk out of `www/` and the npm package, and served with the headers
//! that isolate it.

use std::net::{Ipv4Addr, TcpStream};
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::project::{Project, run, say};
use crate::{models, pkg, tools};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Port on the loopback interface
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Open the page headlessly, ask one question, print the answer and the figures, and exit
    #[arg(long)]
    check: bool,
}

/// What trunk may take once the package is built: it builds only the page.
const START_TIMEOUT: Duration = Duration::from_secs(300);

/// Builds the page and serves it until interrupted, or checks it once.
pub(crate) fn run_demo(project: &Project, options: &Options) -> Result<()> {
    prepare(project)?;
    if listening(options.port) {
        bail!(
            "port {} is taken: stop what listens there, or choose one with --port",
            options.port
        );
    }
    // Trunk builds the package too, but the first build takes as long as the machine is slow: it has no limit of time here.
    pkg::run(project, &pkg::Options::default())?;
    let mut trunk = trunk(project)?;
    trunk
        .arg("serve")
        .args(["--address", "127.0.0.1", "--port"])
        .arg(options.port.to_string());
    let mut server = Server(trunk.spawn().context("cannot start trunk")?);
    server.wait_until_listening(options.port)?;
    let address = format!("http://localhost:{}/", options.port);
    if options.check {
        let chromium = tools::chromium()?;
        tools::npm_packages(project, "tests/e2e")?;
        return run(tools::node(project)?
            .args(["tests/e2e/demo-check.mjs", &address])
            .env("CHROMIUM", chromium));
    }
    say(format!("Minnow's demo is at {address} (Ctrl-C stops it)"));
    let status = server.0.wait()?;
    if !status.success() {
        bail!("trunk ended with {status}");
    }
    Ok(())
}

/// Builds the page once, without serving it.
pub(crate) fn build(project: &Project) -> Result<()> {
    prepare(project)?;
    run(trunk(project)?.arg("build"))
}

/// Fetches what trunk's build of the page expects to find.
fn prepare(project: &Project) -> Result<()> {
    tools::wasm_target(project)?;
    tools::wasm_bindgen(project)?;
    tools::npm_packages(project, "www")?;
    models::SMOLLM2.fetch(project)?;
    Ok(())
}

/// Trunk, which itself calls `cargo xtask pkg` before each build (see `Trunk.toml`).
fn trunk(project: &Project) -> Result<std::process::Command> {
    let mut trunk = project.command(tools::trunk(project)?.join("trunk"));
    // Trunk takes NO_COLOR only as `true` or `false`, and refuses to start on any other value.
    trunk.env_remove("NO_COLOR");
    // The page offers the models that are here at ./models/ (see `www/tools/link-models.mjs`).
    trunk.env("MINNOW_DEMO_MODELS", project.cached("models"));
    Ok(trunk)
}

fn listening(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// Trunk at work; stopped when this is dropped.
struct Server(Child);

impl Server {
    fn wait_until_listening(&mut self, port: u16) -> Result<()> {
        let started = Instant::now();
        while !listening(port) {
            if let Some(status) = self.0.try_wait()? {
                bail!("trunk ended with {status} before it served the page");
            }
            if started.elapsed() > START_TIMEOUT {
                bail!(
                    "trunk did not serve the page within {} s",
                    START_TIMEOUT.as_secs()
                );
            }
            thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}
