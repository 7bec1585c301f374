//! What an ingestion did.

use std::collections::{BTreeMap, HashSet};

use braid_engine::source::SourceFailure;
use serde::Serialize;

/// What an ingestion did, document by document where something failed.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct IngestReport {
    /// The collection.
    pub collection: String,
    /// Documents that were not there before.
    pub added: usize,
    /// Documents whose content changed.
    pub replaced: usize,
    /// Documents that were stored already.
    pub unchanged: usize,
    /// Documents deleted because their source is gone (`--sync`).
    pub deleted: usize,
    /// Documents that say the same as another of the collection, of those looked at anew.
    pub duplicates: Vec<DuplicateDocument>,
    /// Documents that could not be read or indexed.
    pub failed: Vec<FailedDocument>,
    /// Files passed over, counted by reason.
    pub skipped: BTreeMap<String, u64>,
    /// Chunks the model embedded; `null` when a server did it.
    pub chunks_embedded: Option<u64>,
    /// Chunks whose embedding was stored already; `null` when a server did it.
    pub chunks_reused: Option<u64>,
    /// Wall-clock seconds.
    pub seconds: f64,
}

/// A document that could not be read or indexed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FailedDocument {
    /// Its file, or file and line; its id where this ingestion did not read it.
    pub document: String,
    /// Its id; `null` where it is not known, as of a record that cannot be read.
    pub id: Option<String>,
    /// Why.
    pub reason: String,
}

impl FailedDocument {
    /// For people: where it is, and its id where that is another.
    fn line(&self) -> String {
        let Self {
            document,
            id,
            reason,
        } = self;
        match id.as_ref().filter(|id| *id != document) {
            Some(id) => format!("failed {document} (id {id}): {reason}"),
            None => format!("failed {document}: {reason}"),
        }
    }
}

/// A document that says the same as another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DuplicateDocument {
    /// Its id.
    pub document: String,
    /// The document that was there before.
    pub of: String,
    /// The similarity: 1 for the same words, an estimate below.
    pub similarity: f64,
    /// Whether it was not stored, as the collection asks.
    pub skipped: bool,
}

/// Duplicates that are named one by one in the report for people.
const DUPLICATES_NAMED: usize = 10;

impl IngestReport {
    /// The report for people, one fact a line.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "{}: {} added, {} replaced, {} unchanged, {} deleted, {} failed in {:.1} s",
            self.collection,
            self.added,
            self.replaced,
            self.unchanged,
            self.deleted,
            self.failed.len(),
            self.seconds
        )];
        if self.seen() == 0 {
            lines.push(
                "no documents found: folders are searched for Markdown, text, HTML, PDF, Word, OpenDocument, EPUB \
                 and source files that are not hidden; a table or a JSON array needs a row"
                    .to_owned(),
            );
        } else if self.seen() == self.failed.len() {
            lines.push("nothing was ingested: every document failed".to_owned());
        } else if !self.has_changes() {
            lines.push("nothing changed: nothing was embedded and no index was written".to_owned());
        } else if let (Some(embedded), Some(reused)) = (self.chunks_embedded, self.chunks_reused) {
            lines.push(format!(
                "{embedded} chunks embedded, {reused} had an embedding already"
            ));
        }
        for (reason, count) in &self.skipped {
            lines.push(format!("skipped {count}: {reason}"));
        }
        for duplicate in self.duplicates.iter().take(DUPLICATES_NAMED) {
            let (verb, percent) = (
                if duplicate.skipped { "skipped " } else { "" },
                duplicate.similarity * 100.0,
            );
            lines.push(format!(
                "{verb}duplicate {}: {percent:.0}% the same as {}",
                duplicate.document, duplicate.of
            ));
        }
        if let Some(more @ 1..) = self.duplicates.len().checked_sub(DUPLICATES_NAMED) {
            lines.push(format!("{more} more duplicates, listed with --json"));
        }
        lines.extend(self.failed.iter().map(FailedDocument::line));
        lines
    }

    /// Whether any document was stored or deleted.
    pub(crate) fn has_changes(&self) -> bool {
        self.added + self.replaced + self.deleted > 0
    }

    /// Whether a document was skipped in favour of one that may be gone or changed since.
    pub(crate) fn may_have_skipped_too_much(&self) -> bool {
        self.replaced + self.deleted > 0 && self.duplicates.iter().any(|it| it.skipped)
    }

    /// What this pass and the one before it did together.
    pub(crate) fn preceded_by(mut self, before: Self) -> Self {
        self.added += before.added;
        self.replaced += before.replaced;
        self.deleted += before.deleted;
        self.unchanged = before.unchanged;
        let stored = before.duplicates.into_iter().filter(|it| !it.skipped);
        self.duplicates.splice(0..0, stored);
        let sum = |a: Option<u64>, b: Option<u64>| a.zip(b).map(|(a, b)| a + b);
        self.chunks_embedded = sum(self.chunks_embedded, before.chunks_embedded);
        self.chunks_reused = sum(self.chunks_reused, before.chunks_reused);
        self.seconds += before.seconds;
        self
    }

    /// Forgets duplicates of documents that were then deleted, as a renamed file is of its old name:
    /// there is nothing left that says the same.
    pub(crate) fn forget_duplicates_of(&mut self, gone: &HashSet<String>) {
        self.duplicates
            .retain(|it| it.skipped || !gone.contains(&it.of));
    }

    /// Documents that were found, stored or deleted.
    fn seen(&self) -> usize {
        let skipped = self.duplicates.iter().filter(|it| it.skipped).count();
        self.added + self.replaced + self.unchanged + self.deleted + skipped + self.failed.len()
    }

    /// Notes what could not be read.
    pub(crate) fn unread(&mut self, failure: SourceFailure) {
        self.failed.push(FailedDocument {
            document: failure.name,
            id: failure.id.map(|id| id.as_str().to_owned()),
            reason: failure.reason,
        });
    }

    /// Notes a document that was read from `place`, where that is known, and then failed.
    pub(crate) fn fail(&mut self, id: &str, place: Option<String>, reason: impl Into<String>) {
        self.failed.push(FailedDocument {
            document: place.unwrap_or_else(|| id.to_owned()),
            id: Some(id.to_owned()),
            reason: reason.into(),
        });
    }

    /// Notes that `--sync` could not tell what is gone, for this was not read.
    pub(crate) fn deleted_nothing(&mut self, name: &str) {
        self.failed.push(FailedDocument {
            document: name.to_owned(),
            id: None,
            reason: "unreadable, and its id is not known: --sync deleted nothing".to_owned(),
        });
    }
}

