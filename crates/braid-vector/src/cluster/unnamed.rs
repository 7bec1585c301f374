//! Versions that no head names: left over, or all that is left of a document whose head was lost.
//!
//! The two can be told apart. Who stages writes the version and then its head, so that one that died in
//! between left a version without chunks. Who removes a version removes its chunks, itself, and then its
//! name, in this order. So a version that is there with chunks, of a document without a head, had one that
//! is gone: heads were restored from an older snapshot, or Qdrant lost what it had acknowledged. Its text
//! is the last one there is, and is not removed.

use std::collections::BTreeSet;

use braid_core::{DocumentId, Result};

use super::chunks::Version;
use super::heads::{Read, State};
use super::shelf::Shelf;

impl Shelf {
    /// Those of these versions that no head names, as most copies have the heads.
    pub(super) async fn unnamed(&self, versions: Vec<Version>) -> Result<Vec<Version>> {
        let heads = self.heads.read_agreed(&documents(&versions)).await?;
        Ok(without_named(versions, &heads))
    }

    /// Removes those of these versions that are left over; how many it were. Nothing of those whose heads
    /// were lost.
    pub(super) async fn remove_left_over(&self, versions: Vec<Version>) -> Result<u64> {
        let mut unnamed = self.unnamed(versions).await?;
        let beheaded = self.beheaded(&unnamed).await?;
        if let Some((document, _)) = beheaded.first() {
            let (number, document) = (beheaded.len(), document.as_str());
            tracing::warn!(
                number,
                document,
                "documents are there and their heads are not: `braid verify`"
            );
        }
        unnamed.retain(|version| !beheaded.contains(version));
        if !unnamed.is_empty() {
            self.versions.delete(&unnamed).await?;
        }
        Ok(unnamed.len() as u64)
    }

    /// Those of these versions, which no head names, whose heads were lost.
    pub(super) async fn beheaded(&self, unnamed: &[Version]) -> Result<BTreeSet<Version>> {
        let heads = self.heads.read(&documents(unnamed)).await?;
        let headless = unnamed.iter().zip(heads);
        let headless = headless.filter(|(_, read)| read.head.state == State::Gone);
        let headless: Vec<&Version> = headless.map(|(version, _)| version).collect();
        let there = self.versions.are_there(headless.iter().copied()).await?;
        let mut beheaded = BTreeSet::new();
        for (version, is_there) in headless.into_iter().zip(there) {
            if is_there && self.chunks.has_any(version).await? {
                beheaded.insert(version.clone());
            }
        }
        Ok(beheaded)
    }
}

pub(super) fn documents(versions: &[Version]) -> Vec<DocumentId> {
    versions.iter().map(|(it, _)| it.clone()).collect()
}

/// Those of these versions that their heads do not name.
pub(super) fn without_named(versions: Vec<Version>, heads: &[Read]) -> Vec<Version> {
    let unnamed = versions.into_iter().zip(heads);
    let unnamed = unnamed.filter(|((_, sequence), read)| !read.head.names(*sequence));
    unnamed.map(|(version, _)| version).collect()
}
