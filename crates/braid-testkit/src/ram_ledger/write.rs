//! Staging, failing, publishing and purging in memory.

use std::sync::Arc;

use braid_core::operation::{
    Change, ChangeOutcome, Expected, OperationKind, PublishReceipt, StagedChunk, StagedDocument,
};
use braid_core::ports::{JobChange, NewJob, StageReceipt};
use braid_core::{
    ChunkRecord, CollectionId, DocumentId, Duplicate, DuplicateAction, Error, ErrorCode, Filter,
    Language, Operation, Result, Sequence, Slot, SlotSet,
};

use super::state::{Data, DocumentRow, Failure, JobOutcome, JobRow, State, Version};

impl State {
    pub(super) fn stage(
        &mut self,
        id: CollectionId,
        changes: Vec<Change>,
        job: Option<NewJob>,
    ) -> Result<StageReceipt> {
        let now_ms = self.now_ms;
        let names = changes.iter().map(|change| change.document().to_string());
        let names: Vec<String> = names.collect();
        let receipt = self.change(id, |data, epoch| {
            let staged = changes.iter().filter_map(Change::staged);
            data.check_slots_left(staged.map(|staged| staged.chunks.len()).sum())?;
            let stage = |change| data.stage_change(epoch, now_ms, change);
            let outcomes = changes.into_iter().map(stage).collect();
            Ok(StageReceipt {
                outcomes,
                newest: data.newest,
            })
        })?;
        if let Some(job) = job {
            let row = JobRow::new(id, now_ms, names, &receipt.outcomes, job.rejected);
            self.jobs.insert(job.id, row);
        }
        Ok(receipt)
    }
}

impl JobRow {
    fn new(
        collection: CollectionId,
        created_at_ms: i64,
        names: Vec<String>,
        outcomes: &[ChangeOutcome],
        rejected: Vec<(String, String)>,
    ) -> Self {
        let outcomes = outcomes.iter().map(|outcome| match outcome {
            ChangeOutcome::Staged {
                sequence,
                duplicate,
                ..
            } => JobOutcome::Staged(*sequence, JobChange::from(outcome), duplicate.clone()),
            ChangeOutcome::Deleted { sequence } => {
                JobOutcome::Staged(*sequence, JobChange::Deleted, None)
            }
            ChangeOutcome::Duplicate(duplicate) => JobOutcome::Duplicate(duplicate.clone()),
            ChangeOutcome::Unchanged { .. } | ChangeOutcome::Absent | ChangeOutcome::Unmet => {
                JobOutcome::Skipped
            }
        });
        let rejected = rejected
            .into_iter()
            .map(|(name, reason)| (name, JobOutcome::Rejected(reason)));
        Self {
            collection,
            created_at_ms,
            items: names.into_iter().zip(outcomes).chain(rejected).collect(),
        }
    }
}

impl Data {
    pub(super) fn check_slots_left(&self, wanted: usize) -> Result<()> {
        let left = u32::MAX - self.next_slot;
        if wanted > left as usize {
            return Err(Error::new(
                ErrorCode::StorageFull,
                format!("{wanted} slots are needed, {left} are left in the collection"),
            ));
        }
        Ok(())
    }

    fn log(&mut self, kind: OperationKind) -> Sequence {
        self.newest = self.newest.next();
        self.operations.insert(self.newest, kind);
        self.newest
    }

    fn stage_change(&mut self, epoch: u64, now_ms: i64, change: Change) -> ChangeOutcome {
        if !self.meets(&change) {
            return ChangeOutcome::Unmet;
        }
        match change {
            Change::Put(staged) | Change::PutIf(_, staged) => self.stage_put(now_ms, *staged),
            Change::Delete(id) | Change::DeleteIf(_, id) => self.stage_delete(epoch, id),
        }
    }

    /// Whether the document is what the change expects.
    fn meets(&self, change: &Change) -> bool {
        let row = self.documents.get(change.document());
        match (change.expected(), row) {
            (None, _) | (Some(Expected::Missing), None) => true,
            (Some(Expected::Missing), Some(_)) | (Some(_), None) => false,
            (Some(Expected::Failed(sequence)), Some(row)) => {
                row.newest == *sequence && row.current != Some(row.newest)
            }
            (Some(Expected::Passing(filter)), Some(row)) => self.passes(row, filter),
        }
    }

