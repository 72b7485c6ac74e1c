//! Formatting, lints, and the one direction in which crates may depend on each other.

use std::collections::{BTreeMap, BTreeSet};
use std::env;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::project::{Project, output, run};
use crate::tools;

/// Which crates of the workspace each crate may use, outside its tests. Nothing points back.
const MAY_USE: &[(&str, &[&str])] = &[
    ("gguf", &[]),
    ("kernels", &[]),
    ("chat", &[]),
    ("sampler", &[]),
    ("tokenizer", &["gguf"]),
    ("loader", &["gguf"]),
    ("model", &["gguf", "kernels"]),
    (
        "engine",
        &["gguf", "kernels", "model", "tokenizer", "chat", "sampler"],
    ),
    (
        "web",
        &[
            "gguf",
            "kernels",
            "model",
            "tokenizer",
            "chat",
            "sampler",
            "engine",
            "loader",
        ],
    ),
    (
        "cli",
        &[
            "gguf",
            "kernels",
            "model",
            "tokenizer",
            "chat",
            "sampler",
            "engine",
            "loader",
        ],
    ),
    ("testkit", &["gguf"]),
    ("xtask", &[]),
];

/// Crates that only `web` may have in its tree.
const BROWSER_ONLY: &[&str] = &["wasm-bindgen", "js-sys", "web-sys"];

/// All of them, in the order in which they are quickest to fail.
pub(crate) fn all(project: &Project) -> Result<()> {
    formatting(project)?;
    dependency_direction(project)?;
    lints(project)
}

/// `cargo fmt`, checking only.
pub(crate) fn formatting(project: &Project) -> Result<()> {
    run(project.cargo().args(["fmt", "--all", "--check"]))
}

/// Clippy without a single warning, natively and for the browser.
pub(crate) fn lints(project: &Project) -> Result<()> {
    tools::wasm_target(project)?;
    run(project.cargo().args([
        "clippy",
        "--quiet",
        "--workspace",
        "--exclude",
        "web",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))?;
    run(project
        .cargo()
        .args([
            "clippy",
            "--quiet",
            "--package",
            "web",
            "--target",
            tools::WASM_TARGET,
        ])
        .args(["--target-dir", "target/wasm-simd", "--", "-D", "warnings"])
        .env("RUSTFLAGS", "-C target-feature=+simd128"))
}

/// No crate uses one that stands further along the path from bytes to JavaScript.
pub(crate) fn dependency_direction(project: &Project) -> Result<()> {
    let metadata = output(
        project
            .cargo()
            .args(["metadata", "--format-version", "1", "--filter-platform"])
            .arg(host(project)?),
    )?;
    let metadata: Value =
        serde_json::from_str(&metadata).context("cargo metadata printed no JSON")?;
    let graph = Graph::from_metadata(&metadata)?;
    let mut wrong = Vec::new();
    for member in &graph.members {
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| name == member) else {
            wrong.push(format!(
                "`{member}` has no place in the order of crates: give it one in checks.rs"
            ));
            continue;
        };
        for used in graph
            .uses(member)
            .filter(|used| graph.members.contains(*used))
        {
            if !allowed.contains(&used) {
                wrong.push(format!("`{member}` may not use `{used}`"));
            }
        }
        if member != "web" {
            let reached = graph.reachable(member);
            for browser in BROWSER_ONLY.iter().filter(|b| reached.contains(**b)) {
                wrong.push(format!(
                    "`{member}` has `{browser}` in its tree; only `web` may know the browser"
                ));
            }
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    bail!("{}", wrong.join("\n"))
}

fn host(project: &Project) -> Result<String> {
    let version = output(
        project
            .command(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
            .arg("-vV"),
    )?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc -vV names no host")?.to_owned())
}

/// Which package uses which outside tests and build scripts, by name.
struct Graph {
    members: BTreeSet<String>,
    uses: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    fn from_metadata(metadata: &Value) -> Result<Self> {
        let packages = metadata["packages"]
            .as_array()
            .context("metadata has no packages")?;
        let name_of: BTreeMap<&str, &str> = packages
            .iter()
            .filter_map(|p| Some((p["id"].as_str()?, p["name"].as_str()?)))
            .collect();
        let name = |id: &Value| {
            id.as_str()
                .and_then(|id| name_of.get(id))
                .map(|n| (*n).to_owned())
        };
        let members = metadata["workspace_members"]
            .as_array()
            .context("metadata has no members")?;
        let nodes = metadata["resolve"]["nodes"]
            .as_array()
            .context("metadata has no graph")?;
        let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for node in nodes {
            let Some(user) = name(&node["id"]) else {
                continue;
            };
            let used = node["deps"].as_array().into_iter().flatten().filter(|dep| {
                let kinds = dep["dep_kinds"].as_array().into_iter().flatten();
                kinds.into_iter().any(|kind| kind["kind"].is_null())
            });
            uses.entry(user)
                .or_default()
                .extend(used.filter_map(|dep| name(&dep["pkg"])));
        }
        Ok(Self {
            members: members.iter().filter_map(name).collect(),
            uses,
        })
    }

    fn uses(&self, package: &str) -> impl Iterator<Item = &str> {
        self.uses
            .get(package)
            .into_iter()
            .flatten()
            .map(String::as_str)
    }

    fn reachable<'a>(&'a self, package: &'a str) -> BTreeSet<&'a str> {
        let mut seen = BTreeSet::new();
        let mut open = vec![package];
        while let Some(next) = open.pop() {
            open.extend(self.uses(next).filter(|used| seen.insert(*used)));
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Graph;

    #[test]
    fn the_graph_leaves_out_test_dependencies() -> anyhow::Result<()> {
        let graph = Graph::from_metadata(&json!({
            "packages": [{"id": "1", "name": "a"}, {"id": "2", "name": "b"}, {"id": "3", "name": "c"}],
            "workspace_members": ["1"],
            "resolve": {"nodes": [
                {"id": "1", "deps": [
                    {"pkg": "2", "dep_kinds": [{"kind": null}]},
                    {"pkg": "3", "dep_kinds": [{"kind": "dev"}]},
                ]},
                {"id": "2", "deps": []},
            ]},
        }))?;
        assert_eq!(graph.uses("a").collect::<Vec<_>>(), ["b"]);
        assert!(!graph.reachable("a").contains("c"));
        Ok(())
    }
}
