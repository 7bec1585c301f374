//! The tracked files of the repository, read once.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// Every tracked file.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    pub(crate) files: Vec<TrackedFile>,
}

/// One tracked file; `text` is there when its content is UTF-8.
#[derive(Debug)]
pub(crate) struct TrackedFile {
    /// Relative to the repository root, with `/` between parts.
    pub(crate) path: String,
    pub(crate) bytes: u64,
    pub(crate) text: Option<String>,
}

impl Tree {
    /// The text of the file at `path`, if it is tracked and is text.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.files
            .iter()
            .find(|file| file.path == path)
            .and_then(|file| file.text.as_deref())
    }

    /// Whether `path` is a tracked file or a folder that holds one.
    pub(crate) fn holds(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        self.files.iter().any(|file| is_within(&file.path, path))
    }
}

impl TrackedFile {
    /// The last part of the path.
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

/// Whether `path` is `folder` or lies below it.
pub(crate) fn is_within(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Reads the files that git tracks below `root`. One that is deleted but not yet committed is left
/// out.
pub(crate) fn read(root: &Path) -> Result<Tree> {
    let mut files = Vec::new();
    for path in tracked_paths(root)? {
        let content = match fs::read(root.join(&path)) {
            Ok(content) => content,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error).with_context(|| format!("cannot read {path}")),
        };
        files.push(TrackedFile {
            path,
            bytes: content.len() as u64,
            text: String::from_utf8(content).ok(),
        });
    }
    Ok(Tree { files })
}

fn tracked_paths(root: &Path) -> Result<Vec<String>> {
    let output = Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(root)
        .output()
        .context("cannot run git: tidy lists the tracked files with it")?;
    if !output.status.success() {
        bail!(
            "git ls-files failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let listing = String::from_utf8(output.stdout).context("a tracked path is not UTF-8")?;
    Ok(listing.split_terminator('\0').map(str::to_owned).collect())
}
