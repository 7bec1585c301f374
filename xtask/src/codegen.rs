//! Files that are generated from the code they describe, so that they cannot lie.

mod error_codes;

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context as _, Result};

/// One generated file.
#[derive(Debug)]
struct Page {
    /// Relative to the repository root.
    path: &'static str,
    render: fn(root: &Path) -> Result<String>,
}

const PAGES: &[Page] = &[
    Page {
        path: "config/braid.toml",
        render: |_| Ok(braid_config::keys::shipped_file()),
    },
    Page {
        path: "docs/configuration.md",
        render: |_| Ok(braid_config::keys::documentation()),
    },
    Page {
        path: "docs/error-codes.md",
        render: error_codes::render,
    },
];

/// Whether the generated files are written or compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Write,
    Check,
}

/// Generates every page; gives the paths that were stale, which `Mode::Write` has rewritten.
pub(crate) fn run(root: &Path, mode: Mode) -> Result<Vec<&'static str>> {
    let mut stale = Vec::new();
    for page in PAGES {
        let wanted = (page.render)(root).with_context(|| format!("cannot render {}", page.path))?;
        if update(&root.join(page.path), &wanted, mode)? {
            stale.push(page.path);
        }
    }
    Ok(stale)
}

/// Whether the file differs from `wanted`; writes it if `mode` says so.
fn update(file: &Path, wanted: &str, mode: Mode) -> Result<bool> {
    let current = match fs::read_to_string(file) {
        Ok(current) => current,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
    };
    let stale = current != wanted;
    if stale && mode == Mode::Write {
        fs::write(file, wanted).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(stale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_file_is_reported_and_rewritten() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("page.md");
        assert!(update(&file, "new", Mode::Check).unwrap());
        assert!(!file.exists());
        assert!(update(&file, "new", Mode::Write).unwrap());
        assert!(!update(&file, "new", Mode::Check).unwrap());
        fs::write(&file, "edited by hand").unwrap();
        assert!(update(&file, "new", Mode::Check).unwrap());
        assert_eq!(fs::read_to_string(&file).unwrap(), "edited by hand");
    }
}
