//! Lineage: where a chunk came from, and what finds it.

use braid_core::ports::Page;
use braid_core::{
    ChunkId, ChunkLineage, ChunkRecord, Collection, CollectionName, DocumentId, DocumentSummary,
    Error, ErrorCode, Language, Leg, Result, SlotSet,
};
use braid_text::{Analyzer, TermKind};

use crate::engine::Engine;

/// The distinct terms that the analyzer makes of a chunk: what a query must share with it to find
/// it lexically.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChunkTerms {
    /// Words of title, headings and body, as they are searched, in order of appearance.
    pub words: Vec<String>,
    /// Whole identifiers, pieces of words, and stop words, which are searched only when a query
    /// has nothing else.
    pub names: Vec<String>,
}

impl ChunkTerms {
    /// Analyzes a chunk as the lexical index does.
    pub fn of(language: Language, title: Option<&str>, headings: &[String], body: &str) -> Self {
        let analyzer = Analyzer::new(language);
        let mut terms = Self::default();
        let headings = headings.iter().map(String::as_str);
        for text in title.into_iter().chain(headings).chain([body]) {
            for term in analyzer.terms(text) {
                match term.kind {
                    TermKind::Word => terms.words.push(term.text),
                    TermKind::StopWord | TermKind::Whole | TermKind::Part => {
                        terms.names.push(term.text);
                    }
                }
            }
        }
        distinct(&mut terms.words);
        distinct(&mut terms.names);
        terms
    }
}

fn distinct(terms: &mut Vec<String>) {
    let mut seen = std::collections::HashSet::new();
    terms.retain(|term| seen.insert(term.clone()));
}

/// The slots that each index has an entry for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IndexedSlots {
    /// In the lexical index.
    pub lexical: SlotSet,
    /// In the vector store.
    pub dense: SlotSet,
}

impl IndexedSlots {
    /// Whether the index of `leg` has an entry for the chunk.
    pub fn has(&self, leg: Leg, record: &ChunkRecord) -> bool {
        match leg {
            Leg::Lexical => self.lexical.contains(record.slot.0),
            Leg::Dense => self.dense.contains(record.slot.0),
        }
    }
}

impl Engine {
    /// Every stored chunk of that name with where it came from, newest first, and the collection
    /// that says what made it. Looks through every chunk of the collection.
    ///
    /// # Errors
    /// [`CollectionNotFound`](ErrorCode::CollectionNotFound), [`ChunkNotFound`](ErrorCode::ChunkNotFound).
    pub async fn chunk(
        &self,
        name: &CollectionName,
        id: ChunkId,
    ) -> Result<(Collection, Vec<ChunkLineage>)> {
        let collection = self.collection(name).await?;
        let found = self.inner.ledger.find_chunk(collection.id, id).await?;
        if found.is_empty() {
            let message = format!("no chunk {id} in collection {name}");
            return Err(Error::new(ErrorCode::ChunkNotFound, message).with_help(
                "its document may have been replaced or deleted: retrieve again for present ids",
            ));
        }
        Ok((collection, found))
    }

    /// The chunks of a document's retrievable version, in ordinal order, with the collection.
    ///
    /// # Errors
    /// [`CollectionNotFound`](ErrorCode::CollectionNotFound), [`DocumentNotFound`](ErrorCode::DocumentNotFound),
    /// [`InvalidRequest`](ErrorCode::InvalidRequest) for a bad cursor.
    pub async fn document_chunks(
        &self,
        name: &CollectionName,
        id: &DocumentId,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<(Collection, Page<ChunkLineage>)> {
        let collection = self.collection(name).await?;
        let page = self
            .inner
            .ledger
            .document_chunks(collection.id, id, cursor, limit)
            .await?;
        let page = page.ok_or_else(|| no_document(name, id))?;
        Ok((collection, page))
    }

    /// The stored versions of a document, newest first.
    ///
    /// # Errors
    /// [`CollectionNotFound`](ErrorCode::CollectionNotFound), [`DocumentNotFound`](ErrorCode::DocumentNotFound).
    pub async fn document_versions(
        &self,
        name: &CollectionName,
        id: &DocumentId,
    ) -> Result<Vec<DocumentSummary>> {
        let collection = self.collection(name).await?;
        let versions = self.inner.ledger.document_versions(collection.id, id);
        match versions.await? {
            versions if versions.is_empty() => Err(no_document(name, id)),
            versions => Ok(versions),
        }
    }

    /// The slots that both indexes of a collection have entries for.
    ///
    /// # Errors
    /// Those of the indexes.
    pub async fn indexed_slots(&self, collection: &Collection) -> Result<IndexedSlots> {
        self.refuse_in_cluster(
            "slots to compare",
            "retrieve the chunk's text to see it found",
        )?;
        let (indexes, key) = (&self.inner.indexes, collection.index_key());
        let lexical = indexes.lexical(collection, key).await?;
        let vector = indexes.vector(collection, key).await?;
        Ok(IndexedSlots {
            lexical: lexical.slots().await?,
            dense: vector.slots().await?,
        })
    }
}

/// There is no such document.
pub(crate) fn no_document(name: &CollectionName, id: &DocumentId) -> Error {
    Error::new(
        ErrorCode::DocumentNotFound,
        format!("no document {:?} in collection {name}", id.as_str()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_those_that_are_searched() {
        let headings = ["Installing".to_owned()];
        let body = "Runs the installers of get_user_name";
        let terms = ChunkTerms::of(Language::English, Some("Guide"), &headings, body);
        assert_eq!(terms.words[..3], ["guid", "instal", "run"], "{terms:?}");
        let installs = terms.words.iter().filter(|word| *word == "instal").count();
        assert_eq!(installs, 1, "each term once");
        assert!(terms.names.contains(&"the".to_owned()), "{terms:?}");
        assert!(
            terms.names.contains(&"get_user_name".to_owned()),
            "{terms:?}"
        );
    }
}
