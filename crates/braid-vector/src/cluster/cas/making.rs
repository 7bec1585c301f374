//! Making and removing the collection of a [`Table`].

use std::collections::HashSet;

use ::qdrant_client::qdrant::{CreateCollection, CreateFieldIndexCollection, FieldType};
use braid_core::Result;

use super::Table;
use crate::cluster::site::strong;
use crate::qdrant::error::{is_missing, is_there_already};

impl Table {
    /// Makes the collection and its indexes where they are missing. Where none is missing,
    /// nothing is written: a cluster that lost a node may be able to read alone.
    pub(crate) async fn ensure(&self, indexes: &[(&str, FieldType)]) -> Result<()> {
        let there = match self.indexed().await? {
            Some(there) => there,
            None => {
                self.create().await?;
                HashSet::new()
            }
        };
        let missing = indexes.iter().filter(|(field, _)| !there.contains(*field));
        for (field, kind) in missing {
            let request = CreateFieldIndexCollection {
                collection_name: self.name.clone(),
                wait: Some(true),
                field_name: (*field).to_owned(),
                field_type: Some((*kind).into()),
                ordering: strong(),
                ..CreateFieldIndexCollection::default()
            };
            let made = self
                .site
                .ask(|client| async move { client.create_field_index(request).await })
                .await;
            made.map_err(|error| self.failed(&error))?;
        }
        Ok(())
    }

    /// Fields that have an index; `None` where there is no collection.
    async fn indexed(&self) -> Result<Option<HashSet<String>>> {
        match self
            .site
            .ask(|client| async move { client.collection_info(self.name.as_str()).await })
            .await
        {
            Ok(answer) => {
                let schema = answer.result.unwrap_or_default().payload_schema;
                Ok(Some(schema.into_keys().collect()))
            }
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(self.failed(&error)),
        }
    }

    // The field that says what stays on disk has a successor that older servers do not know.
    #[expect(deprecated)]
    async fn create(&self) -> Result<()> {
        let options = &self.site.options.collection;
        let request = CreateCollection {
            collection_name: self.name.clone(),
            shard_number: options.shards,
            on_disk_payload: Some(true),
            replication_factor: Some(options.replication),
            write_consistency_factor: Some(self.site.write_consistency()),
            ..CreateCollection::default()
        };
        match self
            .site
            .ask(|client| async move { client.create_collection(request).await })
            .await
        {
            Ok(_) => Ok(()),
            Err(error) if is_there_already(&error) => Ok(()),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// Removes the collection; a no-op where there is none.
    pub(crate) async fn remove(&self) -> Result<()> {
        match self
            .site
            .ask(|client| async move { client.delete_collection(&self.name).await })
            .await
        {
            Ok(_) => Ok(()),
            Err(error) if is_missing(&error) => Ok(()),
            Err(error) => Err(self.failed(&error)),
        }
    }
}
