//! Finding the documents that a new version is a duplicate of.

use std::collections::BTreeSet;

use braid_core::duplicate::{LikenessKey, SKETCH_VALUES};
use braid_core::{
    ContentHash, DocumentId, Duplicate, DuplicateAction, DuplicateSettings, Likeness, Result,
    Sequence,
};

use crate::collections;
use crate::draft::Draft;
use crate::keys;
use crate::rows::{DuplicateRow, LikenessRow, Raw, VersionRow, document_id};

/// Most versions that are looked at under one key, and most that a new one is compared with: bounds
/// the work where very many documents share a template.
const MOST_UNDER_A_KEY: usize = 64;
const MOST_COMPARED: usize = 256;

impl Draft<'_, '_> {
    /// The document that `likeness` is most like, if it is enough so: of equally like ones the
    /// oldest. Documents whose newest version failed do not count, nor does `document` itself.
    pub(crate) fn find_duplicate(
        &self,
        document: &DocumentId,
        likeness: &Likeness,
        settings: DuplicateSettings,
    ) -> Result<Option<Duplicate>> {
        if settings.action == DuplicateAction::Ignore {
            return Ok(None);
        }
        let mut best: Option<(u8, VersionRow)> = None;
        for sequence in self.like(likeness)? {
            let version = self.version(sequence)?;
            let Some(stored) = &version.likeness else {
                continue;
            };
            let percent = likeness.percent(&stored.likeness());
            let is_better = best.as_ref().is_none_or(|(most, _)| percent > *most);
            if percent >= settings.min_percent
                && is_better
                && version.document != document.as_str()
                && self.is_newest(&version, sequence)?
            {
                best = Some((percent, version));
            }
        }
        let Some((percent, version)) = best else {
            return Ok(None);
        };
        self.original((version, percent), likeness, settings.min_percent, document)
            .map(Some)
    }

    /// Versions that share a key, oldest first.
    fn like(&self, likeness: &Likeness) -> Result<BTreeSet<u64>> {
        let mut found = BTreeSet::new();
        for key in likeness.keys() {
            let prefix = keys::likeness_prefix(self.id, &key);
            let entries = self.tables().likenesses.entries(self.txn, &prefix)?;
            for entry in entries.take(MOST_UNDER_A_KEY) {
                found.insert(keys::read_likeness(entry?.0)?);
            }
            if found.len() >= MOST_COMPARED {
                break;
            }
        }
        Ok(found)
    }

    fn is_newest(&self, version: &VersionRow, sequence: u64) -> Result<bool> {
        let row = self.document(&document_id(version.document.clone())?)?;
        Ok(row.is_some_and(|row| row.newest == sequence && !row.has_failed()))
    }

    /// Duplicates are of the original, not of each other, as long as it is there and says the same.
    fn original(
        &self,
        (like, percent): (VersionRow, u8),
        likeness: &Likeness,
        min_percent: u8,
        document: &DocumentId,
    ) -> Result<Duplicate> {
        let of = document_id(like.document)?;
        let Some(duplicate) = like.duplicate else {
            return Ok(Duplicate { of, percent });
        };
        let original = document_id(duplicate.of)?;
        let row = self.document(&original)?.filter(|row| !row.has_failed());
        let stored = match row {
            Some(row) if original != *document => self.version(row.newest)?.likeness,
            Some(_) | None => None,
        };
        let of_original = stored.map_or(0, |stored| likeness.percent(&stored.likeness()));
        Ok(if of_original >= min_percent {
            Duplicate {
                of: original,
                percent: of_original,
            }
        } else {
            Duplicate { of, percent }
        })
    }

    /// Lets later versions be compared with this one, and what it is a duplicate of know it.
    pub(crate) fn add_likeness(
        &mut self,
        sequence: Sequence,
        likeness: Option<&Likeness>,
        duplicate: Option<&Duplicate>,
    ) -> Result<()> {
        let keys = likeness.map(Likeness::keys).unwrap_or_default();
        let naming = duplicate.map(|duplicate| naming(duplicate.of.as_str()));
        for key in keys.iter().chain(&naming) {
            self.put_key(key, sequence.0)?;
        }
        Ok(())
    }

    /// Undoes [`Self::add_likeness`].
    pub(crate) fn remove_likeness(&mut self, sequence: u64, version: &VersionRow) -> Result<()> {
        for key in keys_of(version) {
            let key = keys::likeness(self.id, &key, sequence);
            self.tables().likenesses.delete(self.txn, &key)?;
        }
        Ok(())
    }