    /// Whether the newest version passes.
    pub(super) fn passes(&self, row: &DocumentRow, filter: &Filter) -> bool {
        let version = self.versions.get(&row.newest);
        version.is_some_and(|version| filter.matches(&version.metadata, version.language))
    }

    fn stage_put(&mut self, now_ms: i64, staged: StagedDocument) -> ChangeOutcome {
        let row = self.documents.get(&staged.document.id).copied();
        if let Some(row) = row
            && self.is_unchanged(row, &staged)
        {
            self.keep(row);
            let sequence = row.newest;
            return ChangeOutcome::Unchanged { sequence };
        }
        let duplicate = self.find_duplicate(&staged);
        let action = self.collection.settings.duplicates.action;
        if let (Some(duplicate), None, DuplicateAction::Skip) = (&duplicate, row, action) {
            if let Some(original) = self.documents.get(&duplicate.of) {
                self.keep(*original);
            }
            return ChangeOutcome::Duplicate(duplicate.clone());
        }
        let id = staged.document.id.clone();
        let sequence = self.newest.next();
        let slots = self.store_version(now_ms, sequence, staged, duplicate.clone());
        self.log(OperationKind::Put {
            document: id.clone(),
            slots,
        });
        let after = DocumentRow {
            newest: sequence,
            current: Some(sequence),
            live: row.and_then(|row| row.live),
        };
        self.documents.insert(id, after);
        self.drop_unused_version(row.map(|row| row.newest));
        ChangeOutcome::Staged {
            sequence,
            replaced: row.is_some(),
            duplicate,
        }
    }

    /// A pending version that someone was told of stays whatever its job does.
    fn keep(&mut self, row: DocumentRow) {
        if row.live != Some(row.newest)
            && let Some(version) = self.versions.get_mut(&row.newest)
        {
            version.kept = true;
        }
    }

    /// The document that is most like this one, of equally like ones the oldest.
    fn find_duplicate(&self, staged: &StagedDocument) -> Option<Duplicate> {
        let settings = self.collection.settings.duplicates;
        let likeness = staged.likeness.as_ref()?;
        if settings.action == DuplicateAction::Ignore {
            return None;
        }
        let keys = likeness.keys();
        let mut best: Option<(u8, &Version)> = None;
        for (sequence, version) in &self.versions {
            let Some(other) = &version.likeness else {
                continue;
            };
            let is_newest = self.newest_of(&version.document) == Some(*sequence);
            let is_compared = other.keys().iter().any(|key| keys.contains(key));
            let percent = likeness.percent(other);
            if is_newest
                && is_compared
                && version.document != staged.document.id
                && percent >= settings.min_percent
                && best.is_none_or(|(most, _)| percent > most)
            {
                best = Some((percent, version));
            }
        }
        let (percent, version) = best?;
        if let Some(duplicate) = &version.duplicate
            && duplicate.of != staged.document.id
            && let Some(newest) = self.newest_of(&duplicate.of)
            && let Some(original) = self.versions.get(&newest)
        {
            let stored = original.likeness.as_ref();
            let percent = stored.map_or(0, |stored| likeness.percent(stored));
            if percent >= settings.min_percent {
                let of = duplicate.of.clone();
                return Some(Duplicate { of, percent });
            }
        }
        let of = version.document.clone();
        Some(Duplicate { of, percent })
    }

    /// The newest version of a document, unless it failed.
    pub(super) fn newest_of(&self, document: &DocumentId) -> Option<Sequence> {
        let row = self.documents.get(document)?;
        row.current.filter(|current| *current == row.newest)
    }

    /// Whether the newest version is the same content under the same pipeline, and did not fail.
    fn is_unchanged(&self, row: DocumentRow, staged: &StagedDocument) -> bool {
        let version = self.versions.get(&row.newest);
        row.current == Some(row.newest)
            && version.is_some_and(|version| {
                version.content_hash == staged.content_hash && version.pipeline == staged.pipeline
            })
    }

