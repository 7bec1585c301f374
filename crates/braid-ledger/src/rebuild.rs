//! Rebuilds: chunks made anew beside the live ones, and the switch to another generation.

use braid_core::ports::{RechunkedDocument, SwitchGeneration};
use braid_core::{Collection, CollectionId, DocumentId, Error, Result, Sequence, Slot, SlotSet};
use heed::RwTxn;

use crate::collections;
use crate::documents::Reading;
use crate::draft::Draft;
use crate::keys;
use crate::rows::{ChunkRow, ChunkVersion, VersionRow, numbers, slots};
use crate::store::Store;

/// As [`braid_core::Ledger::stage_rechunked`].
pub(crate) fn stage_rechunked(
    store: &Store,
    txn: &mut RwTxn,
    id: CollectionId,
    (document, rechunked): (&DocumentId, RechunkedDocument),
) -> Result<Vec<Slot>> {
    let mut draft = Draft::open(store, txn, id)?;
    let row = draft.document(document)?;
    let whole = row.filter(|row| !row.has_failed());
    let sequence = whole.map(|row| row.newest).ok_or_else(|| {
        Error::invalid(format!(
            "document {document} has no newest version that could be indexed"
        ))
    })?;
    let version = ChunkVersion {
        document,
        sequence,
        title: rechunked.title.as_deref(),
        language: rechunked.language,
    };
    let staged = draft.store_chunks(version, rechunked.chunks)?;
    draft.finish()?;
    let mut rechunking = store.rechunking.lock();
    rechunking.entry(id).or_default().extend(&staged);
    Ok(slots(&staged))
}

/// As [`braid_core::Ledger::switch_generation`].
pub(crate) fn switch_generation(
    store: &Store,
    txn: &mut RwTxn,
    id: CollectionId,
    switch: &SwitchGeneration,
) -> Result<Collection> {
    let mut draft = Draft::open(store, txn, id)?;
    draft.publish_through(switch.publish_through)?;
    let lag = draft.counters.newest - draft.counters.published;
    if lag > 0 {
        return Err(Error::invalid(format!(
            "{lag} operations are newer than what the new generation holds"
        ))
        .with_help("start the rebuild again"));
    }
    for (document, slots) in &switch.rechunked {
        draft.exchange_slots(document, &numbers(slots))?;
    }
    draft.record_pipeline(switch.pipeline.as_str())?;
    draft.finish()?;
    store.rechunking.lock().remove(&id);
    let mut row = collections::row(&store.tables, txn, id)?;
    row.set_settings(&switch.settings);
    row.set_fingerprint(&switch.fingerprint);
    row.generation = switch.generation.0;
    row.dimension = switch.dimension as u64;
    let key = keys::collection(id);
    store.tables.collections.put(txn, &key, &row)?;
    collections::read(&store.tables, txn, id)
}

impl Draft<'_, '_> {
    /// Gives a document's live version new slots.
    fn exchange_slots(&mut self, document: &DocumentId, slots: &[u32]) -> Result<()> {
        let live = self.document(document)?.and_then(|row| row.live);
        let (sequence, old) = match live {
            Some(sequence) if self.are_chunks_of(sequence, slots)? => {
                (sequence, self.version(sequence)?)
            }
            Some(_) | None => {
                return Err(Error::invalid(format!(
                    "document {document} has changed since it was chunked anew"
                )));
            }
        };
        let new = VersionRow {
            slots: slots.to_vec(),
            language: self.language_of(slots)?,
            ..old.clone()
        };
        let kept: SlotSet = slots.iter().collect();
        let replaced = VersionRow {
            slots: old
                .slots
                .iter()
                .copied()
                .filter(|slot| !kept.contains(*slot))
                .collect(),
            ..old.clone()
        };
        // What stays may be of another language now.
        self.hide_from_filters(&old);
        self.hide(&replaced);
        self.show(&new);
        let key = keys::sequence(self.id, Sequence(sequence));
        self.tables().versions.put(self.txn, &key, &new)
    }

    /// The language recorded with chunks of one document.
    fn language_of(&self, slots: &[u32]) -> Result<Option<String>> {
        let Some(slot) = slots.first() else {
            return Ok(None);
        };
        let key = keys::slot(self.id, *slot);
        let row = self.tables().chunks.get(self.txn, &key)?;
        Ok(row.and_then(ChunkRow::into_language))
    }

    fn are_chunks_of(&self, sequence: u64, slots: &[u32]) -> Result<bool> {
        let reading = Reading {
            tables: self.tables(),
            txn: self.txn,
            id: self.id,
        };
        for slot in slots {
            let header = reading.find_chunk_header(*slot)?;
            if header.is_none_or(|header| header.sequence != sequence) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Records the pipeline that the published versions are now of.
    fn record_pipeline(&mut self, pipeline: &str) -> Result<()> {
        let tables = self.tables();
        let mut live = Vec::new();
        for entry in tables
            .documents
            .scan(self.txn, &keys::collection(self.id))?
        {
            live.extend(entry?.1.live);
        }
        for sequence in live {
            let mut version = self.version(sequence)?;
            if version.pipeline != pipeline {
                pipeline.clone_into(&mut version.pipeline);
                let key = keys::sequence(self.id, Sequence(sequence));
                tables.versions.put(self.txn, &key, &version)?;
            }
        }
        Ok(())
    }
}