    pub(crate) fn put_key(&mut self, key: &LikenessKey, sequence: u64) -> Result<()> {
        let key = keys::likeness(self.id, key, sequence);
        let nothing = Raw(Vec::new());
        self.tables().likenesses.put(self.txn, &key, &nothing)
    }

    /// Makes the duplicates of a document that is gone duplicates of the oldest of them, as far as
    /// they are like it: so none names what is not there, whatever was deleted or renamed.
    pub(crate) fn release_duplicates(&mut self, gone: &DocumentId) -> Result<()> {
        let naming = self.versions_naming(gone)?;
        if naming.is_empty() {
            return Ok(());
        }
        let settings = collections::row(self.tables(), self.txn, self.id)?.duplicates()?;
        let mut original = None;
        for (sequence, version) in &naming {
            if self.is_newest(version, *sequence)? {
                original = Some(version.clone());
                break;
            }
        }
        for (sequence, version) in naming {
            self.remove_likeness(sequence, &version)?;
            let duplicate = original
                .as_ref()
                .and_then(|original| instead(&version, original, settings.min_percent));
            let version = VersionRow {
                duplicate,
                ..version
            };
            for key in keys_of(&version) {
                self.put_key(&key, sequence)?;
            }
            let key = keys::sequence(self.id, Sequence(sequence));
            self.tables().versions.put(self.txn, &key, &version)?;
        }
        Ok(())
    }

    /// Versions that name `document` as what they are duplicates of, oldest first.
    fn versions_naming(&self, document: &DocumentId) -> Result<Vec<(u64, VersionRow)>> {
        let prefix = keys::likeness_prefix(self.id, &naming(document.as_str()));
        let mut found = Vec::new();
        for entry in self.tables().likenesses.entries(self.txn, &prefix)? {
            let sequence = keys::read_likeness(entry?.0)?;
            let version = self.version(sequence)?;
            let names = version.duplicate.as_ref();
            if names.is_some_and(|duplicate| duplicate.of == document.as_str()) {
                found.push((sequence, version));
            }
        }
        Ok(found)
    }
}

/// What a version is a duplicate of where `original` stands for another document.
fn instead(version: &VersionRow, original: &VersionRow, min_percent: u8) -> Option<DuplicateRow> {
    let (own, other) = (version.likeness.as_ref()?, original.likeness.as_ref()?);
    let percent = own.likeness().percent(&other.likeness());
    let is_like = percent >= min_percent && version.document != original.document;
    is_like.then(|| DuplicateRow {
        of: original.document.clone(),
        percent,
    })
}

/// The kind of key under which the versions are that name a document; those of bands are below.
const NAMING: u8 = u8::MAX;

/// The key under which the versions are that name the document `of`.
pub(crate) fn naming(of: &str) -> LikenessKey {
    let [a, b, c, d, e, f, g, h, ..] = *blake3::hash(of.as_bytes()).as_bytes();
    LikenessKey {
        kind: NAMING,
        hash: [a, b, c, d, e, f, g, h],
    }
}

/// Every key under which a version is found.
pub(crate) fn keys_of(version: &VersionRow) -> Vec<LikenessKey> {
    let likeness = version.likeness.as_ref().map(LikenessRow::likeness);
    let mut found = likeness.as_ref().map(Likeness::keys).unwrap_or_default();
    let duplicate = version.duplicate.as_ref();
    found.extend(duplicate.map(|duplicate| naming(&duplicate.of)));
    found
}

impl LikenessRow {
    pub(crate) fn new(likeness: &Likeness) -> Self {
        Self {
            words: likeness.words.0,
            sketch: likeness.sketch.as_ref().map(|sketch| sketch.to_vec()),
        }
    }

    pub(crate) fn likeness(&self) -> Likeness {
        let values = |sketch: &Vec<u32>| <[u32; SKETCH_VALUES]>::try_from(&sketch[..]).ok();
        Likeness {
            words: ContentHash(self.words),
            sketch: self.sketch.as_ref().and_then(values).map(Box::new),
        }
    }
}

impl DuplicateRow {
    pub(crate) fn new(duplicate: &Duplicate) -> Self {
        Self {
            of: duplicate.of.to_string(),
            percent: duplicate.percent,
        }
    }

    pub(crate) fn into_duplicate(self) -> Result<Duplicate> {
        Ok(Duplicate {
            of: document_id(self.of)?,
            percent: self.percent,
        })
    }
}
