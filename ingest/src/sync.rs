//! `--sync`: what the sources no longer have is deleted.

use std::collections::HashSet;

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