#[cfg(test)]
mod tests {
    use braid_core::DocumentId;

    use super::*;

    #[test]
    fn says_when_nothing_changed() {
        let mut report = IngestReport {
            unchanged: 3,
            ..IngestReport::default()
        };
        assert!(report.lines()[1].starts_with("nothing changed"));
        report.replaced = 1;
        report.chunks_embedded = Some(2);
        report.chunks_reused = Some(1);
        report.fail("a.md", None, "poison");
        let lines = report.lines();
        assert_eq!(lines[1], "2 chunks embedded, 1 had an embedding already");
        assert_eq!(lines[2], "failed a.md: poison");
        report.replaced = 0;
        let lines = report.lines();
        assert!(lines[1].starts_with("nothing changed"), "three are there");
        report.unchanged = 0;
        assert!(report.lines()[1].starts_with("nothing was ingested"));
        let nothing = IngestReport::default().lines();
        assert!(nothing[1].starts_with("no documents found"), "{nothing:?}");
    }

    #[test]
    fn a_failure_names_the_place_and_the_id_where_it_is_another() {
        let unread = |name: &str, id: Option<&str>| SourceFailure {
            name: name.to_owned(),
            id: id.map(|id| DocumentId::new(id).unwrap()),
            reason: "why".to_owned(),
            bytes: 0,
        };
        let mut report = IngestReport::default();
        report.unread(unread("docs/a.md", Some("a.md")));
        report.unread(unread("b.md", Some("b.md")));
        report.unread(unread("t.jsonl:3", None));
        report.fail("c.md", Some("docs/c.md".to_owned()), "why");
        report.fail("7", Some("t.csv:2".to_owned()), "why");
        report.fail("gone", None, "why");
        report.deleted_nothing("t.jsonl:3");
        assert_eq!(
            report.lines()[2..8],
            [
                "failed docs/a.md (id a.md): why",
                "failed b.md: why",
                "failed t.jsonl:3: why",
                "failed docs/c.md (id c.md): why",
                "failed t.csv:2 (id 7): why",
                "failed gone: why",
            ]
        );
    }

    #[test]
    fn a_renamed_file_is_no_duplicate_of_its_old_name() {
        let found = |of: &str, skipped| DuplicateDocument {
            document: "new.md".to_owned(),
            of: of.to_owned(),
            similarity: 1.0,
            skipped,
        };
        let mut report = IngestReport {
            duplicates: vec![found("old.md", false), found("other.md", false)],
            ..IngestReport::default()
        };
        // What was skipped is looked at again in another pass.
        report.duplicates.push(found("old.md", true));
        report.forget_duplicates_of(&HashSet::from(["old.md".to_owned()]));
        assert_eq!(
            report.duplicates,
            [found("other.md", false), found("old.md", true)]
        );
    }
}
