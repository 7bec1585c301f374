//! What the ledger in memory holds, and how it is read.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use braid_core::operation::{CollectionStats, OperationKind};
use braid_core::ports::{
    Copied, IdempotencyKey, Job, JobChange, JobItem, JobItemStatus, Recorded, StoredResponse,
    WriteGuard,
};
use braid_core::{
    ChunkRecord, Collection, CollectionId, CollectionName, ContentHash, Document, DocumentId,
    DocumentStatus, DocumentSummary, Duplicate, Embedding, Error, ErrorCode, Fingerprint, Format,
    JobId, Language, Likeness, Metadata, Origin, Result, Sequence, Slot, SlotSet,
};

use super::work::Lease;
use super::{JOB_RETENTION_MS, Pins};
use crate::faulty::Gate;

#[derive(Default)]
pub(super) struct State {
    pub(super) now_ms: i64,
    pub(super) refused: Option<ErrorCode>,
    pub(super) sweep_gate: Option<Gate>,
    pub(super) first_slot: u32,
    pub(super) collections_made: u32,
    pub(super) names: BTreeMap<CollectionName, CollectionId>,
    pub(super) data: BTreeMap<CollectionId, Arc<Data>>,
    pub(super) embeddings: HashMap<Fingerprint, HashMap<ContentHash, Embedding>>,
    pub(super) jobs: BTreeMap<JobId, JobRow>,
    pub(super) responses: BTreeMap<String, (IdempotencyKey, StoredResponse)>,
    /// Rises with every change; a slot retired at an epoch is unseen by pins of that epoch.
    pub(super) epoch: u64,
    /// When each epoch began.
    pub(super) epochs: BTreeMap<u64, i64>,
    pub(super) pins: Pins,
    pub(super) leases: BTreeMap<(CollectionId, Sequence), Lease>,
    pub(super) copied: BTreeMap<(CollectionId, String), Copied>,
    /// How many claims there were.
    pub(super) tokens: u128,
}

/// One collection. Pins share it; a change while one is held copies it first.
#[derive(Clone)]
pub(super) struct Data {
    pub(super) collection: Collection,
    pub(super) next_slot: u32,
    pub(super) newest: Sequence,
    pub(super) published: Sequence,
    pub(super) documents: BTreeMap<DocumentId, DocumentRow>,
    pub(super) versions: BTreeMap<Sequence, Version>,
    pub(super) chunks: BTreeMap<Slot, ChunkRecord>,
    pub(super) operations: BTreeMap<Sequence, OperationKind>,
    pub(super) failures: BTreeMap<Sequence, Failure>,
    pub(super) live: SlotSet,
    pub(super) retired: BTreeMap<u64, SlotSet>,
    pub(super) rechunking: SlotSet,
}

#[derive(Clone)]
pub(super) struct Failure {
    pub(super) document: Option<DocumentId>,
    pub(super) reason: String,
    pub(super) at_ms: i64,
    pub(super) cancelled: bool,
}

#[derive(Clone, Copy)]
pub(super) struct DocumentRow {
    /// The newest version, failed or not.
    pub(super) newest: Sequence,
    /// The newest version that did not fail: the one a publish must be of.
    pub(super) current: Option<Sequence>,
    /// The retrievable version.
    pub(super) live: Option<Sequence>,
}

#[derive(Clone)]
pub(super) struct Version {
    pub(super) document: DocumentId,
    pub(super) text: Arc<str>,
    pub(super) title: Option<String>,
    pub(super) uri: Option<String>,
    pub(super) format: Format,
    pub(super) metadata: Arc<Metadata>,
    pub(super) origin: Option<Origin>,
    pub(super) content_hash: ContentHash,
    pub(super) pipeline: Fingerprint,
    pub(super) slots: Vec<Slot>,
    pub(super) updated_at_ms: i64,
    /// The newest version when it was staged, failed ones apart.
    pub(super) replaces: Option<Sequence>,
    /// Whether its job must not take it back.
    pub(super) kept: bool,
    pub(super) likeness: Option<Likeness>,
    pub(super) duplicate: Option<Duplicate>,
    pub(super) language: Option<Language>,
}

