//! The workspace as Cargo sees it: its crates and what each declares to depend on.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

/// What `cargo metadata --no-deps` says, reduced to what the rules read.
#[derive(Debug, Deserialize)]
pub(crate) struct Workspace {
    #[serde(rename = "workspace_root")]
    pub(crate) root: PathBuf,
    pub(crate) packages: Vec<Package>,
}

/// One crate of the workspace.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) manifest_path: PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
}

/// One declared dependency. `name` is the real name, whatever the crate renames it to.
#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    #[serde(default, deserialize_with = "null_is_normal")]
    pub(crate) kind: Kind,
    /// Where it comes from; `None` for a crate of the workspace.
    pub(crate) source: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    #[default]
    Normal,
    Build,
    Dev,
}

fn null_is_normal<'de, D: serde::Deserializer<'de>>(input: D) -> Result<Kind, D::Error> {
    Ok(Option::<Kind>::deserialize(input)?.unwrap_or_default())
}

impl Package {
    /// The crate's folder relative to the workspace root, with `/` between parts.
    pub(crate) fn folder(&self, root: &Path) -> String {
        let folder = self.manifest_path.parent().unwrap_or(root);
        let relative = folder.strip_prefix(root).unwrap_or(folder);
        relative.to_string_lossy().replace('\\', "/")
    }
}

/// Asks Cargo about the workspace that the current directory is in.
pub(crate) fn read() -> Result<Workspace> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .output()
        .context("cannot run cargo metadata")?;
    if !output.status.success() {
        bail!(
            "cargo metadata failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    parse(&output.stdout)
}

/// Parses what `cargo metadata --format-version 1 --no-deps` prints.
pub(crate) fn parse(json: &[u8]) -> Result<Workspace> {
    serde_json::from_slice(json).context("cargo metadata printed something unexpected")
}
