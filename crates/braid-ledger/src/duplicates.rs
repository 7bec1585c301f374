//! Finding the documents that a new version is a duplicate of.

use std::collections::BTreeSet;

use braid_core::duplicate::SKETCH_VALUES;
use braid_core::{
    ContentHash, DocumentId, Duplicate, DuplicateAction, DuplicateSettings, Likeness, Result,
    Sequence,
};

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

    /// Lets later versions be compared with this one.
    pub(crate) fn add_likeness(&mut self, sequence: Sequence, likeness: &Likeness) -> Result<()> {
        for key in likeness.keys() {
            let key = keys::likeness(self.id, &key, sequence.0);
            let nothing = Raw(Vec::new());
            self.tables().likenesses.put(self.txn, &key, &nothing)?;
        }
        Ok(())
    }

    /// Undoes [`Self::add_likeness`].
    pub(crate) fn remove_likeness(&mut self, sequence: u64, version: &VersionRow) -> Result<()> {
        let Some(stored) = &version.likeness else {
            return Ok(());
        };
        for key in stored.likeness().keys() {
            let key = keys::likeness(self.id, &key, sequence);
            self.tables().likenesses.delete(self.txn, &key)?;
        }
        Ok(())
    }
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
