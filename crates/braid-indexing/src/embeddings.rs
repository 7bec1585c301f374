//! Embeddings of chunks: out of the ledger where they are stored, out of the model where not.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use braid_core::operation::IndexableChunk;
use braid_core::{ContentHash, Embedder, Embedding, Error, ErrorCode, Fingerprint, Result};

use crate::applier::isolate::Note;
use crate::breakpoints::Breakpoint;
use crate::indexer::IndexerParts;
use crate::retry::Backoff;
use crate::steps::Step;

/// Where the failure lies, which decides whether a document can be blamed for it.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The model refused the texts.
    Embedder(Error),
    /// Something else failed; the texts are not to blame.
    Store(Error),
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Embedder(error) | Fault::Store(error) => error,
        }
    }
}

/// Embeddings of one collection generation.
#[derive(Clone, Debug)]
pub(crate) struct Embeddings {
    parts: Arc<IndexerParts>,
    /// Of the embedder the generation is built with; not always the one that runs.
    fingerprint: Fingerprint,
    label: String,
}

/// What [`Embeddings::ensure`] found and made.
#[derive(Debug)]
pub(crate) struct Ensured {
    /// One per chunk, in order.
    pub(crate) embeddings: Vec<Embedding>,
    /// How many texts the model embedded.
    pub(crate) embedded: u64,
}

impl Embeddings {
    pub(crate) fn new(parts: Arc<IndexerParts>, collection: &braid_core::Collection) -> Self {
        Self {
            parts,
            fingerprint: collection.fingerprint.embedder.clone(),
            label: collection.name.to_string(),
        }
    }

    /// The embeddings of these chunks, embedding and storing what is missing. What an attempt that
    /// fails half-way embedded stays stored.
    pub(crate) async fn ensure(&self, chunks: &[IndexableChunk]) -> Result<Ensured, Fault> {
        let keys: Vec<_> = chunks
            .iter()
            .map(|chunk| chunk.record.embedding_key)
            .collect();
        let mut found = self.stored(&keys).await?;
        let missing = missing_texts(chunks, &found);
        let embedded = missing.len() as u64;
        if !missing.is_empty() {
            let made = self.embed_and_store(missing).await?;
            for (key, embedding) in keys.iter().zip(&mut found) {
                if embedding.is_none() {
                    *embedding = made.get(key).cloned();
                }
            }
        }
        let embeddings: Option<Vec<_>> = found.into_iter().collect();
        let embeddings = embeddings
            .ok_or_else(|| Fault::Store(Error::internal("a missing text was not embedded")))?;
        Ok(Ensured {
            embeddings,
            embedded,
        })
    }

    /// As [`Embeddings::ensure`], trying again where the model is busy or out of reach.
    pub(crate) async fn ensure_retrying(
        &self,
        chunks: &[IndexableChunk],
        note: &Note<'_>,
    ) -> Result<Ensured, Fault> {
        let mut backoff = Backoff::new(self.parts.options.retry);
        loop {
            let error = match self.ensure(chunks).await {
                Err(Fault::Embedder(error)) if error.code().is_retryable() => error,
                done => return done,
            };
            let Some(wait) = backoff.wait_if_left() else {
                return Err(Fault::Embedder(error));
            };
            note(&error, backoff.failures());
            tokio::time::sleep(wait).await;
        }
    }

    async fn stored(&self, keys: &[ContentHash]) -> Result<Vec<Option<Embedding>>, Fault> {
        let stored = self.parts.ledger.embeddings(&self.fingerprint, keys);
        let stored = Step::ReadEmbeddings.timed(stored).await;
        stored.map_err(Fault::Store)
    }

