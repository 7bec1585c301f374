//! [`Points`]: one collection of Qdrant, whatever its points are.
//!
//! What tables and chunks have in common: requests that name the collection and are asked over the
//! connections of the site, writes that count once they are applied, and errors that say which
//! collection they are of.

use std::sync::Arc;

use ::qdrant_client::qdrant::points_selector::PointsSelectorOneOf;
use ::qdrant_client::qdrant::{
    CollectionInfo, CountPoints, CreateCollection, CreateFieldIndexCollection, DeletePoints,
    FieldType, Filter, PayloadIndexParams, PointId, PointsSelector, RetrievedPoint, ScrollPoints,
    UpdateStatus, UpsertPoints,
};
use ::qdrant_client::{Qdrant, QdrantError};
use braid_core::{Error, ErrorCode, Result};

use super::site::{Site, strong};
use crate::qdrant::error::{is_missing, is_there_already, translate};

/// A collection of Qdrant, whose copies take writes in one order.
#[derive(Clone, Debug)]
pub(crate) struct Points {
    pub(crate) site: Arc<Site>,
    pub(crate) name: String,
}

impl Points {
    /// Nothing is asked yet.
    pub(crate) fn new(site: Arc<Site>, name: String) -> Self {
        Self { site, name }
    }

    /// The answer to a request about the collection.
    pub(crate) async fn ask<T, F>(&self, request: impl FnOnce(Arc<Qdrant>) -> F + Send) -> Result<T>
    where
        T: Send,
        F: Future<Output = std::result::Result<T, QdrantError>> + Send,
    {
        let answer = self.site.ask(request).await;
        answer.map_err(|error| self.failed(&error))
    }

    /// Writes the points of `request`, and returns when they are applied.
    pub(crate) async fn upsert(&self, request: UpsertPoints) -> Result<()> {
        let request = UpsertPoints {
            collection_name: self.name.clone(),
            wait: Some(true),
            ordering: Some(strong()),
            ..request
        };
        let asked = self.ask(|client| async move { client.upsert_points(request).await });
        self.completed(asked.await?.result.map(|result| result.status))
    }

    /// Removes points, and returns when they are gone.
    pub(crate) async fn delete(&self, selected: PointsSelectorOneOf) -> Result<()> {
        let request = DeletePoints {
            collection_name: self.name.clone(),
            wait: Some(true),
            points: Some(PointsSelector {
                points_selector_one_of: Some(selected),
            }),
            ordering: Some(strong()),
            ..DeletePoints::default()
        };
        let asked = self.ask(|client| async move { client.delete_points(request).await });
        self.completed(asked.await?.result.map(|result| result.status))
    }

    /// How many points pass; how many there are where there is no filter.
    pub(crate) async fn count(&self, filter: Option<Filter>) -> Result<u64> {
        let request = CountPoints {
            collection_name: self.name.clone(),
            filter,
            exact: Some(true),
            read_consistency: self.site.consistency(),
            ..CountPoints::default()
        };
        let asked = self.ask(|client| async move { client.count(request).await });
        Ok(asked.await?.result.map_or(0, |result| result.count))
    }

    /// A page of points, and where the next one starts. Read as the site reads where `request` does not say
    /// how.
    pub(crate) async fn scroll(
        &self,
        request: ScrollPoints,
    ) -> Result<(Vec<RetrievedPoint>, Option<PointId>)> {
        let read_consistency = request.read_consistency.or(self.site.consistency());
        let request = ScrollPoints {
            collection_name: self.name.clone(),
            read_consistency,
            ..request
        };
        let asked = self.ask(|client| async move { client.scroll(request).await });
        let answer = asked.await?;
        Ok((answer.result, answer.next_page_offset))
    }

    /// What the collection is; `None` where there is none.
    pub(crate) async fn info(&self) -> Result<Option<CollectionInfo>> {
        let name = self.name.as_str();
        let asked = self
            .site
            .ask(|client| async move { client.collection_info(name).await });
        match asked.await {
            Ok(answer) => Ok(Some(answer.result.unwrap_or_default())),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// Makes the collection as `creation` says, with the shards and copies of the site; a no-op where
    /// there is one.
    pub(crate) async fn create(&self, creation: CreateCollection) -> Result<()> {
        let options = &self.site.options.collection;
        let creation = CreateCollection {
            collection_name: self.name.clone(),
            shard_number: options.shards,
            replication_factor: Some(options.replication),
            write_consistency_factor: Some(self.site.write_consistency()),
            ..creation
        };
        let asked = self
            .site
            .ask(|client| async move { client.create_collection(creation).await });
        match asked.await {
            Ok(_) => Ok(()),
            Err(error) if is_there_already(&error) => Ok(()),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// Makes an index of a field.
    pub(crate) async fn create_index(&self, field: &str, kind: FieldType) -> Result<()> {
        self.create_index_with(field, kind, None).await
    }

    /// Makes an index of a field that is more than its kind.
    pub(crate) async fn create_index_with(
        &self,
        field: &str,
        kind: FieldType,
        params: Option<PayloadIndexParams>,
    ) -> Result<()> {
        let request = CreateFieldIndexCollection {
            collection_name: self.name.clone(),
            wait: Some(true),
            field_name: field.to_owned(),
            field_type: Some(kind.into()),
            field_index_params: params,
            ordering: Some(strong()),
            ..CreateFieldIndexCollection::default()
        };
        self.ask(|client| async move { client.create_field_index(request).await })
            .await
            .map(drop)
    }

    /// Removes the collection; a no-op where there is none.
    pub(crate) async fn remove(&self) -> Result<()> {
        let name = self.name.as_str();
        let asked = self
            .site
            .ask(|client| async move { client.delete_collection(name).await });
        match asked.await {
            Ok(_) => Ok(()),
            Err(error) if is_missing(&error) => Ok(()),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// An answer that comes before the write is applied, as when the server gave up waiting, is none.
    fn completed(&self, status: Option<i32>) -> Result<()> {
        if status == Some(UpdateStatus::Completed.into()) {
            return Ok(());
        }
        let name = &self.name;
        Err(Error::new(
            ErrorCode::Timeout,
            format!("Qdrant took a write to {name} and has not applied it in time"),
        )
        .with_help("look at its load, or raise qdrant.timeout_ms"))
    }

    /// An error of the client, with the collection's name.
    pub(crate) fn failed(&self, error: &QdrantError) -> Error {
        if is_missing(error) && self.name == self.site.registry_name() {
            // It may be restored at any time.
            return self.site.registry_lost(ErrorCode::Unavailable);
        }
        if is_missing(error) {
            return Error::new(
                ErrorCode::CollectionNotFound,
                format!("Qdrant has no collection {}", self.name),
            )
            .with_help("was it deleted meanwhile? create the collection again");
        }
        translate(error).context(format_args!("collection {}", self.name))
    }
}
