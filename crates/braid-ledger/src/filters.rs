//! Metadata bitmaps: which live slots have which value, and filters answered from them alone.
//!
//! The semantics are those of [`Filter::matches`]; the suite and a property test compare the two.
//! Numbers are stored order-preserving, so a range is a range of keys. A string that would not fit
//! in a key is stored by its hash.

use std::collections::BTreeMap;
use std::ops::Bound;

use braid_core::limits::MAX_METADATA_KEY_BYTES;
use braid_core::{
    CollectionId, Condition, Filter, LANGUAGE_KEY, MetadataValue, Predicate, Range, Result, SlotSet,
};
use heed::{RoTxn, RwTxn};

use crate::bitmap::{BitmapChange, union_into};
use crate::keys;
use crate::rows::{ValueRow, VersionRow};
use crate::table::Tables;

/// Longest string that is stored as itself.
const LONGEST_INLINE: usize = 255;

/// Bytes of LMDB's own beside a key and its slots, and of what a set of slots begins with.
const ROW_BYTES: usize = 16 + 16;

/// What the rest of a key is. Stored: never renumber.
const EXISTS: u8 = b'e';
const BOOL: u8 = b'b';
const NUMBER: u8 = b'n';
const STRING: u8 = b's';
const HASHED_STRING: u8 = b'h';

/// Start of the keys of one field. No field name has a zero byte, so none is a prefix of another.
fn field_key(id: CollectionId, field: &str, tag: u8) -> Vec<u8> {
    [&keys::collection(id)[..], field.as_bytes(), &[0, tag]].concat()
}

fn exists_key(id: CollectionId, field: &str) -> Vec<u8> {
    field_key(id, field, EXISTS)
}

fn bool_key(id: CollectionId, field: &str, value: bool) -> Vec<u8> {
    let mut key = field_key(id, field, BOOL);
    key.push(u8::from(value));
    key
}

fn number_key(id: CollectionId, field: &str, ordered: u64) -> Vec<u8> {
    let mut key = field_key(id, field, NUMBER);
    key.extend(ordered.to_be_bytes());
    key
}

fn string_key(id: CollectionId, field: &str, text: &str) -> Vec<u8> {
    if text.len() <= LONGEST_INLINE {
        let mut key = field_key(id, field, STRING);
        key.extend(text.as_bytes());
        key
    } else {
        let mut key = field_key(id, field, HASHED_STRING);
        key.extend(blake3::hash(text.as_bytes()).as_bytes());
        key
    }
}

/// Keys under which a document with this metadata field is found.
fn keys_of(id: CollectionId, field: &str, value: &ValueRow) -> Vec<Vec<u8>> {
    let mut found = match value {
        ValueRow::String(text) => vec![string_key(id, field, text)],
        ValueRow::Number(number) => vec![number_key(id, field, keys::ordered(*number))],
        ValueRow::Bool(value) => vec![bool_key(id, field, *value)],
        ValueRow::Strings(texts) => {
            let keys = texts.iter().map(|text| string_key(id, field, text));
            keys.collect()
        }
    };
    found.push(exists_key(id, field));
    found
}

/// Bytes that entering one version of `slots` chunks may take in the table of filters, whether its
/// values are new there or not. Values come in no order, so pages stay about two thirds full.
pub(crate) fn row_bytes(
    id: CollectionId,
    metadata: &[(String, ValueRow)],
    language: Option<&str>,
    slots: usize,
) -> usize {
    // A list of slots, or a bitmap of at most two bytes for each of so many neighbours.
    let slots = (slots * 4).min(64 + slots * 2);
    let keys = keys_of_document(id, metadata, language);
    let bytes = |key: Vec<u8>| key.len() + ROW_BYTES + slots;
    keys.into_iter().map(bytes).sum::<usize>() * 3 / 2
}

/// Keys under which a version is found.
fn keys_of_version(id: CollectionId, version: &VersionRow) -> Vec<Vec<u8>> {
    keys_of_document(id, &version.metadata, version.language.as_deref())
}

/// Keys of a document's metadata, and those of the language detected in it where no field of that name
/// goes before.
fn keys_of_document(
    id: CollectionId,
    metadata: &[(String, ValueRow)],
    language: Option<&str>,
) -> Vec<Vec<u8>> {
    let fields = metadata.iter();
    let mut found: Vec<_> = fields
        .flat_map(|(field, value)| keys_of(id, field, value))
        .collect();
    let is_said = metadata.iter().any(|(key, _)| key == LANGUAGE_KEY);
    if let Some(language) = language.filter(|_| !is_said) {
        let detected = ValueRow::String(language.to_owned());
        found.extend(keys_of(id, LANGUAGE_KEY, &detected));
    }
    found
}

/// Changes of metadata bitmaps, gathered by key so that each is rewritten once per transaction.
#[derive(Default)]
pub(crate) struct FilterChanges(BTreeMap<Vec<u8>, BitmapChange>);

impl FilterChanges {
    /// Enters the slots of a version that becomes retrievable.
    pub(crate) fn add(&mut self, id: CollectionId, version: &VersionRow, slots: &SlotSet) {
        for key in keys_of_version(id, version) {
            self.0.entry(key).or_default().add(slots);
        }
    }

    /// Takes out the slots of a version that is hidden.
    pub(crate) fn remove(&mut self, id: CollectionId, version: &VersionRow, slots: &SlotSet) {
        for key in keys_of_version(id, version) {
            self.0.entry(key).or_default().remove(slots);
        }
    }

    /// The bitmaps as they are when nothing was stored before, empty ones left out.
    pub(crate) fn into_bitmaps(self) -> BTreeMap<Vec<u8>, SlotSet> {
        let bitmaps = self.0.into_iter().map(|(key, change)| {
            let mut slots = SlotSet::new();
            change.apply(&mut slots);
            (key, slots)
        });
        bitmaps.filter(|(_, slots)| !slots.is_empty()).collect()
    }

