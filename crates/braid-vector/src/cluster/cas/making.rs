//! Making and removing the collection of a [`Table`].

use std::collections::HashSet;

use ::qdrant_client::qdrant::{CreateCollection, FieldType};
use braid_core::Result;

use super::Table;

impl Table {
    /// Makes the collection and its indexes where they are missing. Where none is missing,
    /// nothing is written: a cluster that lost a node may be able to read alone.
    pub(crate) async fn ensure(&self, indexes: &[(&str, FieldType)]) -> Result<()> {
        let there: HashSet<String> = match self.points.info().await? {
            Some(info) => info.payload_schema.into_keys().collect(),
            None => {
                self.create().await?;
                HashSet::new()
            }
        };
        let missing = indexes.iter().filter(|(field, _)| !there.contains(*field));
        for (field, kind) in missing {
            self.points.create_index(field, *kind).await?;
        }
        Ok(())
    }

    // The field that says what stays on disk has a successor that older servers do not know.
    #[expect(deprecated)]
    async fn create(&self) -> Result<()> {
        let creation = CreateCollection {
            on_disk_payload: Some(true),
            ..CreateCollection::default()
        };
        self.points.create(creation).await
    }

    /// Removes the collection; a no-op where there is none.
    pub(crate) async fn remove(&self) -> Result<()> {
        self.points.remove().await
    }
}
