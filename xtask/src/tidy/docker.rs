//! Docker rules: what the Dockerfile copies is tracked and reaches the build.

use super::Violation;
use crate::tree::{Tree, is_within};

/// Checks every `COPY` of a path of the build context.
pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let dockerfile = tree.text("Dockerfile").unwrap_or_default();
    let ignored = ignored_paths(tree.text(".dockerignore").unwrap_or_default());
    copied_paths(dockerfile)
        .into_iter()
        .filter_map(|path| check_copied(&path, tree, &ignored))
        .collect()
}

fn check_copied(path: &str, tree: &Tree, ignored: &[&str]) -> Option<Violation> {
    let path = path.trim_end_matches('/');
    let remedy = if !tree.holds(path) {
        format!("it copies {path}, which is not tracked; commit it or remove the COPY")
    } else if ignored.iter().any(|ignored| is_within(path, ignored)) {
        format!("it copies {path}, which .dockerignore leaves out; take it from there")
    } else {
        return None;
    };
    Some(Violation::new("Dockerfile", "docker-copy", remedy))
}

/// The context paths of the `COPY` instructions; copies between stages (`--from`) have none.
fn copied_paths(dockerfile: &str) -> Vec<String> {
    let joined = dockerfile.replace("\\\n", " ");
    let mut paths = Vec::new();
    for line in joined.lines() {
        let mut words = line.split_whitespace();
        let copies = words.next() == Some("COPY");
        let words: Vec<&str> = words.collect();
        if copies && !words.iter().any(|word| word.starts_with("--from")) {
            let named = words.iter().filter(|word| !word.starts_with("--"));
            let sources = named.clone().count().saturating_sub(1);
            paths.extend(named.take(sources).map(|word| (*word).to_owned()));
        }
    }
    paths
}

fn ignored_paths(dockerignore: &str) -> Vec<&str> {
    dockerignore
        .lines()
        .map(|line| line.trim().trim_start_matches('/').trim_end_matches('/'))
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect()
}
