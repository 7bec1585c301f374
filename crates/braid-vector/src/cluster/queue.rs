//! The queue: heads that wait, oldest first. Several workers look at the same ones, and the
//! compare-and-set says who has which.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ::qdrant_client::qdrant::Direction;
use async_trait::async_trait;
use braid_core::ports::{Asked, Claim, GiveBack, Settled, WorkDepth, WorkFailure, WorkItem};
use braid_core::{
    Collection, CollectionId, DocumentId, Embedding, Error, ErrorCode, Fingerprint, Result,
    WorkQueue,
};
use futures::try_join;
use rand::RngExt;
use rand::seq::SliceRandom;
use uuid::Uuid;

use super::cas::{Listing, Order, all, at_most, is_text, more_than};
use super::chunks::{Bm25Parameters, ChunkPoint, mean_length};
use super::heads::{DUE, Head, LEASE, Lease, Read, STATE, State};
use super::ledger::ClusterLedger;
use super::shelf::Shelf;

/// Most documents of one claim.
const MOST: usize = 256;
/// So many times more candidates are looked at than claimed, so that workers that look at the same time
/// do not all want the same ones.
const CHOICE: usize = 4;
/// Most bytes of chunks in one claim, a document alone excepted.
const CLAIM_BYTES: u64 = 32 << 20;
/// Most bytes of chunks that are read in one request, a document alone excepted: it must be answered
/// within `qdrant.timeout_ms`.
const READ_BYTES: u64 = 8 << 20;
/// How often a claim of which others took all candidates looks again.
const LOOKS: usize = 3;

/// Why a version without text is a dead letter.
const LOST_TEXT: &str = "its text is gone: hand the document in again";

/// What a claim has room for.
#[derive(Clone, Copy, Debug)]
struct Room {
    documents: usize,
    bytes: u64,
}

impl Room {
    fn new(documents: usize) -> Self {
        Self {
            documents: documents.min(MOST),
            bytes: CLAIM_BYTES,
        }
    }

    /// Takes the room of a document, if there is room. One alone may be larger.
    fn take(&mut self, bytes: u64) -> bool {
        let fits = self.documents > 0 && (bytes <= self.bytes || self.is_untouched());
        if fits {
            self.documents -= 1;
            self.bytes = self.bytes.saturating_sub(bytes.max(1));
        }
        fits
    }

    fn is_untouched(self) -> bool {
        self.bytes == CLAIM_BYTES
    }

    /// As many of these heads as there is room for.
    fn fitting(mut self, candidates: Vec<Read>) -> Vec<Read> {
        let candidates = candidates.into_iter();
        candidates
            .take_while(|read| self.take(bytes_of(&read.head)))
            .collect()
    }
}

fn bytes_of(head: &Head) -> u64 {
    head.newest.as_ref().map_or(0, |newest| newest.bytes)
}

