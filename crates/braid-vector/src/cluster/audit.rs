//! Does the store have what the heads say? And if not, make it so.
//!
//! Read by pages, beside workers and sweeps of any process: whatever looks wrong is looked at again where
//! one of them may just have changed it, and what is mended is mended by compare-and-set.

mod unnamed;

use std::collections::BTreeSet;

use braid_core::{CollectionId, DocumentId, ErrorCode, Result, Sequence, SlotSet};

use super::cas::{Listing, is_stamp};
use super::chunks::Version;
use super::heads::{Head, Read, State};
use super::ledger::ClusterLedger;
use super::rows::Fields;
use super::shelf::Shelf;
use super::versions::SummaryRow;

/// Most problems that are told; more are counted.
const TOLD: usize = 1000;
/// Chunks of published versions that are compared at once, a version alone excepted.
const COMPARED: usize = 4096;
/// A document that waits and may not be claimed for so long is stuck: no wait is that long, and the longest
/// lease is half of it.
const STUCK_MS: i64 = 2 * 24 * 60 * 60 * 1000;

/// What an audit of a collection found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Audit {
    /// Chunks that are stored, those of replaced versions included.
    pub chunks: u64,
    /// Slots of published versions that have no chunk.
    pub missing: SlotSet,
    /// Chunks that are not of a version that a head names.
    pub extra: SlotSet,
    /// What is wrong, in one sentence each; at most 1,000 and one that says how many more there are.
    pub problems: Vec<String>,
    /// What could not be mended, likewise; empty where nothing was to be.
    pub left: Vec<String>,
    /// Documents that wait to be indexed again.
    pub again: u64,
    /// Versions and chunks that were removed because no head names them.
    pub removed: u64,
}

impl ClusterLedger {
    /// Looks whether all that heads name is there and nothing else is; with `repair`, mends what can be.
    /// A document whose published version lacks chunks is put in the queue as a new version of the same
    /// content, and what is there of it stays retrievable until a worker has indexed that. What no head
    /// names is removed. A collection of Qdrant that is not there is told as a problem.
    ///
    /// # Errors
    /// [`CollectionNotFound`](braid_core::ErrorCode::CollectionNotFound) and what the server reports.
    pub async fn audit(&self, id: CollectionId, repair: bool) -> Result<Audit> {
        let (_, shelf) = self.open_shelf(id).await?;
        let mut auditor = Auditor {
            ledger: self,
            id,
            shelf: &shelf,
            repair,
            problems: Told::default(),
            left: Told::default(),
            audit: Audit::default(),
        };
        if let Err(error) = auditor.all().await {
            // Of a collection that was not deleted meanwhile, this is drift too.
            let is_lost = error.code() == ErrorCode::CollectionNotFound
                && self
                    .registry
                    .refresh()
                    .await?
                    .values()
                    .any(|it| it.id == id);
            if !is_lost {
                return Err(error);
            }
            let what = error.chain();
            auditor.lost(format!(
                "{what}: restore all of them from one snapshot, or delete the collection and ingest it again"
            ));
        }
        Ok(Audit {
            problems: auditor.problems.into_sentences(),
            left: auditor.left.into_sentences(),
            ..auditor.audit
        })
    }
}

/// Sentences, up to a number.
#[derive(Debug, Default)]
struct Told {
    told: Vec<String>,
    more: u64,
}

impl Told {
    fn tell(&mut self, sentence: String) {
        if self.told.len() < TOLD {
            self.told.push(sentence);
        } else {
            self.more += 1;
        }
    }

    fn into_sentences(mut self) -> Vec<String> {
        if self.more > 0 {
            self.told.push(format!("and {} more", self.more));
        }
        self.told
    }
}

/// A published version.
#[derive(Clone, Debug)]
struct PublishedVersion {
    document: DocumentId,
    sequence: Sequence,
    chunks: usize,
}

struct Auditor<'a> {
    ledger: &'a ClusterLedger,
    id: CollectionId,
    shelf: &'a Shelf,
    repair: bool,
    problems: Told,
    left: Told,
    audit: Audit,
}

