//! The queue: heads that wait, oldest first. Several workers look at the same ones, and the
//! compare-and-set says who has which.

mod claiming;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use braid_core::ports::{Asked, Claim, GiveBack, Settled, WorkDepth, WorkFailure, WorkItem};
use braid_core::{
    Collection, CollectionId, DocumentId, Embedding, Error, ErrorCode, Fingerprint, Result,
    WorkQueue,
};
use futures::try_join;
use rand::seq::SliceRandom;

use super::cas::{all, is_text, more_than};
use super::chunks::ChunkPoint;
use super::heads::{Head, LEASE, STATE, State};
use super::ledger::ClusterLedger;
use super::shelf::Shelf;
use super::tried::Tried;
use claiming::{MOST, Room};

/// Documents of one collection, and what is done with each.
struct Group<T> {
    collection: Arc<Collection>,
    shelf: Arc<Shelf>,
    /// With the places in the call.
    work: Vec<(usize, T)>,
}

#[async_trait]
impl WorkQueue for ClusterLedger {
    async fn claim(
        &self,
        embedder: &Fingerprint,
        limit: usize,
        lease: Duration,
    ) -> Result<Vec<WorkItem>> {
        let mut room = Room::new(limit);
        let collections = self.registry.all().await?;
        let of_embedder = collections
            .values()
            .filter(|it| it.fingerprint.embedder == *embedder);
        let mut collections: Vec<&Arc<Collection>> = of_embedder.collect();
        // No collection waits for another one to be empty.
        collections.shuffle(&mut rand::rng());
        let mut items: Vec<WorkItem> = Vec::new();
        let mut tried = Tried::default();
        for collection in collections {
            let has_suspect = items.first().is_some_and(|it| it.claim.is_suspect());
            if room.is_full() || has_suspect {
                break;
            }
            let claimed = self.claim_in(collection, &mut room, lease).await;
            let claimed = tried.note(collection, "claims", claimed);
            items.extend(claimed.into_iter().flatten());
        }
        tried.done()?;
        Ok(items)
    }

    async fn claim_documents(
        &self,
        collection: CollectionId,
        documents: &[DocumentId],
        lease: Duration,
    ) -> Result<Vec<Asked>> {
        let (collection, shelf) = self.open_shelf(collection).await?;
        let now_ms = self.now_ms();
        let mut asked = Vec::with_capacity(documents.len());
        let mut free = Vec::new();
        for read in shelf.heads.read(documents).await? {
            asked.push(match read.head.state {
                State::Waiting => Asked::Waits,
                State::Idle | State::Failed | State::Deleted | State::Gone => Asked::Idle,
            });
            if read.head.is_due(now_ms) {
                free.push(read);
            }
        }
        let free = Room::new(MOST).fitting(free);
        let taken = self.take(&collection, &shelf, free, lease).await?;
        for item in self.items(&collection, &shelf, taken).await? {
            let at = documents.iter().position(|it| *it == item.claim.document);
            if let Some(at) = at {
                asked[at] = Asked::Claimed(Box::new(item));
            }
        }
        Ok(asked)
    }

    async fn renew(&self, claims: &[Claim], lease: Duration) -> Result<Vec<bool>> {
        let until_ms = self.until_ms(lease);
        let mut good = vec![false; claims.len()];
        for group in self
            .by_collection(claims.iter().cloned(), |claim| claim.collection)
            .await?
        {
            let documents = documents(&group, |claim| &claim.document);
            let step = |at: usize, head: Head| {
                let claim = &group.work[at].1;
                Ok(match head.settled(claim) {
                    None => Ok(head.renew(until_ms)),
                    Some(_) => Err(false),
                })
            };
            let answers = group.shelf.heads.step(&documents, true, step).await?;
            for ((at, _), answer) in group.work.iter().zip(answers) {
                good[*at] = answer;
            }
        }
        Ok(good)
    }

    async fn publish(&self, work: Vec<(WorkItem, Vec<Embedding>)>) -> Result<Vec<Settled>> {
        for (item, embeddings) in &work {
            check(item, embeddings)?;
        }
        let mut settled = vec![Settled::Superseded; work.len()];
        let groups = self
            .by_collection(work.into_iter(), |(item, _)| item.claim.collection)
            .await?;
        for group in groups {
            let places: Vec<usize> = group.work.iter().map(|(at, _)| *at).collect();
            for (at, answer) in places.into_iter().zip(self.publish_in(group).await?) {
                settled[at] = answer;
            }
        }
        Ok(settled)
    }

