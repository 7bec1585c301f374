//! What the sources have: for `--sync`, which deletes the rest, and to say where a document is.

use std::collections::HashMap;
use std::sync::Arc;

use braid_core::{Error, Result};
use braid_engine::source::SourceFailure;

/// Ids the sources have, readable or not, and where each is.
#[derive(Debug, Default)]
pub(crate) struct Present {
    ids: HashMap<String, Place>,
    /// The beginning of the last place, which the next most likely shares.
    last: Option<Arc<str>>,
    unknown: Option<String>,
}

/// Where a document is, in little room: there is one for each.
#[derive(Debug)]
enum Place {
    /// A file: what stands before its id.
    File(Arc<str>),
    /// A record: its file with a colon, and its line.
    Line(Arc<str>, u64),
    Other(Box<str>),
}

impl Present {
    /// Notes a document and where it was found.
    pub(crate) fn document(&mut self, id: &str, name: &str) {
        let line = name.rsplit_once(':');
        let line = line.and_then(|(file, line)| Some((file, line.parse::<u64>().ok()?)));
        let place = match (name.strip_suffix(id), line) {
            (Some(before), _) => Place::File(self.shared(before)),
            (None, Some((file, line))) if name.len() == file.len() + 1 + digits(line) => {
                Place::Line(self.shared(&name[..=file.len()]), line)
            }
            (None, _) => Place::Other(name.into()),
        };
        // Of a record whose id was there before, the first is the document.
        self.ids.entry(id.to_owned()).or_insert(place);
    }

    pub(crate) fn failure(&mut self, failure: &SourceFailure) {
        match &failure.id {
            Some(id) => self.document(id.as_str(), &failure.name),
            None => self.unknown = Some(failure.name.clone()),
        }
    }

    /// Where a document of the sources is.
    pub(crate) fn place(&self, id: &str) -> Option<String> {
        Some(match self.ids.get(id)? {
            Place::File(before) => format!("{before}{id}"),
            Place::Line(file, line) => format!("{file}{line}"),
            Place::Other(name) => name.to_string(),
        })
    }

    fn shared(&mut self, beginning: &str) -> Arc<str> {
        match &self.last {
            Some(last) if **last == *beginning => Arc::clone(last),
            Some(_) | None => Arc::clone(self.last.insert(beginning.into())),
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
            None => Ok(!self.ids.contains_key(id)),
        }
    }
}

fn digits(number: u64) -> usize {
    number.to_string().len()
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
    fn places_are_kept_as_they_were() {
        let mut present = Present::default();
        let places = [
            ("a.md", "docs/a.md"),
            ("b/c.md", "docs/b/c.md"),
            ("alone.md", "alone.md"),
            ("7", "table.csv:12"),
            ("x", "odd.csv:012"),
            ("y", "records.json[3]"),
            ("12", "t.csv:12"),
        ];
        for (id, name) in places {
            present.document(id, name);
        }
        for (id, name) in places {
            assert_eq!(present.place(id).as_deref(), Some(name));
        }
        assert_eq!(present.place("z"), None);
    }

    #[test]
    fn an_unreadable_document_is_not_gone() {
        let mut present = Present::default();
        present.document("a", "a");
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
