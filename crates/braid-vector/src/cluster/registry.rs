//! [`Registry`]: what is known of all collections, in one collection of Qdrant.
//!
//! Its points are of one `kind` each: the format marker, collections, those that were deleted
//! ([`deleted`]), counters, recorded mean lengths, jobs and answers to idempotent requests. `number` is
//! the collection that a point goes with.

mod bm25;
mod deleted;
mod making;
mod row;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use ::qdrant_client::qdrant::FieldType;
use braid_core::{Collection, CollectionId, CollectionName, Error, ErrorCode, Result, Synonyms};

use super::cas::{Swap, Table, all, is_text};
use super::counters::Counters;
use super::rows::{BODY, Fields, integer, point_id, read_integer, read_json, text};
use super::shared::Shared;
use super::site::Site;
pub(crate) use bm25::{RecordedBm25, Size};
use row::CollectionRow;

/// What a point is.
pub(crate) const KIND: &str = "kind";
/// The kind of a collection.
const COLLECTION: &str = "collection";
/// The collection that a point goes with.
pub(crate) const NUMBER: &str = "number";
/// From when on a point is not needed, Unix milliseconds.
pub(crate) const EXPIRES: &str = "expires_ms";

/// When a job was acknowledged.
pub(crate) const CREATED: &str = "created_ms";
/// Whether an idempotent request has its answer.
pub(crate) const ANSWERED: &str = "answered";

/// The fields that are searched by.
pub(crate) const INDEXES: [(&str, FieldType); 5] = [
    (KIND, FieldType::Keyword),
    (NUMBER, FieldType::Integer),
    (EXPIRES, FieldType::Integer),
    (CREATED, FieldType::Integer),
    (ANSWERED, FieldType::Bool),
];

/// The form of what is stored. 2: chunks have what they say as a field of its own. 3: they say which mean
/// length they are weighed by.
const CURRENT_FORMAT: i64 = 3;
const FORMAT: &str = "format";

/// How long collections are taken to be as they were read.
const FRESH: Duration = Duration::from_secs(1);

type ByName = BTreeMap<CollectionName, Arc<Collection>>;

/// The registry, and what was last read of it.
#[derive(Debug)]
pub(crate) struct Registry {
    site: Arc<Site>,
    pub(crate) table: Table,
    pub(crate) counters: Counters,
    known: Shared<Arc<ByName>>,
}

impl Registry {
    /// Opens the registry, and makes it where there is nothing yet.
    ///
    /// # Errors
    /// [`UnsupportedVersion`](ErrorCode::UnsupportedVersion) for one of another release, and
    /// [`Corrupt`](ErrorCode::Corrupt) where collections are there and the registry is not.
    pub(crate) async fn open(site: &Arc<Site>) -> Result<Self> {
        // First: what is made after this has a registry.
        let listed = site.collections().await?;
        let has_data = listed.iter().any(|name| site.owner_of(name).is_some());
        let table = Table::new(Arc::clone(site), site.registry_name());
        if has_data && !listed.contains(&site.registry_name()) {
            return Err(site.registry_lost(ErrorCode::Corrupt));
        }
        table.ensure(&INDEXES).await?;
        let registry = Self {
            site: Arc::clone(site),
            counters: Counters::new(table.clone()),
            table,
            known: Shared::default(),
        };
        registry.check_format(has_data).await?;
        Ok(registry)
    }