impl Auditor<'_> {
    async fn all(&mut self) -> Result<()> {
        self.heads().await?;
        self.chunks().await?;
        self.left_over().await
    }

    /// What heads say of themselves, and whether what they name is there.
    async fn heads(&mut self) -> Result<()> {
        let mut from = None;
        loop {
            let listing = Listing {
                from,
                ..Listing::default()
            };
            let (page, next) = self.shelf.heads.table.list(listing).await?;
            let mut heads = Vec::with_capacity(page.len());
            for (id, fields) in page {
                let name = || format!("head {id}");
                if let Some(read) = self.tolerated(name, Read::found(&fields))? {
                    let looked_at = self.head(&fields, &read.head).await;
                    if self.tolerated(name, looked_at)?.is_some() {
                        heads.push(read.head);
                    }
                }
            }
            self.versions_of(&heads).await?;
            from = next;
            if from.is_none() {
                return Ok(());
            }
        }
    }

    /// What is damaged is a problem, and keeps nobody from the rest; other errors end the audit.
    fn tolerated<T>(&mut self, name: impl Fn() -> String, read: Result<T>) -> Result<Option<T>> {
        match read {
            Err(error) if error.code() == ErrorCode::Corrupt => {
                self.lost(format!("{} cannot be read: {}", name(), error.chain()));
                Ok(None)
            }
            read => read.map(Some),
        }
    }

    /// A problem that stays one.
    fn lost(&mut self, sentence: String) {
        if self.repair {
            self.left.tell(sentence.clone());
        }
        self.problems.tell(sentence);
    }

    /// What a head is searched by must be what it says, and it must not wait for ever.
    async fn head(&mut self, fields: &Fields, head: &Head) -> Result<()> {
        let (now, document) = (self.ledger.now_ms(), &head.document);
        let written = head.fields()?;
        let mut names = fields.keys().chain(written.keys());
        let odd = names.find(|name| !is_stamp(name) && fields.get(*name) != written.get(*name));
        if let Some(name) = odd {
            let sentence = format!("{document:?} is searched by a {name} that it does not have");
            self.problems.tell(sentence);
        }
        let is_stuck = head.is_held_until(now.saturating_add(STUCK_MS));
        if is_stuck {
            let sentence = format!(
                "{document:?} waits and cannot be claimed for more than two days: whose clock was ahead?"
            );
            self.problems.tell(sentence);
        }
        if self.repair && (odd.is_some() || is_stuck) {
            let release = |_: usize, head: Head| {
                let is_stuck = head.is_held_until(now.saturating_add(STUCK_MS));
                // Whatever is written is written with all that it is searched by.
                Ok(Ok(if is_stuck { head.release(now) } else { head }))
            };
            let documents = [head.document()?];
            self.shelf.heads.step(&documents, (), release).await?;
        }
        Ok(())
    }

    async fn versions_of(&mut self, heads: &[Head]) -> Result<()> {
        let mut named: Vec<(&Head, Sequence)> = Vec::new();
        for head in heads {
            let versions: BTreeSet<Sequence> = head
                .newest_sequence()
                .into_iter()
                .chain(head.published_sequence())
                .collect();
            named.extend(versions.into_iter().map(|sequence| (head, sequence)));
        }
        let of = named.iter();
        let of: Vec<(&str, u64)> = of
            .map(|(head, sequence)| (head.document.as_str(), sequence.0))
            .collect();
        let summaries = self.summaries(&of).await?;
        let (mut group, mut chunks) = (Vec::new(), 0);
        for ((head, sequence), summary) in named.into_iter().zip(summaries) {
            let Some(summary) = summary else {
                continue;
            };
            let Some(summary) = summary else {
                self.missing_version(head, sequence).await?;
                continue;
            };
            if head.published_sequence() != Some(sequence) {
                continue;
            }
            if !group.is_empty() && chunks + summary.chunks > COMPARED {
                self.compare(&group).await?;
                group.clear();
                chunks = 0;
            }
            chunks += summary.chunks;
            group.push(PublishedVersion {
                document: head.document()?,
                sequence,
                chunks: summary.chunks,
            });
        }
        self.compare(&group).await
    }

    /// Of each version, what is there of it: nothing, or that it cannot be read.
    async fn summaries(&mut self, of: &[(&str, u64)]) -> Result<Vec<Option<Option<SummaryRow>>>> {
        match self.shelf.versions.summaries(of).await {
            Err(error) if error.code() == ErrorCode::Corrupt => {}
            read => return Ok(read?.into_iter().map(Some).collect()),
        }
        let mut summaries = Vec::with_capacity(of.len());
        for of in of {
            let read = self.shelf.versions.summaries(std::slice::from_ref(of));
            let read = read.await.map(|mut read| read.remove(0));
            let name = || format!("version {} of document {:?}", of.1, of.0);
            summaries.push(self.tolerated(name, read)?);
        }
        Ok(summaries)
    }

    async fn missing_version(&mut self, head: &Head, sequence: Sequence) -> Result<()> {
        // It may have been replaced, and swept, since it was listed.
        let now = self.shelf.heads.read_one(&head.document()?).await?;
        if now.newest_sequence() == Some(sequence) || now.published_sequence() == Some(sequence) {
            let document = &head.document;
            self.lost(format!(
                "version {sequence} of document {document:?} is missing: hand the document in again"
            ));
        }
        Ok(())
    }

    /// The chunks of published versions with what is stored of them. By ordinals: a chunk need not be in
    /// the slot that its version names for it.
    async fn compare(&mut self, group: &[PublishedVersion]) -> Result<()> {
        if group.is_empty() {
            return Ok(());
        }
        let versions = group.iter();
        let versions = versions.map(|it| (it.document.clone(), it.sequence));
        let versions: Vec<Version> = versions.collect();
        let stored = self.shelf.chunks.ordinals_of(&versions).await?;
        for (version, key) in group.iter().zip(&versions) {
            let stored = stored.get(key).map_or(&[][..], Vec::as_slice);
            let mut missing: BTreeSet<u32> = (0..version.chunks as u32).collect();
            let odd = stored
                .iter()
                .filter(|(ordinal, _)| !missing.remove(ordinal));
            let odd: SlotSet = odd.map(|(_, slot)| slot.0).collect();
            if !missing.is_empty() || !odd.is_empty() {
                self.differs(version, missing, odd).await?;
            }
        }
        Ok(())
    }

    /// The slots that a version names for its chunks of these ordinals.
    async fn slots(
        &mut self,
        version: &PublishedVersion,
        ordinals: &BTreeSet<u32>,
    ) -> Result<SlotSet> {
        let of = [(version.document.as_str(), version.sequence.0)];
        let pool = &self.shelf.chunks.points.site.pool;
        let content = self.shelf.versions.contents(&of, pool).await?.remove(0);
        let name = || version_of(version);
        let content = self.tolerated(name, content.transpose())?.flatten();
        let chunks = content.map(|content| content.chunks);
        let chunks = chunks.unwrap_or_default().into_iter().zip(0..);
        let named = chunks.filter(|(_, ordinal)| ordinals.contains(ordinal));
        Ok(named.map(|(chunk, _)| chunk.record.slot.0).collect())
    }

    async fn differs(
        &mut self,
        version: &PublishedVersion,
        missing: BTreeSet<u32>,
        odd: SlotSet,
    ) -> Result<()> {
        let document = &version.document;
        let now = self.shelf.heads.read_one(document).await?;
        if now.published_sequence() != Some(version.sequence) {
            return Ok(());
        }
        let name = document.as_str();
        let (lacks, most, more) = (missing.len(), version.chunks, odd.len());
        self.problems.tell(format!(
            "document {name:?} lacks {lacks} of the {most} chunks of its published version and has {more} that are not of it"
        ));
        let missing = self.slots(version, &missing).await?;
        self.audit.missing |= missing;
        self.audit.extra |= odd;
        if !self.repair {
            return Ok(());
        }
        let again = match now.state {
            State::Idle => self.again(version).await?,
            State::Failed => Again::Failed,
            // A newer version is about to take its place.
            State::Waiting | State::Deleted | State::Gone => Again::Waits,
        };
        match again {
            Again::Waits => self.audit.again += 1,
            Again::Lost => self.left.tell(format!(
                "the text of {name:?} is gone: hand the document in again"
            )),
            Again::Failed => self.left.tell(format!(
                "a newer version of {name:?} is a dead letter: `braid job retry`, or hand the document in again"
            )),
        }
        Ok(())
    }

    /// Puts the content of a version in the queue once more, as a version of its own.
    async fn again(&mut self, version: &PublishedVersion) -> Result<Again> {
        let (document, sequence) = (&version.document, version.sequence);
        let name = || version_of(version);
        let stored = self.shelf.versions.whole(document, sequence).await;
        let Some(Some(stored)) = self.tolerated(name, stored)? else {
            return Ok(Again::Lost);
        };
        let counters = &self.ledger.registry.counters;
        let slots = counters.slots(self.id, stored.chunk_count()).await?;
        let number = counters.sequences(self.id, 1).await?.remove(0);
        let now = self.ledger.now_ms();
        let next = stored.again(number, &slots, now);
        self.shelf.versions.write(&[&next]).await?;
        let newest = next.newest(None);
        let step = |_: usize, head: Head| {
            let is_newest = head.newest_sequence() == Some(sequence);
            Ok(match head.state {
                State::Idle if is_newest => Ok(head.put(newest.clone(), now)?),
                State::Failed => Err(Again::Failed),
                // Another version took its place, or is about to.
                State::Idle | State::Waiting | State::Deleted | State::Gone => Err(Again::Waits),
            })
        };
        let documents = std::slice::from_ref(document);
        let done = self.shelf.heads.step(documents, Again::Waits, step).await?;
        Ok(done.into_iter().next().unwrap_or(Again::Waits))
    }
}

fn version_of(version: &PublishedVersion) -> String {
    let (document, sequence) = (version.document.as_str(), version.sequence);
    format!("version {sequence} of document {document:?}")
}

/// What became of a document that was to be indexed again.
#[derive(Clone, Copy, Debug)]
enum Again {
    Waits,
    Failed,
    Lost,
}