pub(super) struct JobRow {
    pub(super) collection: CollectionId,
    pub(super) created_at_ms: i64,
    pub(super) items: Vec<(String, JobOutcome)>,
}

pub(super) enum JobOutcome {
    Staged(Sequence, JobChange, Option<Duplicate>),
    Skipped,
    Rejected(String),
    Duplicate(Duplicate),
}

impl State {
    pub(super) fn named(&self, name: &CollectionName) -> Option<&Arc<Data>> {
        self.names.get(name).and_then(|id| self.data.get(id))
    }

    pub(super) fn data(&self, id: CollectionId) -> Result<&Arc<Data>> {
        self.data.get(&id).ok_or_else(|| not_found(id))
    }

    pub(super) fn check_writable(&self) -> Result<()> {
        match self.refused {
            Some(code) => Err(Error::new(code, "writes are refused by the test")),
            None => Ok(()),
        }
    }

    /// Runs a mutation once per idempotency key.
    pub(super) fn guarded<R>(
        &mut self,
        guard: Option<WriteGuard<R>>,
        mutate: impl FnOnce(&mut Self) -> Result<R>,
    ) -> Result<Recorded<R>> {
        if let Some(guard) = &guard
            && let Some(response) = self.recorded(&guard.key)?
        {
            return Ok(Recorded::Replayed(response));
        }
        self.check_writable()?;
        let done = mutate(self)?;
        if let Some(WriteGuard { key, respond }) = guard {
            let response = respond(&done);
            self.responses.insert(key.key.clone(), (key, response));
        }
        Ok(Recorded::Done(done))
    }

    /// Changes one collection at the next epoch.
    pub(super) fn change<R>(
        &mut self,
        id: CollectionId,
        change: impl FnOnce(&mut Data, u64) -> Result<R>,
    ) -> Result<R> {
        self.check_writable()?;
        let data = self.data.get_mut(&id).ok_or_else(|| not_found(id))?;
        self.epoch += 1;
        self.epochs.insert(self.epoch, self.now_ms);
        change(Arc::make_mut(data), self.epoch)
    }

    pub(super) fn recorded(&self, key: &IdempotencyKey) -> Result<Option<StoredResponse>> {
        match self.responses.get(&key.key) {
            Some((found, _)) if found.expires_at_ms <= self.now_ms => Ok(None),
            Some((found, _)) if found.request != key.request => Err(Error::new(
                ErrorCode::IdempotencyConflict,
                "the idempotency key was used with a different request",
            )),
            Some((_, response)) => Ok(Some(response.clone())),
            None => Ok(None),
        }
    }

    /// As [`Ledger::sweep`](braid_core::Ledger::sweep).
    pub(super) fn sweep(&mut self) -> u64 {
        let now = self.now_ms;
        let mut dropped = 0;
        for data in self.data.values_mut() {
            let orphans = data.orphan_chunks();
            dropped += orphans.len() as u64;
            let data = Arc::make_mut(data);
            data.chunks.retain(|slot, _| !orphans.contains(slot));
        }
        let chunks = self.data.values().flat_map(|data| data.chunks.values());
        let used: BTreeSet<_> = chunks.map(|chunk| chunk.embedding_key).collect();
        for stored in self.embeddings.values_mut() {
            let before = stored.len();
            stored.retain(|key, _| used.contains(key));
            dropped += (before - stored.len()) as u64;
        }
        let before = self.jobs.len() + self.responses.len();
        let expired = |job: &JobRow| now - job.created_at_ms >= JOB_RETENTION_MS;
        self.jobs.retain(|_, job| !expired(job));
        self.responses.retain(|_, (key, _)| key.expires_at_ms > now);
        dropped + (before - self.jobs.len() - self.responses.len()) as u64
    }

