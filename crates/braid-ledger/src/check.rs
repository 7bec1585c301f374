//! Looking for inconsistencies within the ledger. Every finding is one sentence; a sound ledger has
//! none, whatever was interrupted.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use braid_core::{Collection, Result, Sequence, SlotSet};

use crate::collections;
use crate::documents::Reading;
use crate::duplicates::keys_of;
use crate::filters::FilterChanges;
use crate::keys;
use crate::pending::Pending;
use crate::rows::{CountersRow, DocumentRow, OperationRow, VersionRow, document_id};

/// As [`braid_core::Ledger::check`].
pub(crate) fn check(reading: &Reading<'_>) -> Result<Vec<String>> {
    let mut check = Check {
        reading,
        collection: collections::read(reading.tables, reading.txn, reading.id)?,
        counters: collections::counters(reading.tables, reading.txn, reading.id)?,
        live: SlotSet::new(),
        slots: HashMap::new(),
        named: BTreeSet::new(),
        filters: FilterChanges::default(),
        found: Vec::new(),
    };
    check.documents()?;
    check.live_slots()?;
    check.chunks()?;
    check.retired()?;
    check.operations()?;
    check.versions()?;
    check.likenesses()?;
    check.filters()?;
    Ok(check.found)
}

struct Check<'t> {
    reading: &'t Reading<'t>,
    collection: Collection,
    counters: CountersRow,
    /// Slots of live versions, and of which version each is.
    live: SlotSet,
    slots: HashMap<u32, u64>,
    /// Versions that a document or an operation names.
    named: BTreeSet<u64>,
    filters: FilterChanges,
    found: Vec<String>,
}