/// A claim, and how large what it is of is.
struct Taken {
    claim: Claim,
    bytes: u64,
}

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
        for collection in collections {
            let has_suspect = items.first().is_some_and(|it| it.claim.is_suspect());
            if room.documents == 0 || room.bytes == 0 || has_suspect {
                break;
            }
            match self.claim_in(collection, &mut room, lease).await {
                Ok(claimed) => items.extend(claimed),
                // It was deleted a moment ago.
                Err(error) if error.code() == ErrorCode::CollectionNotFound => {}
                // What was claimed before must not be forgotten for it.
                Err(error) if !items.is_empty() => {
                    tracing::warn!(error = %error.chain(), "a claim stops early");
                    break;
                }
                Err(error) => return Err(error),
            }
        }
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
    fn until_ms(&self, lease: Duration) -> i64 {
        let lease = i64::try_from(lease.as_millis()).unwrap_or(i64::MAX);
        self.now_ms().saturating_add(lease)
    }

    async fn claim_in(
        &self,
        collection: &Arc<Collection>,
        room: &mut Room,
        lease: Duration,
    ) -> Result<Vec<WorkItem>> {
        let shelf = self.shelf_of(collection);
        for _ in 0..LOOKS {
            let candidates = self.candidates(&shelf, room.documents * CHOICE).await?;
            let candidates = room.fitting(sort_out(candidates, room.is_untouched()));
            if candidates.is_empty() {
                break;
            }
            let taken = self.take(collection, &shelf, candidates, lease).await?;
            for taken in &taken {
                room.take(taken.bytes);
            }
            let items = self.items(collection, &shelf, taken).await?;
            if !items.is_empty() {
                return Ok(items);
            }
        }
        Ok(Vec::new())
    }

    /// Heads that may be claimed, the longest waiting ones first.
    async fn candidates(&self, shelf: &Shelf, choice: usize) -> Result<Vec<Read>> {
        let now_ms = self.now_ms();
        let due = vec![
            is_text(STATE, State::Waiting.as_str()),
            at_most(DUE, now_ms),
        ];
        let listing = Listing {
            filter: Some(all(due)),
            limit: u32::try_from(choice).ok(),
            order: Some(Order {
                field: DUE,
                direction: Direction::Asc,
                from: None,
            }),
            ..Listing::default()
        };
        let (found, _) = shelf.heads.table.list(listing).await?;
        let reads: Result<Vec<Read>> = found.iter().map(|(_, it)| Read::found(it)).collect();
        let mut reads = reads?;
        // The server compares with less precision than it stores.
        reads.retain(|read| read.head.is_due(now_ms));
        Ok(reads)
    }

    /// Claims of those that nobody else took meanwhile. Where it cannot be told, none is kept.
    async fn take(
        &self,
        collection: &Collection,
        shelf: &Shelf,
        candidates: Vec<Read>,
        lease: Duration,
    ) -> Result<Vec<Taken>> {
        let until_ms = self.until_ms(lease);
        let (mut swaps, mut taken) = (Vec::new(), Vec::new());
        for read in candidates {
            let Some(sequence) = read.head.newest_sequence() else {
                continue;
            };
            let token = Uuid::new_v4().as_u128();
            let head = read.head.clone().claim(Lease { token, until_ms });
            let claim = Claim {
                collection: collection.id,
                document: head.document()?,
                sequence,
                token,
                attempt: head.attempts,
                returned: head.returned,
            };
            let bytes = bytes_of(&head);
            taken.push(Taken { claim, bytes });
            swaps.push(read.swap(&head)?);
        }
        match shelf.heads.table.swap(swaps).await {
            Ok(applied) => {
                let taken = taken.into_iter().zip(applied);
                Ok(taken
                    .filter_map(|(taken, applied)| applied.then_some(taken))
                    .collect())
            }
            Err(error) => {
                self.release(&taken).await;
                Err(error)
            }
        }
    }

    /// Gives claims back that cannot be worked on. What cannot be given back comes back when its lease
    /// ends.
    async fn release(&self, taken: &[Taken]) {
        let claims: Vec<Claim> = taken.iter().map(|it| it.claim.clone()).collect();
        if let Err(error) = self.give_back(&claims, GiveBack::Untouched).await {
            tracing::warn!(error = %error.chain(), "claims come back when their leases end");
        }
    }

    /// What was claimed, with its chunks, as far as it can be read now; the rest is given back.
    async fn items(
        &self,
        collection: &Arc<Collection>,
        shelf: &Shelf,
        mut taken: Vec<Taken>,
    ) -> Result<Vec<WorkItem>> {
        let mut items = Vec::with_capacity(taken.len());
        while !taken.is_empty() {
            let later = taken.split_off(read_together(&taken));
            match self.items_of(collection, shelf, &taken).await {
                Ok(read) => items.extend(read),
                Err(error) => {
                    taken.extend(later);
                    self.release(&taken).await;
                    if items.is_empty() {
                        return Err(error);
                    }
                    tracing::warn!(error = %error.chain(), "a claim stops early");
                    return Ok(items);
                }
            }
            taken = later;
        }
        Ok(items)
    }

    /// A version that is gone or damaged is a dead letter: nobody could index it.
    async fn items_of(
        &self,
        collection: &Arc<Collection>,
        shelf: &Shelf,
        taken: &[Taken],
    ) -> Result<Vec<WorkItem>> {
        let of = taken
            .iter()
            .map(|it| (it.claim.document.as_str(), it.claim.sequence.0));
        let of: Vec<_> = of.collect();
        let contents = shelf.versions.contents(&of, &self.site.pool).await?;
        let mut items = Vec::with_capacity(taken.len());
        for (taken, content) in taken.iter().zip(contents) {
            let claim = &taken.claim;
            match content {
                Some(Ok(content)) => items.push(WorkItem {
                    claim: claim.clone(),
                    collection: Collection::clone(collection),
                    chunks: content.chunks,
                }),
                Some(Err(error)) => self.bury(claim, error.chain()).await?,
                None => self.bury(claim, LOST_TEXT.to_owned()).await?,
            }
        }
        Ok(items)
    }

    async fn bury(&self, claim: &Claim, reason: String) -> Result<()> {
        let failure = WorkFailure {
            reason,
            retry_after: None,
        };
        self.fail(claim, failure).await.map(drop)
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
            let bm25 = self.bm25(&collection, &points).await?;
            shelf.chunks.put(points, bm25).await?;
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
            let documents: Vec<DocumentId> = late.iter().map(|it| it.document.clone()).collect();
            let heads = shelf.heads.read(&documents).await?;
            let gone = late
                .iter()
                .zip(heads)
                .filter(|(it, read)| !read.head.names(it.sequence));
            let gone: Vec<_> = gone
                .map(|(it, _)| (it.document.clone(), it.sequence))
                .collect();
            if gone.is_empty() {
                return Ok(0);
            }
            shelf.chunks.delete_versions(&gone).await
        };
        if let Err(error) = remove.await {
            tracing::debug!(error = %error.chain(), "chunks of a replaced version stay");
        }
    }

    /// What weights are computed with, recorded with the first chunks.
    async fn bm25(
        &self,
        collection: &Collection,
        points: &[(ChunkPoint, Embedding)],
    ) -> Result<Bm25Parameters> {
        let (id, generation) = (collection.id, collection.generation);
        if let Some(recorded) = self.registry.bm25(id, generation).await? {
            return Ok(recorded);
        }
        let points = points.iter().map(|(point, _)| point);
        let first = Bm25Parameters {
            k1: 1.2,
            b: 0.75,
            mean_length: mean_length(points, collection.settings.language),
        };
        self.registry.record_bm25(id, generation, first).await
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

/// Which of these heads, the longest waiting first, are claimed together, in no order: one suspect alone,
/// where it is its turn and it may be had, or no suspect.
fn sort_out(mut reads: Vec<Read>, may_be_alone: bool) -> Vec<Read> {
    let mut random = rand::rng();
    let suspects = reads.iter().take_while(|read| read.head.is_suspect());
    let suspects = suspects.count();
    if suspects > 0 && may_be_alone {
        // Workers that look at the same time do not all want the same one.
        return vec![reads.swap_remove(random.random_range(0..suspects))];
    }
    reads.retain(|read| !read.head.is_suspect());
    reads.shuffle(&mut random);
    reads
}

/// How many of these are read in one request: at least one.
fn read_together(taken: &[Taken]) -> usize {
    let mut bytes = 0;
    let fits = taken.iter().take_while(|taken| {
        bytes += taken.bytes;
        bytes <= READ_BYTES
    });
    fits.count().max(1)
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