    /// As [`Ledger::check`](braid_core::Ledger::check).
    pub(super) fn check(&self, data: &Data) -> Vec<String> {
        let mut found = data.check();
        let stored = self.embeddings.get(&data.collection.fingerprint.embedder);
        for slot in &data.live {
            let key = data
                .chunks
                .get(&Slot(slot))
                .map(|chunk| chunk.embedding_key);
            if !key.is_some_and(|key| stored.is_some_and(|stored| stored.contains_key(&key))) {
                found.push(format!("slot {slot} has no embedding"));
            }
        }
        found
    }
}

pub(super) fn not_found(id: CollectionId) -> Error {
    Error::new(
        ErrorCode::CollectionNotFound,
        format!("no collection numbered {}", id.0),
    )
}

impl Data {
    pub(super) fn new(collection: Collection, first_slot: u32) -> Self {
        Self {
            collection,
            next_slot: first_slot,
            newest: Sequence::ZERO,
            published: Sequence::ZERO,
            documents: BTreeMap::new(),
            versions: BTreeMap::new(),
            chunks: BTreeMap::new(),
            operations: BTreeMap::new(),
            failures: BTreeMap::new(),
            live: SlotSet::new(),
            retired: BTreeMap::new(),
            rechunking: SlotSet::new(),
        }
    }

    pub(super) fn stats(&self) -> CollectionStats {
        let rows = self.documents.values();
        let failed = |row: &&DocumentRow| self.failures.contains_key(&row.newest);
        CollectionStats {
            documents: rows.clone().filter(|row| row.live.is_some()).count() as u64,
            chunks: self.live.len(),
            newest: self.newest,
            published: self.published,
            failed: rows.filter(failed).count() as u64,
            retired: self.retired_slots().len(),
        }
    }

    /// Retired slots: those free to be purged later, and those of purges not yet published.
    pub(super) fn retired_slots(&self) -> SlotSet {
        let mut slots: SlotSet = self.retired.values().flatten().collect();
        for kind in self.operations.values() {
            if let OperationKind::Purge { slots: purged } = kind {
                slots.extend(purged.iter().map(|slot| slot.0));
            }
        }
        slots
    }

    pub(super) fn expected_slots(&self) -> SlotSet {
        let mut slots = self.retired_slots() | &self.live;
        for kind in self.operations.values() {
            if let OperationKind::Put { slots: staged, .. } = kind {
                slots.extend(staged.iter().map(|slot| slot.0));
            }
        }
        slots
    }

    pub(super) fn document(&self, id: &DocumentId) -> Option<Document> {
        let summary = self.summary(id)?;
        let text = self.versions.get(&summary.sequence)?.text.to_string();
        Some(Document { summary, text })
    }

    pub(super) fn summary(&self, id: &DocumentId) -> Option<DocumentSummary> {
        self.version_summary(self.documents.get(id)?.newest)
    }

    pub(super) fn version_summary(&self, sequence: Sequence) -> Option<DocumentSummary> {
        let version = self.versions.get(&sequence)?;
        let row = self.documents.get(&version.document);
        let status = match self.failures.get(&sequence) {
            Some(failure) => DocumentStatus::Failed(failure.reason.clone()),
            None if row.is_some_and(|row| row.live == Some(sequence)) => DocumentStatus::Published,
            None => DocumentStatus::Pending,
        };
        Some(DocumentSummary {
            id: version.document.clone(),
            title: version.title.clone(),
            uri: version.uri.clone(),
            format: version.format,
            metadata: (*version.metadata).clone(),
            origin: version.origin.clone(),
            content_hash: version.content_hash,
            chunks: version.slots.len(),
            sequence,
            status,
            updated_at_ms: version.updated_at_ms,
            duplicate: version.duplicate.clone(),
            language: version.language,
        })
    }