impl Check<'_> {
    fn expect(&mut self, holds: bool, finding: impl FnOnce() -> String) {
        if !holds {
            self.found.push(finding());
        }
    }

    fn documents(&mut self) -> Result<()> {
        let (mut live, mut failed) = (0, 0);
        let prefix = keys::collection(self.reading.id);
        for entry in self
            .reading
            .tables
            .documents
            .scan(self.reading.txn, &prefix)?
        {
            let (key, row) = entry?;
            let id = keys::read_document(key)?;
            live += u64::from(row.live.is_some());
            failed += u64::from(row.has_failed());
            self.document(id.as_str(), row)?;
        }
        let counted = (self.counters.documents, self.counters.failed);
        self.expect(counted == (live, failed), || {
            format!(
                "{live} documents are live and {failed} failed, {} and {} are counted",
                counted.0, counted.1
            )
        });
        Ok(())
    }

    fn document(&mut self, id: &str, row: DocumentRow) -> Result<()> {
        let named = [Some(row.newest), row.current, row.live];
        let named: BTreeSet<u64> = named.into_iter().flatten().collect();
        self.named.extend(&named);
        for sequence in named {
            let version = self.reading.version(sequence)?;
            let is_own = version
                .as_ref()
                .is_some_and(|version| version.document == id);
            self.expect(is_own, || {
                format!("document {id} has no version {sequence}")
            });
            if let Some(version) = version {
                self.duplicate(id, &version)?;
                if row.live == Some(sequence) {
                    self.live_version(id, sequence, &version);
                }
            }
        }
        let key = keys::sequence(self.reading.id, Sequence(row.newest));
        let has_text = self.reading.tables.texts.contains(self.reading.txn, &key)?;
        self.expect(has_text, || format!("document {id} has no text"));
        let has_reason = self
            .reading
            .tables
            .failures
            .contains(self.reading.txn, &key)?;
        self.expect(has_reason == row.has_failed(), || {
            format!("document {id} failed or has a reason, not both")
        });
        Ok(())
    }

    /// What a document is a duplicate of is there.
    fn duplicate(&mut self, id: &str, version: &VersionRow) -> Result<()> {
        let Some(duplicate) = &version.duplicate else {
            return Ok(());
        };
        let key = keys::document(self.reading.id, &document_id(duplicate.of.clone())?);
        let is_there = self
            .reading
            .tables
            .documents
            .contains(self.reading.txn, &key)?;
        self.expect(is_there, || {
            format!(
                "document {id} is a duplicate of {}, which is gone",
                duplicate.of
            )
        });
        Ok(())
    }

    fn live_version(&mut self, id: &str, sequence: u64, version: &VersionRow) {
        let slots: SlotSet = version.slots.iter().collect();
        let shared = slots.intersection_len(&self.live);
        self.expect(shared == 0, || {
            format!("document {id} shares {shared} slots with another")
        });
        self.slots
            .extend(version.slots.iter().map(|slot| (*slot, sequence)));
        self.filters.add(self.reading.id, version, &slots);
        self.live |= slots;
    }

    fn live_slots(&mut self) -> Result<()> {
        let stored = self.reading.live()?;
        for slot in &stored - &self.live {
            self.found
                .push(format!("slot {slot} is live and no document has it"));
        }
        for slot in &self.live - &stored {
            self.found
                .push(format!("slot {slot} of a published document is not live"));
        }
        let (counted, live) = (self.counters.chunks, stored.len());
        self.expect(counted == live, || {
            format!("{live} slots are live, {counted} are counted")
        });
        let next = self.counters.next_slot;
        let highest = stored.max();
        self.expect(highest.is_none_or(|slot| slot < next), || {
            format!("slot {highest:?} is live and the next one would be {next}")
        });
        Ok(())
    }

    fn chunks(&mut self) -> Result<()> {
        let embedder = keys::embedder(&self.collection.fingerprint.embedder);
        let (tables, txn) = (&self.reading.tables, self.reading.txn);
        for slot in &self.live.clone() {
            let Some(header) = self.reading.find_chunk_header(slot)? else {
                self.found.push(format!("live slot {slot} has no chunk"));
                continue;
            };
            let version = self.slots.get(&slot).copied();
            self.expect(version == Some(header.sequence), || {
                format!("the chunk of slot {slot} is of version {}", header.sequence)
            });
            let key = keys::embedding(embedder, &header.embedding_key.0);
            let has_embedding = tables.embeddings.contains(txn, &key)?;
            self.expect(has_embedding, || {
                format!("live slot {slot} has no embedding")
            });
        }
        Ok(())
    }

    fn retired(&mut self) -> Result<()> {
        let retired = self.reading.retired()?;
        for slot in &retired & &self.live {
            self.found
                .push(format!("slot {slot} is both live and retired"));
        }
        let (counted, retired) = (self.counters.retired, retired.len());
        self.expect(counted == retired, || {
            format!("{retired} slots are retired, {counted} are counted")
        });
        Ok(())
    }

    /// The log holds what is acknowledged and not published, without a gap.
    fn operations(&mut self) -> Result<()> {
        let (mut expected, mut pending) = (self.counters.published, Pending::default());
        let prefix = keys::collection(self.reading.id);
        for entry in self
            .reading
            .tables
            .operations
            .scan(self.reading.txn, &prefix)?
        {
            let (key, operation) = entry?;
            expected += 1;
            let sequence = keys::read_number(key)?;
            self.expect(sequence == expected, || {
                format!("the log has operation {sequence} where {expected} belongs")
            });
            self.operation(sequence, operation, &mut pending)?;
        }
        let counted = Pending::read(self.reading.tables, self.reading.txn, self.reading.id)?;
        self.expect(counted == pending, || {
            format!("{pending:?} is in the log, {counted:?} is counted")
        });
        let newest = self.counters.newest;
        self.expect(expected == newest, || {
            format!("the log ends at operation {expected}, {newest} is acknowledged")
        });
        Ok(())
    }

    /// Adds what it puts to what is `pending`.
    fn operation(
        &mut self,
        sequence: u64,
        operation: OperationRow,
        pending: &mut Pending,
    ) -> Result<()> {
        let OperationRow::Put { slots, .. } = operation else {
            return Ok(());
        };
        self.named.insert(sequence);
        let version = self.reading.version(sequence)?;
        self.expect(version.is_some(), || {
            format!("operation {sequence} puts a version that is missing")
        });
        if let Some(version) = version {
            pending.add(self.reading.id, &version);
        }
        for slot in slots {
            let is_stored = self.reading.find_chunk_header(slot)?.is_some();
            self.expect(is_stored, || format!("staged slot {slot} has no chunk"));
        }
        Ok(())
    }

    /// Every stored version, and every text, is of a document or of the log.
    fn versions(&mut self) -> Result<()> {
        let prefix = keys::collection(self.reading.id);
        let (tables, txn) = (self.reading.tables, self.reading.txn);
        let versions = tables.versions.entries(txn, &prefix)?;
        for entry in versions.chain(tables.texts.entries(txn, &prefix)?) {
            let sequence = keys::read_number(entry?.0)?;
            let is_named = self.named.contains(&sequence);
            self.expect(is_named, || {
                format!("version {sequence} is stored and nothing refers to it")
            });
        }
        Ok(())
    }

    /// What is compared to find duplicates is of stored versions, and all of them.
    fn likenesses(&mut self) -> Result<()> {
        let prefix = keys::collection(self.reading.id);
        let (tables, txn) = (self.reading.tables, self.reading.txn);
        let (mut missing, mut present) = (0, 0);
        for entry in tables.versions.scan(txn, &prefix)? {
            let (key, version) = entry?;
            let sequence = keys::read_number(key)?;
            for key in keys_of(&version) {
                let key = keys::likeness(self.reading.id, &key, sequence);
                if tables.likenesses.contains(txn, &key)? {
                    present += 1;
                } else {
                    missing += 1;
                }
            }
        }
        let stored = tables.likenesses.entries(txn, &prefix)?.count();
        let count = missing + (stored - present);
        self.expect(count == 0, || {
            format!("{count} entries that find duplicates differ from the versions")
        });
        Ok(())
    }

    /// The stored bitmaps are those that the live versions' metadata make.
    fn filters(&mut self) -> Result<()> {
        let expected = std::mem::take(&mut self.filters).into_bitmaps();
        let prefix = keys::collection(self.reading.id);
        let stored = self
            .reading
            .tables
            .filters
            .scan(self.reading.txn, &prefix)?;
        let stored: BTreeMap<Vec<u8>, SlotSet> = stored
            .map(|entry| entry.map(|(key, slots)| (key.to_vec(), slots)))
            .collect::<Result<_>>()?;
        let wrong = expected
            .iter()
            .filter(|(key, slots)| stored.get(*key) != Some(slots));
        let extra = stored.keys().filter(|key| !expected.contains_key(*key));
        let count = wrong.count() + extra.count();
        self.expect(count == 0, || {
            format!("{count} metadata bitmaps differ from the metadata")
        });
        Ok(())
    }
}
