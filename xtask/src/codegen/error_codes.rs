//! `docs/error-codes.md`: every [`ErrorCode`] with the meaning its documentation gives.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use braid_core::ErrorCode;

/// Where the codes and their documentation are.
const SOURCE: &str = "crates/braid-core/src/error.rs";

const OPENING: &str = "\
# Error codes

Every error that Braid answers over HTTP carries one of these codes, as `error_code` in its
`application/problem+json` body. A code is never renamed. Retryable means that the same request may
succeed later without being changed; the body then says `\"retryable\": true`.

<!-- Generated from the code by `cargo xtask codegen`; edits here are overwritten. -->

| code | retryable | meaning |
|---|---|---|
";

pub(super) fn render(root: &Path) -> Result<String> {
    let source = fs::read_to_string(root.join(SOURCE)).context(SOURCE)?;
    let mut page = OPENING.to_owned();
    for code in ErrorCode::ALL {
        let meaning = meaning(&source, &format!("{code:?}"))
            .with_context(|| format!("{code:?} has no documentation in {SOURCE}"))?;
        let retryable = if code.is_retryable() { "yes" } else { "no" };
        writeln!(page, "| `{code}` | {retryable} | {meaning} |")?;
    }
    Ok(page)
}

/// The documentation of the enum variant `variant`, without links to items of the code.
fn meaning(source: &str, variant: &str) -> Option<String> {
    let declaration = format!("{variant},");
    let mut documentation: Vec<&str> = Vec::new();
    for line in source.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("/// ") {
            documentation.push(text);
        } else if line == declaration && !documentation.is_empty() {
            let joined = documentation.join(" ");
            let prose = joined.split("; see [").next().unwrap_or(&joined);
            return Some(format!("{}.", prose.trim_end_matches('.')));
        } else {
            documentation.clear();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meaning_is_the_documentation_above_the_variant() {
        let source = "/// A list.\nenum A {\n    /// Not\n    /// valid; see [`B::c`].\n    Bad,\n    Bare,\n}\n";
        assert_eq!(meaning(source, "Bad").as_deref(), Some("Not valid."));
        assert_eq!(meaning(source, "Bare"), None);
    }

    #[test]
    fn every_code_has_a_row() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let page = render(&root).unwrap();
        for code in ErrorCode::ALL {
            assert!(
                page.contains(&format!("| `{}` | ", code.as_str())),
                "{code}"
            );
        }
        assert!(page.contains("| `OVERLOADED` | yes |"), "{page}");
    }
}