    /// What was embedded, all of it stored.
    async fn embed_and_store(
        &self,
        missing: Vec<(ContentHash, String)>,
    ) -> Result<HashMap<ContentHash, Embedding>, Fault> {
        self.check_model().map_err(Fault::Store)?;
        let batch = self.parts.options.embed_batch_chunks.max(1);
        let mut made = HashMap::with_capacity(missing.len());
        let mut missing = missing.into_iter().peekable();
        while missing.peek().is_some() {
            let (keys, texts) = missing.by_ref().take(batch).unzip();
            made.extend(self.embed_batch(keys, texts).await?);
        }
        Ok(made)
    }

    async fn embed_batch(
        &self,
        keys: Vec<ContentHash>,
        texts: Vec<String>,
    ) -> Result<Vec<(ContentHash, Embedding)>, Fault> {
        let vectors = self.embed(texts).await.map_err(Fault::Embedder)?;
        self.parts.options.breakpoints.reach(Breakpoint::AfterEmbed);
        let rows: Vec<_> = keys.into_iter().zip(vectors).collect();
        let ledger = &self.parts.ledger;
        let stored = ledger.put_embeddings(&self.fingerprint, rows.clone());
        let stored = Step::PutEmbeddings.timed(stored).await;
        stored.map_err(Fault::Store)?;
        self.parts
            .options
            .breakpoints
            .reach(Breakpoint::AfterPutEmbeddings);
        Ok(rows)
    }

    async fn embed(&self, texts: Vec<String>) -> Result<Vec<Embedding>> {
        embed_texts(&*self.parts.embedder, texts, &self.label).await
    }

    /// Whether the model works at all: tells a poisoned document from an outage.
    pub(crate) async fn probe(&self) -> Result<()> {
        probe(&*self.parts.embedder).await
    }

    fn check_model(&self) -> Result<()> {
        let running = self.parts.embedder.fingerprint();
        if *running == self.fingerprint {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::FingerprintMismatch,
            format!(
                "collection {} was built with embedder {}, this process runs {running}",
                self.label, self.fingerprint
            ),
        )
        .with_help(format!("run `braid collection rebuild {}`", self.label)))
    }
}

/// The embedding of each text, in order, of the embedder's dimension. `label` names the collection in
/// the metrics.
pub(crate) async fn embed_texts(
    embedder: &dyn Embedder,
    texts: Vec<String>,
    label: &str,
) -> Result<Vec<Embedding>> {
    let asked = texts.len();
    let started = Instant::now();
    let vectors = embedder.embed_passages(texts).await?;
    metrics::histogram!("braid_index_embed_seconds").record(started.elapsed());
    if vectors.len() != asked {
        return Err(Error::internal(format!(
            "the embedder gave {} vectors for {asked} texts",
            vectors.len()
        )));
    }
    let dimension = embedder.dimension();
    if let Some(bad) = vectors.iter().find(|vector| vector.len() != dimension) {
        return Err(Error::internal(format!(
            "the embedder gave a vector of {} numbers, its dimension is {dimension}",
            bad.len()
        )));
    }
    metrics::counter!("braid_index_chunks_embedded_total", "collection" => label.to_owned())
        .increment(asked as u64);
    Ok(vectors)
}

/// Whether the model works at all: tells a poisoned document from an outage.
pub(crate) async fn probe(embedder: &dyn Embedder) -> Result<()> {
    let answer = embedder.embed_passages(vec!["probe".to_owned()]).await;
    answer.map(drop).map_err(|error| {
        let message = "the embedder does not answer";
        Error::new(ErrorCode::Unavailable, message).with_source(error)
    })
}

/// Key and text of every chunk without an embedding, each key once.
pub(crate) fn missing_texts(
    chunks: &[IndexableChunk],
    found: &[Option<Embedding>],
) -> Vec<(ContentHash, String)> {
    let mut seen = HashSet::new();
    chunks
        .iter()
        .zip(found)
        .filter(|(_, embedding)| embedding.is_none())
        .filter(|(chunk, _)| seen.insert(chunk.record.embedding_key))
        .map(|(chunk, _)| (chunk.record.embedding_key, chunk.record.embedded_text()))
        .collect()
}
