//! File rules: what may be tracked, how large, and what no tracked text says.

use super::Violation;
use crate::rules::{FORBIDDEN_HOSTS, HOME_FOLDERS, MAX_BYTES, MODELS, REQUIRED, WEIGHTS};
use crate::tree::{TrackedFile, Tree, is_within};

/// Checks that the files every clone needs are tracked.
pub(super) fn check_required(tree: &Tree) -> Vec<Violation> {
    let missing = |path: &&str| !tree.files.iter().any(|file| file.path == **path);
    let required = REQUIRED.iter().copied().filter(missing);
    let models = MODELS.iter().copied().filter(|model| !tree.holds(model));
    required
        .chain(models)
        .map(|path| Violation::new(path, "required-file", "commit it"))
        .collect()
}

/// Checks one tracked file.
pub(super) fn check_file(file: &TrackedFile) -> Vec<Violation> {
    let mut violations = Vec::new();
    if file.bytes > MAX_BYTES {
        let limit = MAX_BYTES / (1024 * 1024);
        let remedy = format!("over {limit} MB; generate or fetch it instead of tracking it");
        violations.push(Violation::new(&file.path, "file-size", remedy));
    }
    if is_stray_model(file) {
        let remedy = format!("only {} are bundled; untrack it", MODELS.join(" and "));
        violations.push(Violation::new(&file.path, "bundled-models", remedy));
    }
    violations.extend(check_text(file));
    violations
}

fn is_stray_model(file: &TrackedFile) -> bool {
    let bundled = MODELS.iter().any(|model| is_within(&file.path, model));
    let weights = file
        .name()
        .rsplit_once('.')
        .is_some_and(|(_, extension)| WEIGHTS.contains(&extension));
    // A page or manifest about the folder may lie in models/ itself, another model's folder may not.
    let foreign_folder = file
        .path
        .strip_prefix("models/")
        .is_some_and(|rest| rest.contains('/'));
    !bundled && (weights || foreign_folder)
}

fn check_text(file: &TrackedFile) -> Vec<Violation> {
    let Some(text) = file.text.as_deref().filter(|_| file.name() != "Cargo.lock") else {
        return Vec::new();
    };
    let mut violations = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let place = || format!("{}:{}", file.path, number + 1);
        if let Some(folder) = HOME_FOLDERS
            .iter()
            .find(|folder| names_folder(line, folder))
        {
            let remedy = format!("a path below {folder} is one machine's; make it relative");
            violations.push(Violation::new(place(), "home-path", remedy));
        }
        let lower = line.to_ascii_lowercase();
        if let Some(host) = FORBIDDEN_HOSTS.iter().find(|host| lower.contains(*host)) {
            let remedy = format!("remove {host}: package clients know their registry");
            violations.push(Violation::new(place(), "registry-host", remedy));
        }
    }
    violations
}

/// Whether `line` holds an absolute path below `folder`, not a longer path or URL that contains it.
fn names_folder(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + folder.len()..].chars().next();
        let inside_path = |c: char| c.is_alphanumeric() || "._-/}$*~".contains(c);
        !before.is_some_and(inside_path) && after.is_some_and(char::is_alphanumeric)
    })
}
