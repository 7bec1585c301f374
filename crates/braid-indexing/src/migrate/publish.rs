//! What was staged is published with the embeddings of the source. Nothing else is claimed, and nothing
//! stays claimed however it ends.

use std::convert::Infallible;
use std::time::Duration;

use braid_core::ports::{Asked, Claim, GiveBack, Settled, WorkItem};
use braid_core::{DocumentId, Embedding, Result};

use super::copy::Route;
use super::{Migrated, Migration};

/// How long a claim lasts; it is renewed three times as often.
const LEASE: Duration = Duration::from_mins(2);

const NOT_EMBEDDED: &str = "the source has no embedding of it: run `braid ingest --worker`";

/// What became of documents that were to be published.
#[derive(Debug, Default)]
pub(super) struct Published {
    /// How many did not wait any more.
    pub(super) idle: u64,
    /// Those that wait, and that another process has.
    pub(super) claimed: Vec<DocumentId>,
}

impl Migration {
    /// Publishes what waits of these documents and was embedded by the source; the rest is left to
    /// workers.
    pub(super) async fn publish(
        &self,
        route: &Route<'_>,
        documents: Vec<DocumentId>,
        migrated: &mut Migrated,
    ) -> Result<Published> {
        let mut published = Published {
            idle: 0,
            claimed: documents,
        };
        while !published.claimed.is_empty() {
            let documents = std::mem::take(&mut published.claimed);
            let target = route.target.id;
            let asking = self.queue.claim_documents(target, &documents, LEASE);
            let mut items = Vec::new();
            for (document, asked) in documents.iter().zip(asking.await?) {
                match asked {
                    Asked::Claimed(item) => items.push(*item),
                    Asked::Waits => published.claimed.push(document.clone()),
                    Asked::Idle => published.idle += 1,
                }
            }
            if items.is_empty() {
                break;
            }
            self.publish_claimed(route, items, migrated).await?;
        }
        Ok(published)
    }

    async fn publish_claimed(
        &self,
        route: &Route<'_>,
        items: Vec<WorkItem>,
        migrated: &mut Migrated,
    ) -> Result<()> {
        let claims: Vec<Claim> = items.iter().map(|item| item.claim.clone()).collect();
        let done = tokio::select! {
            biased;
            done = self.publish_items(route, items, migrated) => done,
            never = self.renew(&claims) => match never {},
        };
        if done.is_err() {
            self.give_back(&claims).await;
        }
        done
    }

    async fn publish_items(
        &self,
        route: &Route<'_>,
        items: Vec<WorkItem>,
        migrated: &mut Migrated,
    ) -> Result<()> {
        let (mut work, mut without) = (Vec::with_capacity(items.len()), Vec::new());
        for item in items {
            match self.embeddings(route, &item).await? {
                Some(embeddings) => work.push((item, embeddings)),
                None => without.push(item.claim),
            }
        }
        let settled = self.queue.publish(work).await?;
        let published = settled.iter().filter(|it| **it == Settled::Done).count();
        migrated.copied += published as u64;
        if !without.is_empty() {
            let left_out = without.iter().map(|it| it.document.to_string());
            let left_out = left_out.map(|document| (document, NOT_EMBEDDED.to_owned()));
            migrated.left_out.extend(left_out);
            self.give_back(&without).await;
        }
        Ok(())
    }

    /// The embeddings that the source has of a claimed document; `None` where one is missing.
    async fn embeddings(
        &self,
        route: &Route<'_>,
        item: &WorkItem,
    ) -> Result<Option<Vec<Embedding>>> {
        let chunks = item.chunks.iter();
        let keys: Vec<_> = chunks.map(|chunk| chunk.record.embedding_key).collect();
        let embedder = &route.source.fingerprint.embedder;
        let found = self.source.ledger.embeddings(embedder, &keys).await?;
        Ok(found.into_iter().collect())
    }

    async fn renew(&self, claims: &[Claim]) -> Infallible {
        loop {
            tokio::time::sleep(LEASE / 3).await;
            // What is lost is found so when it is published.
            if let Err(error) = self.queue.renew(claims, LEASE).await {
                tracing::warn!(error = %error.chain(), "leases could not be renewed");
            }
        }
    }

    async fn give_back(&self, claims: &[Claim]) {
        let given_back = self.queue.give_back(claims, GiveBack::Untouched).await;
        if let Err(error) = given_back {
            tracing::warn!(error = %error.chain(), "claims come back when their leases end");
        }
    }
}