    /// Rewrites the changed bitmaps.
    pub(crate) fn write(&self, tables: &Tables, txn: &mut RwTxn) -> Result<()> {
        for (key, change) in &self.0 {
            let mut slots = tables.filters.get(txn, key)?.unwrap_or_default();
            change.apply(&mut slots);
            if slots.is_empty() {
                tables.filters.delete(txn, key)?;
            } else {
                tables.filters.put(txn, key, &slots)?;
            }
        }
        Ok(())
    }
}

/// Answers filters over one collection in one snapshot.
pub(crate) struct FilterReader<'t> {
    pub(crate) tables: &'t Tables,
    pub(crate) txn: &'t RoTxn<'t>,
    pub(crate) id: CollectionId,
    pub(crate) live: &'t SlotSet,
}

impl FilterReader<'_> {
    /// The live slots whose document passes `filter`.
    pub(crate) fn select(&self, filter: &Filter) -> Result<SlotSet> {
        let mut selected = self.live.clone();
        for condition in &filter.must {
            selected &= self.holding(condition)?;
        }
        if !filter.should.is_empty() {
            let mut any = SlotSet::new();
            for condition in &filter.should {
                any |= self.holding(condition)?;
            }
            selected &= any;
        }
        for condition in &filter.must_not {
            selected -= self.holding(condition)?;
        }
        Ok(selected)
    }

    /// The live slots of which `condition` holds.
    fn holding(&self, condition: &Condition) -> Result<SlotSet> {
        let field = condition.key.as_str();
        // No metadata can have such a key, and LMDB might refuse it.
        if field.len() > MAX_METADATA_KEY_BYTES || field.chars().any(char::is_control) {
            return Ok(match condition.predicate {
                Predicate::Exists(false) => self.live.clone(),
                Predicate::Exists(true)
                | Predicate::Match(_)
                | Predicate::Any(_)
                | Predicate::Range(_) => SlotSet::new(),
            });
        }
        match &condition.predicate {
            Predicate::Match(value) => self.equal_to(field, value),
            Predicate::Any(values) => {
                let mut any = SlotSet::new();
                for value in values {
                    any |= self.equal_to(field, value)?;
                }
                Ok(any)
            }
            Predicate::Range(range) => self.within(field, range),
            Predicate::Exists(true) => self.bitmap(&exists_key(self.id, field)),
            Predicate::Exists(false) => Ok(self.live - self.bitmap(&exists_key(self.id, field))?),
        }
    }

    fn equal_to(&self, field: &str, value: &MetadataValue) -> Result<SlotSet> {
        match value {
            MetadataValue::String(text) => self.bitmap(&string_key(self.id, field, text)),
            MetadataValue::Number(number) => {
                self.bitmap(&number_key(self.id, field, keys::ordered(*number)))
            }
            MetadataValue::Bool(value) => self.bitmap(&bool_key(self.id, field, *value)),
            // `Filter::check` refuses arrays here.
            MetadataValue::Strings(_) => Ok(SlotSet::new()),
        }
    }

    fn within(&self, field: &str, range: &Range) -> Result<SlotSet> {
        let mut slots = SlotSet::new();
        let Some((lowest, highest)) = ordered_bounds(range) else {
            return Ok(slots);
        };
        let first = number_key(self.id, field, lowest);
        let last = number_key(self.id, field, highest);
        let range = (Bound::Included(&first[..]), Bound::Included(&last[..]));
        for entry in self.tables.filters.entries_in(self.txn, range)? {
            union_into(&mut slots, entry?.1)?;
        }
        Ok(slots)
    }

    fn bitmap(&self, key: &[u8]) -> Result<SlotSet> {
        let stored = self.tables.filters.get(self.txn, key)?;
        Ok(stored.unwrap_or_default())
    }
}

/// The range in order-preserving form, both ends included; `None` when nothing can be within.
/// The form of a finite number has a neighbour on either side.
fn ordered_bounds(range: &Range) -> Option<(u64, u64)> {
    let ordered = |bound: Option<f64>| bound.map(keys::ordered);
    let above = ordered(range.gt).map(|bound| bound + 1);
    let below = ordered(range.lt).map(|bound| bound - 1);
    let lowest = above.max(ordered(range.gte)).unwrap_or(0);
    let highest = match (below, ordered(range.lte)) {
        (Some(below), Some(lte)) => below.min(lte),
        (below, lte) => below.or(lte).unwrap_or(u64::MAX),
    };
    (lowest <= highest).then_some((lowest, highest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_key_fits() {
        let field = "k".repeat(MAX_METADATA_KEY_BYTES);
        let id = CollectionId(1);
        for length in [LONGEST_INLINE, LONGEST_INLINE + 1, 2048] {
            let key = string_key(id, &field, &"v".repeat(length));
            assert!(key.len() <= keys::MAX_KEY_BYTES, "{}", key.len());
        }
    }

    #[test]
    fn the_tighter_bound_binds() {
        let bounds = |gt, gte, lt, lte| ordered_bounds(&Range { gt, gte, lt, lte });
        let one = keys::ordered(1.0);
        assert_eq!(bounds(None, Some(1.0), None, Some(1.0)), Some((one, one)));
        assert_eq!(bounds(Some(1.0), Some(1.0), None, Some(1.0)), None);
        assert_eq!(bounds(None, Some(1.0), Some(1.0), None), None);
        assert_eq!(
            bounds(Some(0.0), Some(1.0), None, None),
            Some((one, u64::MAX))
        );
        assert_eq!(bounds(None, None, Some(2.0), Some(1.0)), Some((0, one)));
    }
}
