//! The checks: pure functions from the workspace and its tracked files to violations.

mod dependencies;
mod docker;
mod files;
mod sources;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::tree::Tree;
use crate::workspace::Workspace;

/// One broken rule: where, which, and what to do.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Violation {
    /// A crate, a file, or a file and line.
    pub(crate) place: String,
    pub(crate) rule: &'static str,
    pub(crate) remedy: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.place, self.rule, self.remedy)
    }
}

impl Violation {
    fn new(place: impl Into<String>, rule: &'static str, remedy: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            rule,
            remedy: remedy.into(),
        }
    }
}

/// Every violation, sorted by place.
pub(crate) fn check(workspace: &Workspace, tree: &Tree) -> Vec<Violation> {
    let mut violations = Vec::new();
    violations.extend(workspace.packages.iter().flat_map(dependencies::check));
    violations.extend(sources::check_crates(workspace, tree));
    violations.extend(tree.files.iter().flat_map(sources::check_file));
    violations.extend(tree.files.iter().flat_map(files::check_file));
    violations.extend(files::check_required(tree));
    violations.extend(docker::check(tree));
    violations.sort();
    violations
}
