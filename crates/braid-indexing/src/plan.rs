//! From a document as handed in to one that can be staged: pure work for the CPU pool.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use braid_core::limits::MAX_TITLE_BYTES;
use braid_core::operation::{Expected, StagedChunk, StagedDocument};
use braid_core::{
    CollectionName, ContentHash, DocumentId, DuplicateAction, Error, ErrorCode, Format, Language,
    LanguageSetting, Likeness, NewDocument, Reader, Result,
};
use braid_text::hashing::{chunk_id, content_hash, embedding_key};
use braid_text::language;
use braid_text::likeness::likeness;
use rayon::prelude::*;

use crate::indexer::IndexerParts;
use crate::state::Served;
use crate::steps::Step;

/// A document on its way to being staged.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) document: NewDocument,
    pub(crate) content_hash: ContentHash,
    /// Its chunks; `None` while it is taken to be unchanged.
    pub(crate) extracted: Option<Extracted>,
    /// What the document must be for this to be stored, if it must be something.
    pub(crate) expected: Option<Expected>,
}

/// What reader and chunker made of a document.
#[derive(Debug)]
pub(crate) struct Extracted {
    /// The title given, or the one found.
    pub(crate) title: Option<String>,
    /// The language detected in the text, where the collection asks for it and one was.
    pub(crate) language: Option<Language>,
    pub(crate) chunks: Vec<StagedChunk>,
    /// What is compared to find duplicates, where the collection looks for them.
    pub(crate) likeness: Option<Likeness>,
}

/// A document that was refused, and why.
pub(crate) type Rejected = (DocumentId, Error);

/// Checks and hashes documents; of several with one id only the first is taken.
pub(crate) async fn hash_documents(
    parts: &IndexerParts,
    documents: Vec<NewDocument>,
) -> Result<(Vec<Planned>, Vec<Rejected>)> {
    let (documents, mut rejected) = refuse_repeated(documents);
    let hash = |document: NewDocument| match document.check() {
        Ok(()) => Ok(Planned {
            content_hash: content_hash(&document),
            document,
            extracted: None,
            expected: None,
        }),
        Err(error) => Err((document.id, error)),
    };
    let work = move || documents.into_par_iter().map(hash).collect::<Vec<_>>();
    let (planned, refused) = split(Step::Hash.timed(parts.pool.run(work)).await?);
    rejected.extend(refused);
    Ok((planned, rejected))
}

/// Extracts and chunks the documents that are not yet and whose place in `stale` says so.
pub(crate) async fn extract_stale(
    parts: &IndexerParts,
    served: Arc<Served>,
    (planned, stale): (Vec<Planned>, Vec<bool>),
) -> Result<(Vec<Planned>, Vec<Rejected>)> {
    let reader = Arc::clone(&parts.reader);
    let work = move || {
        let extract = |(mut planned, stale): (Planned, bool)| {
            if stale && planned.extracted.is_none() {
                match extract_document(&*reader, &served, &Raw::of(&planned.document)) {
                    Ok(extracted) => planned.extracted = Some(extracted),
                    Err(error) => return Err((planned.document.id, error)),
                }
            }
            Ok(planned)
        };
        planned
            .into_par_iter()
            .zip(stale)
            .map(extract)
            .collect::<Vec<_>>()
    };
    Ok(split(parts.pool.run(work).await?))
}

/// The parts of a document that decide its chunks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Raw<'a> {
    pub(crate) id: &'a DocumentId,
    pub(crate) title: Option<&'a str>,
    pub(crate) format: Format,
    pub(crate) text: &'a str,
}

impl<'a> Raw<'a> {
    fn of(document: &'a NewDocument) -> Self {
        Self {
            id: &document.id,
            title: document.title.as_deref(),
            format: document.format,
            text: &document.text,
        }
    }
}

/// Extracts and chunks one document.
///
/// # Errors
/// [`UnreadableDocument`](ErrorCode::UnreadableDocument) when it cannot be read, or holds no text.
pub(crate) fn extract_document(
    reader: &dyn Reader,
    served: &Served,
    raw: &Raw<'_>,
) -> Result<Extracted> {
    // A document that makes a format library panic must not take its batch with it.
    let extract = AssertUnwindSafe(|| extract(reader, served, raw));
    catch_unwind(extract).unwrap_or_else(|_| Err(unreadable("reading it failed unexpectedly")))
}