    async fn give_back(&self, claims: &[Claim], why: GiveBack) -> Result<Vec<Settled>> {
        let now_ms = self.now_ms();
        let mut settled = vec![Settled::Superseded; claims.len()];
        for group in self
            .by_collection(claims.iter().cloned(), |claim| claim.collection)
            .await?
        {
            let documents = documents(&group, |claim| &claim.document);
            let step = |at: usize, head: Head| {
                Ok(match head.settled(&group.work[at].1) {
                    None => Ok(head.give_back(why.clone(), now_ms)),
                    Some(settled) => Err(settled),
                })
            };
            let heads = &group.shelf.heads;
            let answers = heads.step(&documents, Settled::Done, step).await?;
            for ((at, _), answer) in group.work.iter().zip(answers) {
                settled[*at] = answer;
            }
        }
        Ok(settled)
    }

    async fn fail(&self, claim: &Claim, failure: WorkFailure) -> Result<Settled> {
        let Ok((_, shelf)) = self.open_if_there(claim.collection).await? else {
            return Ok(Settled::Superseded);
        };
        let now_ms = self.now_ms();
        let step = |_: usize, head: Head| {
            Ok(match head.settled(claim) {
                None => Ok(head.fail(failure.clone(), now_ms)),
                Some(settled) => Err(settled),
            })
        };
        let documents = std::slice::from_ref(&claim.document);
        let answers = shelf.heads.step(documents, Settled::Done, step).await?;
        Ok(answers[0])
    }

    async fn sweep(&self, grace: Duration) -> Result<u64> {
        self.sweep_all(grace).await
    }

    async fn tend(&self) -> Result<bool> {
        self.correct_all_lengths().await
    }

