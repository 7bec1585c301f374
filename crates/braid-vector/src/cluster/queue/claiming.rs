//! Claims: how many are made at once, which, and what becomes of them where something fails.

use std::sync::Arc;
use std::time::Duration;

use ::qdrant_client::qdrant::Direction;
use braid_core::ports::{Claim, GiveBack, WorkFailure, WorkItem};
use braid_core::{Collection, Result, WorkQueue};
use rand::RngExt;
use rand::seq::SliceRandom;
use uuid::Uuid;

use super::readable;
use crate::cluster::cas::{Listing, Order, all, at_most, is_text};
use crate::cluster::heads::{DUE, Head, Lease, Read, STATE, State};
use crate::cluster::ledger::ClusterLedger;
use crate::cluster::shelf::Shelf;

/// Most documents of one claim.
pub(super) const MOST: usize = 256;
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

/// How often a version that copies may still lack is looked for again.
const LOOKED_FOR: u32 = 3;
/// How long it waits in between.
const COPIED_AFTER: Duration = Duration::from_secs(5);

/// Why a version without text is a dead letter.
const LOST_TEXT: &str = "its text is gone: hand the document in again";

/// What a claim has room for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    documents: usize,
    bytes: u64,
}

impl Room {
    pub(super) fn new(documents: usize) -> Self {
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

    pub(super) fn is_full(self) -> bool {
        self.documents == 0 || self.bytes == 0
    }

    fn is_untouched(self) -> bool {
        self.bytes == CLAIM_BYTES
    }

    /// As many of these heads as there is room for.
    pub(super) fn fitting(mut self, candidates: Vec<Read>) -> Vec<Read> {
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
pub(super) struct Taken {
    claim: Claim,
    bytes: u64,
}

impl ClusterLedger {
    pub(super) async fn claim_in(
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
        let mut reads = readable(found.iter().map(|(_, it)| Read::found(it)));
        // The server compares with less precision than it stores.
        reads.retain(|read| read.head.is_due(now_ms));
        Ok(reads)
    }

    /// Claims of those that nobody else took meanwhile. Where it cannot be told, none is kept.
    pub(super) async fn take(
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
    pub(super) async fn items(
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
                Some(Err(error)) => {
                    let reason = format!("{LOST_TEXT} ({})", error.chain());
                    self.bury(claim, reason).await?;
                }
                // A copy that is behind does not have it yet.
                None if self.site.is_replicated() && claim.returned < LOOKED_FOR => {
                    let claims = std::slice::from_ref(claim);
                    let why = GiveBack::Hindered {
                        reason: "its text is not on every copy yet".to_owned(),
                        wait: COPIED_AFTER,
                    };
                    self.give_back(claims, why).await?;
                }
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
