//! How far collections were copied from elsewhere, in the registry. Rows go with their collection.

use async_trait::async_trait;
use braid_core::ports::{Copied, CopyLog, Reached};
use braid_core::{ChunkRecord, CollectionId, DocumentId, Error, Result, Sequence};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::ClusterLedger;
use crate::cluster::registry::{KIND, NUMBER};
use crate::cluster::rows::{BODY, Fields, damaged, integer, point_id, read_json, text, write_json};

/// One copy, or the first of several.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct CopiedRow {
    operations: u64,
    through: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    later: Vec<CopiedRow>,
}

impl CopiedRow {
    fn new(copied: &Copied) -> Option<Self> {
        let mut rows = copied.copies.iter().map(|copy| Self {
            operations: copy.operations.0,
            through: copy.through.as_ref().map(ToString::to_string),
            later: Vec::new(),
        });
        let first = rows.next()?;
        let later = rows.collect();
        Some(Self { later, ..first })
    }

    fn copied(&self) -> Result<Copied> {
        let bad = |error: Error| damaged("names no document").with_source(error);
        let copies = std::iter::once(self).chain(&self.later).map(|row| {
            let through = row.through.as_deref().map(DocumentId::new).transpose();
            Ok(Reached {
                operations: Sequence(row.operations),
                through: through.map_err(bad)?,
            })
        });
        let copies = copies.collect::<Result<_>>()?;
        Ok(Copied { copies })
    }
}

#[async_trait]
impl CopyLog for ClusterLedger {
    async fn copied(&self, collection: CollectionId, source: &str) -> Result<Option<Copied>> {
        let id = row_id(collection, source);
        let found = self.registry.table.get(&[id], &[BODY]).await?.remove(0);
        let row = |fields: Fields| read_json::<CopiedRow>(&fields, BODY)?.copied();
        found.map(row).transpose()
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
        let Some(row) = CopiedRow::new(copied) else {
            return Ok(());
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