    async fn waiting(&self, embedder: &Fingerprint) -> Result<u64> {
        let collections = self.registry.all().await?;
        let own = collections
            .values()
            .filter(|it| it.fingerprint.embedder == *embedder);
        let mut waiting = 0;
        for collection in own {
            let shelf = self.shelf_of(collection);
            let waits = all(vec![is_text(STATE, State::Waiting.as_str())]);
            match shelf.heads.table.count(waits).await {
                Ok(count) => waiting += count,
                Err(error) if error.code() == ErrorCode::CollectionNotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(waiting)
    }

    async fn depth(&self) -> Result<WorkDepth> {
        let now_ms = self.now_ms();
        let mut depth = WorkDepth::default();
        for collection in self.registry.all().await?.values() {
            let shelf = self.shelf_of(collection);
            let heads = &shelf.heads.table;
            let waits = || is_text(STATE, State::Waiting.as_str());
            let counts = try_join!(
                heads.count(all(vec![waits()])),
                heads.count(all(vec![waits(), more_than(LEASE, now_ms)])),
                heads.count(all(vec![is_text(STATE, State::Failed.as_str())])),
            );
            match counts {
                Ok((waiting, claimed, failed)) => {
                    depth.waiting += waiting;
                    depth.claimed += claimed;
                    depth.failed += failed;
                }
                Err(error) if error.code() == ErrorCode::CollectionNotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(depth)
    }
}

impl ClusterLedger {
    pub(super) fn until_ms(&self, lease: Duration) -> i64 {
        let lease = i64::try_from(lease.as_millis()).unwrap_or(i64::MAX);
        self.now_ms().saturating_add(lease)
    }

    async fn publish_in(&self, group: Group<(WorkItem, Vec<Embedding>)>) -> Result<Vec<Settled>> {
        let Group {
            collection,
            shelf,
            work,
        } = group;
        let claims: Vec<Claim> = work
            .iter()
            .map(|(_, (item, _))| item.claim.clone())
            .collect();
        let documents: Vec<DocumentId> = claims.iter().map(|it| it.document.clone()).collect();
        let heads = shelf.heads.read(&documents).await?;
        let mut points = Vec::new();
        let open = work.into_iter().zip(&claims).zip(heads);
        let open = open.filter(|((_, claim), read)| read.head.settled(claim).is_none());
        let open: Vec<_> = open.map(|(((_, work), _), _)| work).collect();
        let of: Vec<(&str, u64)> = open
            .iter()
            .map(|(it, _)| (it.claim.document.as_str(), it.claim.sequence.0))
            .collect();
        let versions = shelf.versions.summaries(&of).await?;
        for ((item, embeddings), version) in open.into_iter().zip(versions) {
            let uri = version.and_then(|version| version.uri);
            let chunks = item.chunks.into_iter().zip(embeddings);
            points.extend(chunks.map(|(chunk, embedding)| {
                let point = ChunkPoint {
                    record: chunk.record,
                    metadata: chunk.metadata,
                    uri: uri.clone(),
                    duplicate_of: None,
                };
                (point, embedding)
            }));
        }
        if !points.is_empty() {
            let records = points.iter().map(|(point, _)| &point.record);
            let bm25 = self.bm25(&collection, records).await?;
            self.write_chunks(&collection, &shelf, points, bm25).await?;
        }
        let now_ms = self.now_ms();
        let step = |at: usize, head: Head| {
            let claim = &claims[at];
            Ok(match head.settled(claim) {
                None => Ok(head.publish(claim, now_ms)),
                Some(settled) => Err(settled),
            })
        };
        let settled = shelf.heads.step(&documents, Settled::Done, step).await?;
        self.remove_late(&shelf, &claims, &settled).await;
        Ok(settled)
    }

    /// Removes the chunks of versions that were replaced while they were indexed, where the sweep may
    /// have been there before. What fails is left to it.
    async fn remove_late(&self, shelf: &Shelf, claims: &[Claim], settled: &[Settled]) {
        let late = claims
            .iter()
            .zip(settled)
            .filter(|(_, it)| **it == Settled::Superseded);
        let late: Vec<&Claim> = late.map(|(claim, _)| claim).collect();
        if late.is_empty() {
            return;
        }
        let remove = async {
            let late = late.iter();
            let late = late.map(|it| (it.document.clone(), it.sequence));
            // One copy may not have heard that another worker published it.
            let gone = shelf.unnamed(late.collect()).await?;
            if gone.is_empty() {
                return Ok(0);
            }
            shelf.chunks.delete_versions(&gone).await
        };
        if let Err(error) = remove.await {
            tracing::debug!(error = %error.chain(), "chunks of a replaced version stay");
        }
    }

    /// What is given, by collection; without what is of collections that are gone.
    async fn by_collection<T>(
        &self,
        all: impl Iterator<Item = T>,
        of: impl Fn(&T) -> CollectionId,
    ) -> Result<Vec<Group<T>>> {
        let mut by_id: BTreeMap<CollectionId, Vec<(usize, T)>> = BTreeMap::new();
        for (at, one) in all.enumerate() {
            by_id.entry(of(&one)).or_default().push((at, one));
        }
        let mut groups = Vec::with_capacity(by_id.len());
        for (id, work) in by_id {
            if let Ok((collection, shelf)) = self.open_if_there(id).await? {
                groups.push(Group {
                    collection,
                    shelf,
                    work,
                });
            }
        }
        Ok(groups)
    }

    /// A collection, or `Err` where it is gone.
    async fn open_if_there(
        &self,
        id: CollectionId,
    ) -> Result<std::result::Result<(Arc<Collection>, Arc<Shelf>), ()>> {
        match self.open_shelf(id).await {
            Ok(found) => Ok(Ok(found)),
            Err(error) if error.code() == ErrorCode::CollectionNotFound => Ok(Err(())),
            Err(error) => Err(error),
        }
    }
}

/// What can be read, with a warning about the rest: one damaged point keeps nobody from the others.
pub(crate) fn readable<T>(read: impl Iterator<Item = Result<T>>) -> Vec<T> {
    let readable = read.filter_map(|read| {
        read.inspect_err(|error| tracing::warn!(error = %error.chain(), "a document is left out"))
            .ok()
    });
    readable.collect()
}

fn documents<T>(group: &Group<T>, document: impl Fn(&T) -> &DocumentId) -> Vec<DocumentId> {
    let work = group.work.iter();
    work.map(|(_, one)| document(one).clone()).collect()
}

fn check(item: &WorkItem, embeddings: &[Embedding]) -> Result<()> {
    let (wanted, given) = (item.chunks.len(), embeddings.len());
    if wanted != given {
        return Err(Error::invalid(format!(
            "{:?} has {wanted} chunks and was given {given} embeddings",
            item.claim.document.as_str()
        )));
    }
    let dimension = item.collection.dimension;
    match embeddings
        .iter()
        .find(|embedding| embedding.len() != dimension)
    {
        None => Ok(()),
        Some(odd) => Err(Error::invalid(format!(
            "an embedding has dimension {}, collection {} has {dimension}",
            odd.len(),
            item.collection.name
        ))),
    }
}
