//! What no head names: what is left over, and what is left of documents whose heads are lost.

use std::collections::BTreeMap;

use braid_core::{ErrorCode, Result, Slot, SlotSet};

use super::Auditor;
use crate::cluster::cas::Listing;
use crate::cluster::chunks::Version;
use crate::cluster::heads::Read;
use crate::cluster::queue::readable;
use crate::cluster::rows::{Fields, read_integer};
use crate::cluster::sweep::{LEFT_OVER, named};
use crate::cluster::unnamed::{documents, without_named};
use crate::cluster::versions::{DOCUMENT, SEQUENCE, STAGED};

impl Auditor<'_> {
    /// Chunks of versions that no head names. Versions are named before their chunks are written, so
    /// that these were left over by a worker that wrote after a sweep.
    pub(super) async fn chunks(&mut self) -> Result<()> {
        let mut from = None;
        let mut extra = SlotSet::new();
        loop {
            let (page, next) = self.shelf.chunks.page(from).await?;
            self.audit.chunks += page.len() as u64;
            let mut versions: BTreeMap<Version, Vec<Slot>> = BTreeMap::new();
            for placed in page {
                let Some((slot, document, sequence)) =
                    self.tolerated(|| "a chunk".to_owned(), placed)?
                else {
                    continue;
                };
                let slots = versions.entry((document, sequence)).or_default();
                slots.push(slot);
            }
            let named: Vec<Version> = versions.keys().cloned().collect();
            let mut unnamed = self.unnamed(named).await?;
            let beheaded = self.shelf.beheaded(&unnamed).await?;
            unnamed.retain(|version| !beheaded.contains(version));
            for version in &unnamed {
                let slots = versions.remove(version).unwrap_or_default();
                // A sweep that was at it has removed them before the head forgot them.
                let there = self.shelf.chunks.there(&slots).await?;
                extra.extend(there.into_iter().map(|slot| slot.0));
            }
            if self.repair && !unnamed.is_empty() {
                self.audit.removed += self.shelf.chunks.delete_versions(&unnamed).await?;
            }
            from = next;
            if from.is_none() {
                break;
            }
        }
        if !extra.is_empty() {
            let number = extra.len();
            self.problems.tell(format!(
                "{number} chunks are of versions that no head names"
            ));
        }
        self.audit.extra |= extra;
        Ok(())
    }

    /// Versions that no head names: those whose heads were lost, and those that were left over long after
    /// they were staged.
    pub(super) async fn left_over(&mut self) -> Result<()> {
        let before = self.ledger.before(LEFT_OVER);
        let mut from = None;
        let mut found = 0;
        loop {
            let listing = Listing {
                from,
                fields: &[DOCUMENT, SEQUENCE, STAGED],
                ..Listing::default()
            };
            let (page, next) = self.shelf.versions.table.list(listing).await?;
            let is_recent = |fields: &Fields| read_integer(fields, STAGED) > Some(before);
            let versions = page.iter().map(|(_, fields)| {
                let version = named(fields)?;
                Ok((version, is_recent(fields)))
            });
            let versions: BTreeMap<Version, bool> = readable(versions).into_iter().collect();
            let mut unnamed = self.unnamed(versions.keys().cloned().collect()).await?;
            for version in self.shelf.beheaded(&unnamed).await? {
                unnamed.retain(|it| *it != version);
                self.beheaded(&version);
            }
            unnamed.retain(|version| versions.get(version) == Some(&false));
            found += self.count_there(&unnamed).await?;
            if self.repair && !unnamed.is_empty() {
                self.shelf.versions.delete(&unnamed).await?;
                self.audit.removed += unnamed.len() as u64;
            }
            from = next;
            if from.is_none() {
                break;
            }
        }
        if found > 0 {
            let sentence = format!("{found} versions were left over: no head names them");
            self.problems.tell(sentence);
        }
        Ok(())
    }

    fn beheaded(&mut self, (document, sequence): &Version) {
        let document = document.as_str();
        self.lost(format!(
            "version {sequence} of document {document:?} is there and its head is not: were heads restored from an older snapshot? hand the document in again"
        ));
    }

    /// A sweep that was at them has removed some.
    async fn count_there(&self, versions: &[Version]) -> Result<usize> {
        let there = self.shelf.versions.are_there(versions).await?;
        Ok(there.into_iter().filter(|is_there| *is_there).count())
    }

    /// Those of these versions that no head names. Where they are to be removed, that is asked of most
    /// copies.
    async fn unnamed(&self, versions: Vec<Version>) -> Result<Vec<Version>> {
        let heads = &self.shelf.heads;
        let (versions, read) = match heads.read(&documents(&versions)).await {
            Err(error) if error.code() == ErrorCode::Corrupt => self.with_heads(versions).await?,
            read => (versions, read?),
        };
        let unnamed = without_named(versions, &read);
        if !self.repair || unnamed.is_empty() {
            return Ok(unnamed);
        }
        self.shelf.unnamed(unnamed).await
    }

    /// Those of these versions whose heads can be read: of the others it cannot be told, and they were
    /// told of already.
    async fn with_heads(&self, versions: Vec<Version>) -> Result<(Vec<Version>, Vec<Read>)> {
        let (mut known, mut heads) = (Vec::new(), Vec::new());
        for version in versions {
            let document = std::slice::from_ref(&version.0);
            match self.shelf.heads.read(document).await {
                Ok(mut read) => {
                    heads.push(read.remove(0));
                    known.push(version);
                }
                Err(error) if error.code() == ErrorCode::Corrupt => {}
                Err(error) => return Err(error),
            }
        }
        Ok((known, heads))
    }
}
