//! The embeddings of claimed documents: stored ones are taken, the others are made.

use std::collections::HashMap;

use braid_core::operation::IndexableChunk;
use braid_core::ports::WorkItem;
use braid_core::{ContentHash, Embedding, Error, ErrorCode, Result};
use tokio::time::Instant;

use super::Worker;
use crate::embeddings::{Fault, embed_texts, missing_texts, probe};
use crate::retry::Backoff;

/// What became of a document that was to be embedded.
pub(super) type Embedded = (WorkItem, Result<Vec<Embedding>>);

impl Worker {
    /// Embeds documents of one collection together; where the model refuses them, finds the one that
    /// it refuses. `None` where the worker was told to stop meanwhile.
    ///
    /// # Errors
    /// What no document is to blame for.
    pub(super) async fn embed_items(&self, items: Vec<WorkItem>) -> Result<Option<Vec<Embedded>>> {
        let mut embedded = Vec::with_capacity(items.len());
        let mut groups = vec![items];
        while let Some(mut group) = groups.pop() {
            match self.embed_together(&group).await {
                Ok(Some(vectors)) => {
                    embedded.extend(
                        group
                            .into_iter()
                            .zip(vectors)
                            .map(|(it, made)| (it, Ok(made))),
                    );
                }
                Ok(None) => return Ok(None),
                Err(Fault::Store(error)) => return Err(error),
                Err(Fault::Embedder(error)) => {
                    probe(&*self.parts.embedder).await?;
                    if group.len() == 1 {
                        let Some(made) = self.embed_once_more(&group, error).await? else {
                            return Ok(None);
                        };
                        embedded.extend(group.pop().map(|item| (item, made)));
                    } else {
                        let second = group.split_off(group.len() / 2);
                        groups.extend([second, group]);
                    }
                }
            }
        }
        Ok(Some(embedded))
    }

    /// One document that failed while the model embeds other texts. A failure that passes may be of an
    /// outage that has ended since: it is tried once more before it is blamed.
    async fn embed_once_more(
        &self,
        document: &[WorkItem],
        error: Error,
    ) -> Result<Option<Result<Vec<Embedding>>>> {
        let may_pass = error.code().is_retryable() || error.code() == ErrorCode::ModelUnavailable;
        if !may_pass {
            return Ok(Some(Err(error)));
        }
        match self.embed_together(document).await {
            Ok(Some(mut vectors)) => Ok(vectors.pop().map(Ok)),
            Ok(None) => Ok(None),
            Err(Fault::Embedder(error)) => Ok(Some(Err(error))),
            Err(Fault::Store(error)) => Err(error),
        }
    }

    /// The embeddings of each document's chunks.
    async fn embed_together(
        &self,
        items: &[WorkItem],
    ) -> Result<Option<Vec<Vec<Embedding>>>, Fault> {
        let Some(first) = items.first() else {
            return Ok(Some(Vec::new()));
        };
        let chunks: Vec<IndexableChunk> =
            items.iter().flat_map(|item| item.chunks.clone()).collect();
        let keys: Vec<_> = chunks.iter().map(|it| it.record.embedding_key).collect();
        let fingerprint = self.parts.embedder.fingerprint();
        let found = self.parts.ledger.embeddings(fingerprint, &keys).await;
        let mut found = found.map_err(Fault::Store)?;
        let label = first.collection.name.as_str();
        let Some(made) = self
            .embed_missing(missing_texts(&chunks, &found), label)
            .await?
        else {
            return Ok(None);
        };
        self.note(|progress| {
            progress.chunks_embedded += made.len() as u64;
            progress.chunks_reused += (chunks.len() - made.len()) as u64;
        });
        for (key, embedding) in keys.iter().zip(&mut found) {
            if embedding.is_none() {
                *embedding = made.get(key).cloned();
            }
        }
        let all: Option<Vec<_>> = found.into_iter().collect();
        let mut all = all
            .ok_or_else(|| Fault::Store(Error::internal("a missing text was not embedded")))?
            .into_iter();
        let each = items
            .iter()
            .map(|item| all.by_ref().take(item.chunks.len()).collect());
        Ok(Some(each.collect()))
    }

    /// Embeds texts of like length together, as the longest of a batch decides what it costs.
    async fn embed_missing(
        &self,
        mut missing: Vec<(ContentHash, String)>,
        label: &str,
    ) -> Result<Option<HashMap<ContentHash, Embedding>>, Fault> {
        missing.sort_by_key(|(_, text)| text.len());
        let mut made = HashMap::with_capacity(missing.len());
        let mut missing = missing.into_iter().peekable();
        while missing.peek().is_some() {
            if self.is_stopped() {
                return Ok(None);
            }
            let most = self.parts.options.embed_batch_chunks.max(1);
            let (keys, texts): (Vec<_>, Vec<_>) = missing.by_ref().take(most).unzip();
            let vectors = self.embed_retrying(texts, label).await?;
            made.extend(keys.into_iter().zip(vectors));
        }
        Ok(Some(made))
    }

    /// Tries again where the model is busy or out of reach, a few times.
    async fn embed_retrying(
        &self,
        texts: Vec<String>,
        label: &str,
    ) -> Result<Vec<Embedding>, Fault> {
        let mut backoff = Backoff::new(self.parts.options.retry);
        let started = Instant::now();
        loop {
            let error = match embed_texts(&*self.parts.embedder, texts.clone(), label).await {
                Ok(vectors) => {
                    let took = started.elapsed();
                    self.note(|progress| progress.embedding += took);
                    return Ok(vectors);
                }
                Err(error) => error,
            };
            let wait = match error.code().is_retryable() && !self.is_stopped() {
                true => backoff.wait_if_left(),
                false => None,
            };
            let Some(wait) = wait else {
                return Err(Fault::Embedder(error));
            };
            self.note_trouble(&error, backoff.failures());
            self.pause(wait).await;
        }
    }
}
