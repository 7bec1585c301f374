//! Removing what nobody sees any more. Everything here may be done by several processes at once, and
//! be broken off anywhere: heads forget a version only when nothing is left of it.

use std::sync::Arc;
use std::time::Duration;

use ::qdrant_client::qdrant::Direction;
use braid_core::{Collection, CollectionId, DocumentId, Error, Result, Sequence};

use super::cas::{Listing, Order, all, at_most, is_text, more_than};
use super::heads::{Head, RETIRED, STATE, State};
use super::ledger::ClusterLedger;
use super::queue::readable;
use super::registry::{EXPIRES, KIND, NUMBER};
use super::rows::{BODY, Fields, integer, point_id, read_integer, read_json, text};
use super::shelf::Shelf;
use super::tried::Tried;
use super::versions::{DOCUMENT, SEQUENCE, STAGED};

/// After how long a version that no head names is left over. Far longer than staging takes, and than
/// clocks differ.
pub(crate) const LEFT_OVER: Duration = Duration::from_hours(1);

/// Through when the versions of a collection were looked at, Unix milliseconds.
const CHECKED: &str = "checked_ms";

impl ClusterLedger {
    pub(super) async fn sweep_all(&self, grace: Duration) -> Result<u64> {
        let mut gone = self.remove_deleted().await? + self.forget_expired().await?;
        let mut tried = Tried::default();
        for collection in self.registry.all().await?.values() {
            let swept = self.sweep_collection(collection, grace).await;
            gone += tried.note(collection, "sweep", swept).unwrap_or_default();
        }
        tried.done()?;
        Ok(gone)
    }

    async fn sweep_collection(&self, collection: &Arc<Collection>, grace: Duration) -> Result<u64> {
        let shelf = self.shelf_of(collection);
        let retired = self.remove_retired(&shelf, self.before(grace)).await?;
        let before = self.before(grace.max(LEFT_OVER));
        let left_over = self.remove_left_over(collection.id, &shelf, before).await?;
        Ok(retired + left_over + remove_gone(&shelf).await?)
    }

    pub(super) fn before(&self, ago: Duration) -> i64 {
        let ago = i64::try_from(ago.as_millis()).unwrap_or(i64::MAX);
        self.now_ms().saturating_sub(ago)
    }

    /// Removes versions that were retired by then, the longest retired first.
    async fn remove_retired(&self, shelf: &Shelf, by_ms: i64) -> Result<u64> {
        let mut gone = 0;
        loop {
            let listing = Listing {
                filter: Some(all(vec![at_most(RETIRED, by_ms)])),
                order: Some(Order {
                    field: RETIRED,
                    direction: Direction::Asc,
                    from: None,
                }),
                ..Listing::default()
            };
            let (found, _) = shelf.heads.table.list(listing).await?;
            let mut heads: Vec<Head> = readable(found.iter().map(|(_, it)| read_json(it, BODY)));
            heads.retain(|head| !head.retired_by(by_ms).is_empty());
            if heads.is_empty() {
                return Ok(gone);
            }
            gone += self.remove_versions(shelf, &heads, by_ms).await?;
        }
    }

    async fn remove_versions(&self, shelf: &Shelf, heads: &[Head], by_ms: i64) -> Result<u64> {
        let (mut documents, mut sequences, mut versions) = (Vec::new(), Vec::new(), Vec::new());
        for head in heads {
            let (document, retired) = (head.document()?, head.retired_by(by_ms));
            let each = retired.iter().map(|it| (document.clone(), Sequence(*it)));
            versions.extend(each);
            documents.push(document);
            sequences.push(retired);
        }
        let chunks = shelf.chunks.delete_versions(&versions).await?;
        shelf.versions.delete(&versions).await?;
        let step = |at: usize, head: Head| {
            // Another sweep may have done it.
            let is_listed = head
                .retired
                .iter()
                .any(|it| sequences[at].contains(&it.sequence));
            Ok(if is_listed {
                Ok(head.swept(&sequences[at]))
            } else {
                Err(())
            })
        };
        shelf.heads.step(&documents, (), step).await?;
        Ok(chunks + versions.len() as u64)
    }

