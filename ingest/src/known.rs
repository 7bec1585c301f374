//! Texts that a server has: an unchanged file is not parsed again.

use braid_core::{Document, DocumentId, DocumentStatus, DocumentSummary, Origin, Sequence};
use braid_engine::file::ParsedFile;
use braid_engine::handed_in;
use braid_engine::source::{KnownTexts, metadata_from_json};
use serde_json::Value;

use crate::remote::{Remote, segment};

/// The texts of a collection's documents on a server.
#[derive(Debug)]
pub(crate) struct ServerTexts {
    remote: Remote,
    /// The API's path of the collection's documents.
    documents: String,
}

impl ServerTexts {
    pub(crate) fn new(remote: Remote, documents: String) -> Self {
        Self { remote, documents }
    }
}

impl KnownTexts for ServerTexts {
    fn find(&self, id: &DocumentId, origin: &Origin) -> Option<ParsedFile> {
        let path = format!("{}/{}", self.documents, segment(id.as_str()));
        // Whatever is wrong, the file is parsed again: nothing is lost but time.
        let answer = self.remote.get(&path).ok()?;
        let stored = document(&answer.body)?;
        if stored.summary.origin.as_ref() != Some(origin) {
            return None;
        }
        let document = handed_in(stored)?;
        Some(ParsedFile {
            text: document.text,
            format: document.format,
            title: document.title,
        })
    }
}

/// The part of a document's JSON that its content hash is made of; the rest has no meaning here.
fn document(body: &Value) -> Option<Document> {
    let text = |name: &str| body.get(name)?.as_str();
    let origin = body.get("origin")?;
    let origin = Origin {
        hash: origin.get("hash")?.as_str()?.parse().ok()?,
        parser: origin.get("parser")?.as_str()?.to_owned(),
    };
    let summary = DocumentSummary {
        id: DocumentId::new(text("id")?).ok()?,
        title: text("title").map(str::to_owned),
        uri: text("uri").map(str::to_owned),
        format: text("format")?.parse().ok()?,
        metadata: metadata_from_json(body.get("metadata")?.as_object()?).ok()?,
        origin: Some(origin),
        content_hash: text("content_hash")?.parse().ok()?,
        chunks: 0,
        sequence: Sequence(0),
        status: DocumentStatus::Published,
        updated_at_ms: 0,
        duplicate: None,
        language: None,
    };
    Some(Document {
        text: text("text")?.to_owned(),
        summary,
    })
}