    fn store_version(
        &mut self,
        now_ms: i64,
        sequence: Sequence,
        staged: StagedDocument,
        duplicate: Option<Duplicate>,
    ) -> Vec<Slot> {
        let document = staged.document;
        let row = self.documents.get(&document.id);
        let replaces = row.and_then(|row| row.current);
        let kept = row.is_some_and(|row| row.current != Some(row.newest));
        let made_of = (document.title.as_deref(), staged.language);
        let slots = self.store_chunks((&document.id, sequence), made_of, staged.chunks);
        let version = Version {
            document: document.id,
            text: document.text.into(),
            title: document.title,
            uri: document.uri,
            format: document.format,
            metadata: Arc::new(document.metadata),
            origin: document.origin,
            content_hash: staged.content_hash,
            pipeline: staged.pipeline,
            slots: slots.clone(),
            updated_at_ms: now_ms,
            replaces,
            kept,
            likeness: staged.likeness,
            duplicate,
            language: staged.language,
        };
        self.versions.insert(sequence, version);
        slots
    }

    pub(super) fn store_chunks(
        &mut self,
        (document, sequence): (&DocumentId, Sequence),
        (title, language): (Option<&str>, Option<Language>),
        chunks: Vec<StagedChunk>,
    ) -> Vec<Slot> {
        let mut slots = Vec::with_capacity(chunks.len());
        for staged in chunks {
            let slot = Slot(self.next_slot);
            self.next_slot += 1;
            let record = ChunkRecord {
                slot,
                id: staged.id,
                document: document.clone(),
                sequence,
                title: title.map(str::to_owned),
                chunk: staged.chunk,
                embedding_key: staged.embedding_key,
                language,
            };
            self.chunks.insert(slot, record);
            slots.push(slot);
        }
        slots
    }

    fn stage_delete(&mut self, epoch: u64, id: DocumentId) -> ChangeOutcome {
        let Some(row) = self.documents.remove(&id) else {
            return ChangeOutcome::Absent;
        };
        self.retire_live(epoch, row.live);
        self.drop_unused_version(Some(row.newest));
        self.release_duplicates(&id);
        let sequence = self.log(OperationKind::Delete { document: id });
        ChangeOutcome::Deleted { sequence }
    }

    /// Hides a version and retires its slots.
    fn retire_live(&mut self, epoch: u64, version: Option<Sequence>) {
        let Some(sequence) = version else { return };
        if let Some(version) = self.versions.get(&sequence) {
            let slots: SlotSet = version.slots.iter().map(|slot| slot.0).collect();
            self.live -= &slots;
            self.retire(epoch, &slots);
        }
        self.drop_unused_version(Some(sequence));
    }

    pub(super) fn retire(&mut self, epoch: u64, slots: &SlotSet) {
        if !slots.is_empty() {
            *self.retired.entry(epoch).or_default() |= slots;
        }
    }

    /// Forgets a version that its document does not name and no operation will publish.
    pub(super) fn drop_unused_version(&mut self, version: Option<Sequence>) {
        let Some(sequence) = version else { return };
        let Some(version) = self.versions.get(&sequence) else {
            return;
        };
        let row = self.documents.get(&version.document);
        let named = row.is_some_and(|row| row.names(sequence));
        let pending = matches!(
            self.operations.get(&sequence),
            Some(OperationKind::Put { .. })
        );
        if !named && !pending {
            self.versions.remove(&sequence);
        }
    }

    pub(super) fn fail_operation(
        &mut self,
        (epoch, now_ms): (u64, i64),
        sequence: Sequence,
        reason: &str,
    ) {
        let Some(kind) = self.operations.get_mut(&sequence) else {
            return;
        };
        if matches!(kind, OperationKind::Failed { .. }) {
            return;
        }
        let failed = OperationKind::Failed {
            reason: reason.to_owned(),
        };
        let kind = std::mem::replace(kind, failed);
        let document = match &kind {
            OperationKind::Put { document, .. } | OperationKind::Delete { document } => {
                Some(document.clone())
            }
            OperationKind::Purge { .. } | OperationKind::Failed { .. } => None,
        };
        let failure = Failure {
            document,
            reason: reason.to_owned(),
            at_ms: now_ms,
            cancelled: false,
        };
        self.failures.insert(sequence, failure);
        match kind {
            OperationKind::Put { document, slots } => {
                self.retire(epoch, &slots.iter().map(|slot| slot.0).collect());
                self.relink(sequence);
                self.forget_failed(&document, sequence);
                self.drop_unused_version(Some(sequence));
            }
            OperationKind::Purge { slots } => {
                self.retire(0, &slots.iter().map(|slot| slot.0).collect());
            }
            OperationKind::Delete { .. } | OperationKind::Failed { .. } => {}
        }
    }