fn extract(reader: &dyn Reader, served: &Served, raw: &Raw<'_>) -> Result<Extracted> {
    let extracted = Step::Extract.measured(|| reader.extract(raw.format, raw.text))?;
    let found = || {
        let title = extracted.title.as_deref();
        title.map(|title| shorten(title, MAX_TITLE_BYTES))
    };
    let title = raw.title.map(str::to_owned).or_else(found);
    let chunker = &served.pipeline.chunker;
    let chunk = || chunker.chunk(&extracted, raw.format.into(), title.as_deref());
    let chunks = Step::Chunk.measured(chunk);
    if chunks.is_empty() {
        return Err(unreadable("the document is empty: there is no text in it"));
    }
    let duplicates = served.collection.settings.duplicates;
    let wanted = duplicates.action != DuplicateAction::Ignore;
    let likeness = wanted.then(|| likeness(&extracted.text, duplicates.is_near()));
    let name = &served.collection.name;
    let stage = |chunk| stage_chunk(name, raw.id, title.as_deref(), chunk);
    Ok(Extracted {
        language: detect_language(served, raw.format, &extracted.text),
        chunks: chunks.into_iter().map(stage).collect(),
        title,
        likeness,
    })
}

/// Programs are not in a language: their words are analyzed as those of any text that cannot be told.
fn detect_language(served: &Served, format: Format, text: &str) -> Option<Language> {
    match (served.collection.settings.language, format) {
        (LanguageSetting::Fixed(_), _) | (LanguageSetting::Auto, Format::Code(_)) => None,
        (LanguageSetting::Auto, Format::Text | Format::Markdown | Format::Html) => {
            language::detect(text)
        }
    }
}

fn stage_chunk(
    collection: &CollectionName,
    document: &DocumentId,
    title: Option<&str>,
    chunk: braid_core::Chunk,
) -> StagedChunk {
    StagedChunk {
        id: chunk_id(collection, document, &chunk, title),
        embedding_key: embedding_key(&chunk.embedded_text()),
        chunk,
    }
}

impl Planned {
    /// The document for the ledger. Without chunks where it is unchanged: the ledger compares the
    /// hash and looks no further.
    pub(crate) fn into_staged(self, pipeline: &braid_core::Fingerprint) -> StagedDocument {
        let Self {
            mut document,
            content_hash,
            extracted,
            expected: _,
        } = self;
        let (chunks, language, likeness) = match extracted {
            Some(extracted) => {
                document.title = extracted.title;
                (extracted.chunks, extracted.language, extracted.likeness)
            }
            None => (Vec::new(), None, None),
        };
        StagedDocument {
            document,
            content_hash,
            pipeline: pipeline.clone(),
            chunks,
            likeness,
            language,
        }
    }
}

fn refuse_repeated(documents: Vec<NewDocument>) -> (Vec<NewDocument>, Vec<Rejected>) {
    let mut seen = HashSet::new();
    let (first, repeated): (Vec<_>, Vec<_>) = documents
        .into_iter()
        .partition(|document| seen.insert(document.id.clone()));
    let refuse = |document: NewDocument| {
        let error = Error::invalid("the id occurs more than once in this request");
        (
            document.id,
            error.with_help("send one version of a document at a time"),
        )
    };
    (first, repeated.into_iter().map(refuse).collect())
}

pub(crate) fn split(results: Vec<Result<Planned, Rejected>>) -> (Vec<Planned>, Vec<Rejected>) {
    let mut planned = Vec::with_capacity(results.len());
    let mut rejected = Vec::new();
    for result in results {
        match result {
            Ok(document) => planned.push(document),
            Err(refused) => rejected.push(refused),
        }
    }
    (planned, rejected)
}

fn shorten(text: &str, bytes: usize) -> String {
    text[..text.floor_char_boundary(bytes)].to_owned()
}

fn unreadable(message: &str) -> Error {
    Error::new(ErrorCode::UnreadableDocument, message)
}