    /// Removes versions that were staged by then and that no head names: who staged them died, or was
    /// not the first. Each version is looked at once.
    async fn remove_left_over(&self, id: CollectionId, shelf: &Shelf, by_ms: i64) -> Result<u64> {
        let mark = point_id(&format!("sweep/{}", id.0));
        let found = self
            .registry
            .table
            .get(&[mark], &[CHECKED])
            .await?
            .remove(0);
        let checked = found
            .and_then(|fields| read_integer(&fields, CHECKED))
            .unwrap_or(-1);
        if checked >= by_ms {
            return Ok(0);
        }
        let mut gone = 0;
        let mut from = None;
        loop {
            let listing = Listing {
                filter: Some(all(vec![
                    more_than(STAGED, checked),
                    at_most(STAGED, by_ms),
                ])),
                from,
                fields: &[DOCUMENT, SEQUENCE],
                ..Listing::default()
            };
            let (page, next) = shelf.versions.table.list(listing).await?;
            let page = page.iter().map(|(_, fields)| named(fields));
            gone += shelf.remove_left_over(readable(page)).await?;
            from = next;
            if from.is_none() {
                break;
            }
        }
        let fields = Fields::from([
            (KIND.to_owned(), text("sweep")),
            (NUMBER.to_owned(), integer(id.0.into())),
            (CHECKED.to_owned(), integer(by_ms)),
        ]);
        self.registry.table.put(vec![(mark, fields)]).await?;
        Ok(gone)
    }

    /// Removes collections of Qdrant whose collection was deleted by a process that died over it. What
    /// nothing is known of is left alone: it may be known again when the registry is restored.
    async fn remove_deleted(&self) -> Result<u64> {
        // First: one that is made meanwhile is known before it is there.
        let listed = self.site.collections().await?;
        let numbers = self.registry.numbers().await?;
        let mut gone = 0;
        for name in listed {
            let Some(owner) = self.site.owner_of(&name) else {
                continue;
            };
            if !numbers.knows(owner) {
                tracing::warn!(collection = %name, "a collection of Qdrant is not in the registry: was that restored from an older snapshot?");
            }
            if numbers.is_deleted(owner) {
                tracing::info!(collection = %name, "removing a left-over collection of Qdrant");
                let table = super::cas::Table::new(Arc::clone(&self.site), name);
                table.remove().await?;
                gone += 1;
            }
        }
        Ok(gone)
    }

    /// Removes answers and jobs whose time is over.
    pub(super) async fn forget_expired(&self) -> Result<u64> {
        let expired = all(vec![at_most(EXPIRES, self.now_ms())]);
        let gone = self.registry.table.count(expired.clone()).await?;
        if gone > 0 {
            self.registry.table.delete_where(expired).await?;
        }
        Ok(gone)
    }

    /// What heads name and is not there.
    pub(super) async fn inconsistencies(&self, id: CollectionId) -> Result<Vec<String>> {
        let (_, shelf) = self.open_shelf(id).await?;
        let mut found = Vec::new();
        let mut from = None;
        loop {
            let listing = Listing {
                from,
                ..Listing::default()
            };
            let (page, next) = shelf.heads.table.list(listing).await?;
            for (_, fields) in &page {
                found.extend(missing_of(&shelf, &read_json(fields, BODY)?).await?);
            }
            from = next;
            if from.is_none() {
                return Ok(found);
            }
        }
    }
}

/// Documents of which nothing is left.
async fn remove_gone(shelf: &Shelf) -> Result<u64> {
    // What is put again meanwhile is not in this state any more.
    let gone = all(vec![is_text(STATE, State::Gone.as_str())]);
    let count = shelf.heads.table.count(gone.clone()).await?;
    if count > 0 {
        shelf.heads.table.delete_where(gone).await?;
    }
    Ok(count)
}

/// The version of a point.
pub(super) fn named(fields: &Fields) -> Result<(DocumentId, Sequence)> {
    let document = super::rows::read_text(fields, DOCUMENT).unwrap_or_default();
    let sequence = read_integer(fields, SEQUENCE).and_then(|it| u64::try_from(it).ok());
    let damaged = |error: Error| super::rows::damaged("names no version").with_source(error);
    let document = DocumentId::new(document).map_err(damaged)?;
    let sequence = sequence.ok_or_else(|| super::rows::damaged("names no version"))?;
    Ok((document, Sequence(sequence)))
}

/// What one head names and is not there.
async fn missing_of(shelf: &Shelf, head: &Head) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let document = head.document()?;
    let published = head.published_sequence();
    for sequence in head.newest_sequence().into_iter().chain(published) {
        let version = shelf
            .versions
            .summaries(&[(document.as_str(), sequence.0)])
            .await?;
        let Some(version) = version.into_iter().flatten().next() else {
            found.push(format!(
                "version {sequence} of document {document:?} is missing"
            ));
            continue;
        };
        if Some(sequence) != published {
            continue;
        }
        let stored = shelf
            .chunks
            .of_document(&document, sequence, 0..=u32::MAX)
            .await?
            .len();
        if stored != version.chunks {
            found.push(format!(
                "document {document:?} has {stored} of its {} chunks in the index",
                version.chunks
            ));
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}