    /// Lets what replaces the version `gone` replace what `gone` does.
    fn relink(&mut self, gone: Sequence) {
        let Some(version) = self.versions.get(&gone) else {
            return;
        };
        let replaced = version.replaces;
        for version in self.versions.values_mut() {
            if version.replaces == Some(gone) {
                version.replaces = replaced;
            }
        }
    }

    /// Finds the version a publish must be of, now that `failed` is out.
    fn forget_failed(&mut self, document: &DocumentId, failed: Sequence) {
        let Some(row) = self.documents.get(document).copied() else {
            return;
        };
        if row.current != Some(failed) {
            return;
        }
        let mut current = row.live;
        for (sequence, kind) in &self.operations {
            match kind {
                OperationKind::Put { document: put, .. } if put == document => {
                    current = Some(*sequence);
                }
                OperationKind::Delete { document: deleted } if deleted == document => {
                    current = None;
                }
                OperationKind::Put { .. }
                | OperationKind::Delete { .. }
                | OperationKind::Purge { .. }
                | OperationKind::Failed { .. } => {}
            }
        }
        self.documents
            .insert(document.clone(), DocumentRow { current, ..row });
    }

    pub(super) fn publish(&mut self, epoch: u64, through: Sequence) -> PublishReceipt {
        let mut receipt = PublishReceipt::default();
        let pending: Vec<_> = self
            .operations
            .range(..=through)
            .map(|(key, _)| *key)
            .collect();
        for sequence in pending {
            let Some(kind) = self.operations.remove(&sequence) else {
                continue;
            };
            match kind {
                OperationKind::Put { document, slots } => {
                    let slots = slots.iter().map(|slot| slot.0).collect();
                    if self.publish_put(epoch, sequence, &document, &slots) {
                        receipt.published += 1;
                    } else {
                        receipt.superseded += 1;
                    }
                }
                OperationKind::Purge { slots } => {
                    self.chunks.retain(|slot, _| !slots.contains(slot));
                }
                OperationKind::Delete { .. } | OperationKind::Failed { .. } => {}
            }
            self.published = sequence;
        }
        receipt.watermark = self.published;
        receipt
    }

    fn publish_put(
        &mut self,
        epoch: u64,
        sequence: Sequence,
        document: &DocumentId,
        slots: &SlotSet,
    ) -> bool {
        let row = self.documents.get_mut(document);
        let Some(row) = row.filter(|row| row.current == Some(sequence)) else {
            self.retire(epoch, slots);
            self.drop_unused_version(Some(sequence));
            return false;
        };
        let replaced = row.live.replace(sequence);
        self.retire_live(epoch, replaced);
        self.live |= slots;
        true
    }

    /// Logs the purge of what was retired no later than `oldest_pin`.
    pub(super) fn stage_purge(&mut self, oldest_pin: Option<u64>) -> Option<Operation> {
        let unseen = |epoch: &u64| oldest_pin.is_none_or(|pin| *epoch <= pin);
        let (free, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut self.retired)
            .into_iter()
            .partition(|(epoch, _)| unseen(epoch));
        self.retired = kept.into_iter().collect();
        let slots: SlotSet = free.into_iter().flat_map(|(_, slots)| slots).collect();
        if slots.is_empty() {
            return None;
        }
        let kind = OperationKind::Purge {
            slots: slots.iter().map(Slot).collect(),
        };
        let sequence = self.log(kind.clone());
        Some(Operation { sequence, kind })
    }
}

impl DocumentRow {
    fn names(&self, sequence: Sequence) -> bool {
        self.newest == sequence || self.current == Some(sequence) || self.live == Some(sequence)
    }
}