    /// The mark is written before there is any data: where that is there without it, the registry was
    /// made anew.
    async fn check_format(&self, has_data: bool) -> Result<()> {
        let id = point_id(FORMAT);
        let fields = Fields::from([
            (KIND.to_owned(), text(FORMAT)),
            (FORMAT.to_owned(), integer(CURRENT_FORMAT)),
        ]);
        let found = match self.table.get(&[id], &[FORMAT]).await?.remove(0) {
            Some(found) => found,
            None if has_data && self.table.get_agreed(&[id], &[]).await? == [None] => {
                return Err(self.site.registry_lost(ErrorCode::Corrupt));
            }
            None => {
                let expected = None;
                let swap = Swap {
                    id,
                    expected,
                    fields,
                };
                self.table.swap(vec![swap]).await?;
                self.table
                    .get(&[id], &[FORMAT])
                    .await?
                    .remove(0)
                    .unwrap_or_default()
            }
        };
        let format = read_integer(&found, FORMAT);
        if format == Some(CURRENT_FORMAT) {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::UnsupportedVersion,
            format!("what is stored in Qdrant is of format {format:?}, this release knows {CURRENT_FORMAT}"),
        )
        .with_help("use the release that wrote it, or another qdrant.prefix"))
    }

    /// Every collection that is made, by name; what another process did within the last second may be
    /// missing.
    pub(crate) async fn all(&self) -> Result<Arc<ByName>> {
        self.known.get(FRESH, self.read_all()).await
    }

    /// Every collection that is made, as it is now.
    pub(crate) async fn refresh(&self) -> Result<Arc<ByName>> {
        self.known.get(Duration::ZERO, self.read_all()).await
    }

    /// The numbers of collections, as they were read last, if they were.
    pub(crate) fn peek(&self) -> Option<HashSet<CollectionId>> {
        let known = self.known.peek()?;
        Some(known.values().map(|it| it.id).collect())
    }

    async fn read_all(&self) -> Result<Arc<ByName>> {
        let filter = all(vec![is_text(KIND, COLLECTION)]);
        let mut by_name = ByName::new();
        for (_, fields) in self.table.list_all(Some(filter)).await? {
            match read_made(&fields) {
                Ok(Some(made)) => drop(by_name.insert(made.name.clone(), Arc::new(made))),
                Ok(None) => {}
                // The others are not to be missed for it.
                Err(error) => {
                    tracing::warn!(error = %error.chain(), "a collection in the registry cannot be read");
                }
            }
        }
        Ok(Arc::new(by_name))
    }

    fn forget(&self) {
        self.known.forget();
    }

    /// The collection of that name.
    pub(crate) async fn named(&self, name: &CollectionName) -> Result<Option<Arc<Collection>>> {
        if let Some(found) = self.all().await?.get(name) {
            return Ok(Some(Arc::clone(found)));
        }
        Ok(self.refresh().await?.get(name).cloned())
    }

    /// The collection with that number.
    ///
    /// # Errors
    /// [`CollectionNotFound`](ErrorCode::CollectionNotFound).
    pub(crate) async fn numbered(&self, id: CollectionId) -> Result<Arc<Collection>> {
        let find = |all: &ByName| all.values().find(|it| it.id == id).cloned();
        if let Some(found) = find(&*self.all().await?) {
            return Ok(found);
        }
        let found = find(&*self.refresh().await?);
        found.ok_or_else(|| missing(format_args!("number {}", id.0)))
    }

    /// Replaces the synonyms of a collection.
    ///
    /// # Errors
    /// [`CollectionNotFound`](ErrorCode::CollectionNotFound).
    pub(crate) async fn set_synonyms(
        &self,
        name: &CollectionName,
        synonyms: &Synonyms,
    ) -> Result<Arc<Collection>> {
        let changed = self.change(name, |row| {
            let row = row.filter(|row| !row.is_making);
            let row = row.ok_or_else(|| missing(name))?;
            Ok(row.with_synonyms(synonyms))
        });
        Ok(Arc::new(changed.await?.collection()?))
    }
}

/// The collection of a point; `None` while it is being made.
fn read_made(fields: &Fields) -> Result<Option<Collection>> {
    let row: CollectionRow = read_json(fields, BODY)?;
    let made = (!row.is_making).then(|| row.collection());
    made.transpose()
}

/// There is no such collection.
pub(crate) fn missing(which: impl std::fmt::Display) -> Error {
    Error::new(
        ErrorCode::CollectionNotFound,
        format!("there is no collection {which}"),
    )
    .with_help("create it first")
}