    /// Where a document stands that was skipped as a duplicate of `original`.
    fn skipped_status(&self, original: &DocumentId, created_at_ms: i64) -> JobItemStatus {
        let row = self.documents.get(original);
        let Some(row) = row.filter(|row| row.live != Some(row.newest)) else {
            return JobItemStatus::Skipped;
        };
        let version = self.versions.get(&row.newest);
        let is_later = version.is_none_or(|version| version.updated_at_ms > created_at_ms);
        if row.live.is_some() && is_later {
            return JobItemStatus::Skipped;
        }
        match self.failures.get(&row.newest) {
            Some(failure) if failure.cancelled => JobItemStatus::Skipped,
            Some(failure) => JobItemStatus::failed_with(original, &failure.reason),
            None => JobItemStatus::Pending,
        }
    }

    fn orphan_chunks(&self) -> BTreeSet<Slot> {
        let expected = self.expected_slots() | &self.rechunking;
        let slots = self.chunks.keys().copied();
        slots.filter(|slot| !expected.contains(slot.0)).collect()
    }

    fn check(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut live = SlotSet::new();
        for (id, row) in &self.documents {
            let versions = [Some(row.newest), row.current, row.live];
            for sequence in versions.into_iter().flatten() {
                if !self.versions.contains_key(&sequence) {
                    found.push(format!("document {id} has no version {sequence}"));
                }
            }
            let version = row.live.and_then(|sequence| self.versions.get(&sequence));
            live.extend(
                version
                    .iter()
                    .flat_map(|version| version.slots.iter())
                    .map(|slot| slot.0),
            );
        }
        for slot in live ^ &self.live {
            found.push(format!("slot {slot} is live or stored, not both"));
        }
        for slot in self.retired_slots() & &self.live {
            found.push(format!("slot {slot} is both live and retired"));
        }
        for slot in self
            .live
            .iter()
            .filter(|slot| !self.chunks.contains_key(&Slot(*slot)))
        {
            found.push(format!("slot {slot} has no chunk"));
        }
        found
    }
}

impl JobRow {
    pub(super) fn read(&self, id: JobId, data: &Data) -> Job {
        let items = self.items.iter().map(|(document, outcome)| JobItem {
            document: document.clone(),
            change: outcome.change(),
            status: outcome.status(data, self.created_at_ms),
            duplicate: outcome.duplicate(),
        });
        Job {
            id,
            collection: data.collection.name.clone(),
            created_at_ms: self.created_at_ms,
            items: items.collect(),
        }
    }
}

impl JobOutcome {
    fn change(&self) -> Option<JobChange> {
        match self {
            Self::Staged(_, change, _) => Some(*change),
            Self::Skipped => Some(JobChange::Unchanged),
            Self::Duplicate(_) => Some(JobChange::Duplicate),
            Self::Rejected(_) => None,
        }
    }

    fn duplicate(&self) -> Option<Duplicate> {
        match self {
            Self::Staged(_, _, duplicate) => duplicate.clone(),
            Self::Duplicate(duplicate) => Some(duplicate.clone()),
            Self::Skipped | Self::Rejected(_) => None,
        }
    }

    fn status(&self, data: &Data, created_at_ms: i64) -> JobItemStatus {
        match self {
            Self::Rejected(reason) => JobItemStatus::Rejected(reason.clone()),
            Self::Skipped => JobItemStatus::Skipped,
            Self::Duplicate(duplicate) => data.skipped_status(&duplicate.of, created_at_ms),
            Self::Staged(sequence, ..) => match data.failures.get(sequence) {
                Some(failure) if failure.cancelled => JobItemStatus::Cancelled,
                Some(failure) => JobItemStatus::Failed(failure.reason.clone()),
                None if *sequence <= data.published => JobItemStatus::Indexed,
                None => JobItemStatus::Pending,
            },
        }
    }
}
