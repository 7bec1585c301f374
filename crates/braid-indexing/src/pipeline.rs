//! What shapes a collection's stored data, and the fingerprints that prove it.

use braid_core::{
    Collection, CollectionSettings, Error, ErrorCode, Fingerprint, PipelineFingerprint, Result,
};
use braid_text::{Analyzers, Chunker};

use crate::indexer::IndexerParts;

/// The running pipeline under one collection's settings.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) chunker: Chunker,
    pub(crate) fingerprint: PipelineFingerprint,
    /// The whole fingerprint as one value: what the ledger compares to know an unchanged document.
    pub(crate) stamp: Fingerprint,
}

impl Pipeline {
    /// # Errors
    /// [`InvalidRequest`](ErrorCode::InvalidRequest) for settings that contradict each other.
    pub(crate) fn new(parts: &IndexerParts, settings: &CollectionSettings) -> Result<Self> {
        let chunker = Chunker::new(parts.embedder.token_counter(), settings.chunking)?;
        let fingerprint = PipelineFingerprint {
            embedder: parts.embedder.fingerprint().clone(),
            chunker: Fingerprint::new(format!(
                "reader-{}+{}",
                parts.reader.version(),
                chunker.fingerprint()
            )),
            analyzer: Analyzers::new(settings.language).fingerprint(),
        };
        let stamp = stamp(&fingerprint);
        Ok(Self {
            chunker,
            fingerprint,
            stamp,
        })
    }

    /// Refuses to add documents to a collection that was built with something else.
    pub(crate) fn check_writes(&self, collection: &Collection) -> Result<()> {
        self.check(collection, &DIFFERENCES)
    }

    /// Refuses to index what is staged with another model or analyzer than it was staged for. (Its
    /// chunks are made already, so the chunker does not matter.)
    pub(crate) fn check_indexing(&self, collection: &Collection) -> Result<()> {
        self.check(collection, &DIFFERENCES[..2])
    }

    fn check(&self, collection: &Collection, differences: &[Difference]) -> Result<()> {
        let differs = differences
            .iter()
            .find(|(_, part)| part(&self.fingerprint) != part(&collection.fingerprint));
        let Some((name, part)) = differs else {
            return Ok(());
        };
        Err(Error::new(
            ErrorCode::FingerprintMismatch,
            format!(
                "collection {} was built with {name} {}, this process runs {}",
                collection.name,
                part(&collection.fingerprint),
                part(&self.fingerprint)
            ),
        )
        .with_help(format!(
            "run `braid collection rebuild {}`",
            collection.name
        )))
    }
}

type Difference = (&'static str, fn(&PipelineFingerprint) -> &Fingerprint);

const DIFFERENCES: [Difference; 3] = [
    ("embedder", |fingerprint| &fingerprint.embedder),
    ("analyzer", |fingerprint| &fingerprint.analyzer),
    ("chunker", |fingerprint| &fingerprint.chunker),
];

/// BLAKE3 over the parts, each on its own line.
pub(crate) fn stamp(fingerprint: &PipelineFingerprint) -> Fingerprint {
    let mut hasher = blake3::Hasher::new();
    for (_, part) in DIFFERENCES {
        hasher.update(part(fingerprint).as_str().as_bytes());
        hasher.update(b"\n");
    }
    Fingerprint::new(hasher.finalize().to_hex().to_string())
}
