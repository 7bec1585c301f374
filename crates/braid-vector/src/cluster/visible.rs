//! [`Visible`]: which version of each document a query sees.

use std::collections::HashMap;

use braid_core::{DocumentId, Result, Sequence};
use parking_lot::Mutex;

use super::heads::Heads;

/// The answers that a query was given. Once it has asked for a document the answer stays, so that all
/// parts of the query see one version of it, or all see none. What it sees is not removed before the
/// grace of a sweep is over.
#[derive(Debug)]
pub(crate) struct Visible {
    heads: Heads,
    known: Mutex<HashMap<DocumentId, Option<Sequence>>>,
}

impl Visible {
    pub(crate) fn new(heads: Heads) -> Self {
        Self {
            heads,
            known: Mutex::default(),
        }
    }

    /// The version of each document that this query sees, in order.
    ///
    /// # Cancel safety
    /// What was learned before is kept.
    pub(crate) async fn of(&self, documents: &[&DocumentId]) -> Result<Vec<Option<Sequence>>> {
        let mut unknown: Vec<&DocumentId> = {
            let known = self.known.lock();
            let documents = documents.iter().copied();
            documents
                .filter(|document| !known.contains_key(*document))
                .collect()
        };
        unknown.sort_unstable();
        unknown.dedup();
        if !unknown.is_empty() {
            let found = self.heads.published(&unknown).await?;
            let mut known = self.known.lock();
            for (document, sequence) in unknown.into_iter().zip(found) {
                // Another part of the query may have asked meanwhile: its answer holds.
                known.entry(document.clone()).or_insert(sequence);
            }
        }
        let known = self.known.lock();
        let answer = |document: &&DocumentId| known.get(*document).copied().flatten();
        Ok(documents.iter().map(answer).collect())
    }
}
