//! Source rules: what a crate's files must have, and what a line of Rust must not.

use super::Violation;
use crate::rules::{BINARIES, BINARY_ONLY, MAX_LINES, OWNED, UNFINISHED};
use crate::tree::{TrackedFile, Tree, is_within};
use crate::workspace::{Package, Workspace};

/// Checks that every crate opens with its documentation and takes the workspace's lints.
pub(super) fn check_crates(workspace: &Workspace, tree: &Tree) -> Vec<Violation> {
    workspace
        .packages
        .iter()
        .flat_map(|package| {
            let folder = package.folder(&workspace.root);
            let opening = check_opening(package, &folder, tree);
            opening.into_iter().chain(check_lints(&folder, tree))
        })
        .collect()
}

fn check_opening(package: &Package, folder: &str, tree: &Tree) -> Option<Violation> {
    let roots = ["lib.rs", "main.rs"].map(|file| format!("{folder}/src/{file}"));
    let Some((path, text)) = roots
        .iter()
        .find_map(|path| tree.text(path).map(|text| (path, text)))
    else {
        let remedy = format!("commit {} or {}", roots[0], roots[1]);
        return Some(Violation::new(&package.name, "crate-doc", remedy));
    };
    let remedy = "open with `//!`: what the crate is, what it never does, where to start";
    (!text.starts_with("//! ")).then(|| Violation::new(path, "crate-doc", remedy))
}

fn check_lints(folder: &str, tree: &Tree) -> Option<Violation> {
    let path = format!("{folder}/Cargo.toml");
    let manifest = tree.text(&path)?;
    let inherits = manifest.contains("[lints]\nworkspace = true");
    (!inherits).then(|| Violation::new(path, "lints", "add `[lints] workspace = true`"))
}

/// Checks the lines of one file, if it is Rust.
pub(super) fn check_file(file: &TrackedFile) -> Vec<Violation> {
    let Some(text) = file.text.as_deref().filter(|_| file.path.ends_with(".rs")) else {
        return Vec::new();
    };
    let mut violations = Vec::new();
    let lines = text.lines().count();
    if lines > MAX_LINES {
        let remedy = format!("{lines} lines, at most {MAX_LINES}; split it by subject");
        violations.push(Violation::new(&file.path, "file-length", remedy));
    }
    let binary = BINARIES.iter().any(|folder| is_within(&file.path, folder));
    for (number, line) in text.lines().enumerate() {
        if let Some((rule, remedy)) = check_line(line.trim_start(), binary) {
            let place = format!("{}:{}", file.path, number + 1);
            violations.push(Violation::new(place, rule, remedy));
        }
    }
    violations
}

fn check_line(line: &str, binary: bool) -> Option<(&'static str, String)> {
    if line.starts_with("//") {
        return None;
    }
    if line.starts_with("#[ignore") {
        let remedy = "mend the test or remove it; nothing runs an ignored test";
        return Some(("ignored-test", remedy.to_owned()));
    }
    if let Some(marker) = UNFINISHED.iter().find(|marker| names(line, marker)) {
        return Some(("unfinished", format!("finish it and remove `{marker}`")));
    }
    if !binary && names(line, BINARY_ONLY) {
        let remedy = format!("{BINARY_ONLY} is for binaries; return an error with a code");
        return Some(("binary-only", remedy));
    }
    let exported = reexport(line)?;
    let remedy = format!("wrap `{exported}`, do not re-export it: its owner would leak it");
    Some(("re-export", remedy))
}

/// Whether the line's code holds `name`: not as the end of a longer name, not in a string.
fn names(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let before = &line[..at];
        let whole = !before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        whole && before.matches('"').count().is_multiple_of(2)
    })
}

/// The owned crate that the line re-exports, if it does.
fn reexport(line: &str) -> Option<&str> {
    let path = line
        .strip_prefix("pub use ")
        .or_else(|| line.strip_prefix("pub extern crate "))?;
    let first = path
        .trim_start_matches("::")
        .split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .next()?;
    OWNED
        .iter()
        .map(|(pattern, _)| pattern.trim_end_matches('*').replace('-', "_"))
        .any(|owned| owned == first)
        .then_some(first)
}
