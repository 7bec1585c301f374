//! `--sync`: what the sources no longer have is deleted.

use std::collections::HashSet;

use braid_core::{Error, Result};
use braid_engine::source::SourceFailure;

/// Ids the sources have, readable or not.
#[derive(Debug, Default)]
pub(crate) struct Present {
    ids: HashSet<String>,
    unknown: Option<String>,
}

impl Present {
    pub(crate) fn document(&mut self, id: &str) {
        self.ids.insert(id.to_owned());
    }

    pub(crate) fn failure(&mut self, failure: &SourceFailure) {
        match &failure.id {
            Some(id) => self.document(id.as_str()),
            None => self.unknown = Some(failure.name.clone()),
        }
    }

    /// Whether a stored document is gone from the sources.
    ///
    /// # Errors
    /// The name of something unreadable whose id is not known: it might be any stored document, so
    /// nothing may be deleted.
    pub(crate) fn is_gone(&self, id: &str) -> Result<bool, &str> {
        match &self.unknown {
            Some(name) => Err(name),
            None => Ok(!self.ids.contains(id)),
        }
    }
}

/// Sources without a single document are more likely a wrong path or a disk that is not mounted
/// than a wish to delete everything.
pub(crate) fn refuse_to_empty(present: &Present, failures: usize) -> Result<()> {
    if present.ids.is_empty() && failures == 0 {
        return Err(Error::invalid(
            "--sync with sources that have no document would delete every document",
        )
        .with_help("check PATHS, or delete the collection with `braid collection delete`"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use braid_core::DocumentId;

    use super::*;

    #[test]
    fn an_unreadable_document_is_not_gone() {
        let mut present = Present::default();
        present.document("a");
        let failure = |id: Option<&str>| SourceFailure {
            name: "x".to_owned(),
            id: id.map(|id| DocumentId::new(id).unwrap()),
            reason: "not valid UTF-8".to_owned(),
            bytes: 0,
        };
        present.failure(&failure(Some("b")));
        assert_eq!(
            ["a", "b", "c"].map(|id| present.is_gone(id)),
            [Ok(false), Ok(false), Ok(true)]
        );
        present.failure(&failure(None));
        assert_eq!(present.is_gone("c"), Err("x"));
    }
}
