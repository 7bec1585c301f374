//! How far collections were copied from elsewhere, in the registry. Rows go with their collection.

use async_trait::async_trait;
use braid_core::ports::{Copied, CopyLog};
use braid_core::{ChunkRecord, CollectionId, DocumentId, Error, Result, Sequence};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::ClusterLedger;
use crate::cluster::registry::{KIND, NUMBER};
use crate::cluster::rows::{BODY, Fields, damaged, integer, point_id, read_json, text, write_json};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct CopiedRow {
    operations: u64,
    through: Option<String>,
}

#[async_trait]
impl CopyLog for ClusterLedger {
    async fn copied(&self, collection: CollectionId, source: &str) -> Result<Option<Copied>> {
        let id = row_id(collection, source);
        let found = self.registry.table.get(&[id], &[BODY]).await?.remove(0);
        let row = found
            .map(|fields| read_json::<CopiedRow>(&fields, BODY))
            .transpose()?;
        let read = |row: CopiedRow| {
            let through = row.through.map(DocumentId::new).transpose();
            let bad = |error: Error| damaged("names no document").with_source(error);
            Ok(Copied {
                operations: Sequence(row.operations),
                through: through.map_err(bad)?,
            })
        };
        row.map(read).transpose()
    }

    async fn expect(
        &self,
        collection: CollectionId,
        sample: &[ChunkRecord],
        chunks: u64,
    ) -> Result<()> {
        self.expect_lengths(collection, sample, chunks).await
    }

    async fn record_copied(
        &self,
        collection: CollectionId,
        source: &str,
        copied: &Copied,
    ) -> Result<()> {
        let row = CopiedRow {
            operations: copied.operations.0,
            through: copied.through.as_ref().map(ToString::to_string),
        };
        let fields = Fields::from([
            (KIND.to_owned(), text("copied")),
            (NUMBER.to_owned(), integer(collection.0.into())),
            (BODY.to_owned(), write_json(&row)?),
        ]);
        let id = row_id(collection, source);
        self.registry.table.put(vec![(id, fields)]).await
    }
}

fn row_id(collection: CollectionId, source: &str) -> Uuid {
    point_id(&format!("copied/{}/{source}", collection.0))
}
