//! What becomes of the duplicates of a document that is gone.

use braid_core::{DocumentId, Duplicate, Sequence};

use super::state::{Data, Version};

impl Data {
    /// Makes them duplicates of the oldest of them, as far as they are like it.
    pub(super) fn release_duplicates(&mut self, gone: &DocumentId) {
        let names = |version: &Version| {
            let named = version.duplicate.as_ref();
            named.is_some_and(|duplicate| duplicate.of == *gone)
        };
        let versions = self.versions.iter();
        let naming = versions.filter(|(_, version)| names(version));
        let naming: Vec<Sequence> = naming.map(|(sequence, _)| *sequence).collect();
        let is_newest = |sequence: &&Sequence| {
            let document = self.versions.get(sequence).map(|version| &version.document);
            document.and_then(|document| self.newest_of(document)) == Some(**sequence)
        };
        let original = naming.iter().find(is_newest);
        let original = original.and_then(|sequence| self.versions.get(sequence).cloned());
        let min_percent = self.collection.settings.duplicates.min_percent;
        for sequence in naming {
            if let Some(version) = self.versions.get_mut(&sequence) {
                version.duplicate = original
                    .as_ref()
                    .and_then(|original| instead(version, original, min_percent));
            }
        }
    }
}

fn instead(version: &Version, original: &Version, min_percent: u8) -> Option<Duplicate> {
    let (own, other) = (version.likeness.as_ref()?, original.likeness.as_ref()?);
    let percent = own.percent(other);
    let is_like = percent >= min_percent && version.document != original.document;
    is_like.then(|| Duplicate {
        of: original.document.clone(),
        percent,
    })
}
