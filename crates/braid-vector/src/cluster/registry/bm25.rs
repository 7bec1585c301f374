//! What the weights of a generation's chunks are worked out with.

use braid_core::{CollectionId, Generation, Result};
use serde::{Deserialize, Serialize};

use super::{KIND, NUMBER, Registry, missing};
use crate::cluster::cas::{Stamp, Swap};
use crate::cluster::chunks::Bm25Parameters;
use crate::cluster::rows::{BODY, Fields, integer, point_id, read_json, text, write_json};

#[derive(Debug, Serialize, Deserialize)]
struct Bm25Row {
    k1: f32,
    b: f32,
    mean_length: f32,
    revision: u32,
    chunks: u64,
    slots: u64,
}

/// What is recorded of them.
#[derive(Clone, Debug)]
pub(crate) struct RecordedBm25 {
    pub(crate) parameters: Bm25Parameters,
    pub(crate) size: Size,
    stamp: Stamp,
}

/// How large a collection was when its mean was looked at last; 0 where the mean is that of its first
/// chunks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) chunks: u64,
    /// Slots that had been taken: it tells that chunks were replaced.
    pub(crate) slots: u64,
}

impl Registry {
    /// What weights are worked out with; `None` before there is a chunk.
    pub(crate) async fn bm25(
        &self,
        collection: CollectionId,
        generation: Generation,
    ) -> Result<Option<RecordedBm25>> {
        let id = row_id(collection, generation);
        let found = self.table.get(&[id], &[]).await?.remove(0);
        found.as_ref().map(RecordedBm25::read).transpose()
    }

    /// As [`Registry::bm25`], as it is on most copies: `None` too while they disagree.
    pub(crate) async fn bm25_agreed(
        &self,
        collection: CollectionId,
        generation: Generation,
    ) -> Result<Option<RecordedBm25>> {
        let id = row_id(collection, generation);
        let found = self.table.get_agreed(&[id], &[]).await?.remove(0);
        found.as_ref().map(RecordedBm25::read).transpose()
    }

    /// Records them in place of what was found; of those that do so at the same time the first one wins.
    /// Gives what is recorded then.
    pub(crate) async fn record_bm25(
        &self,
        (collection, generation): (CollectionId, Generation),
        found: Option<&RecordedBm25>,
        (parameters, size): (Bm25Parameters, Size),
    ) -> Result<Bm25Parameters> {
        let row = Bm25Row {
            k1: parameters.k1,
            b: parameters.b,
            mean_length: parameters.mean_length,
            revision: parameters.revision,
            chunks: size.chunks,
            slots: size.slots,
        };
        let swap = Swap {
            id: row_id(collection, generation),
            expected: found.map(|it| it.stamp.clone()),
            fields: Fields::from([
                (KIND.to_owned(), text("bm25")),
                (NUMBER.to_owned(), integer(collection.0.into())),
                (BODY.to_owned(), write_json(&row)?),
            ]),
        };
        if self.table.swap(vec![swap]).await? == [true] {
            return Ok(parameters);
        }
        let recorded = self.bm25(collection, generation).await?;
        let recorded = recorded.map(|it| it.parameters);
        recorded.ok_or_else(|| missing(format_args!("number {}", collection.0)))
    }
}

impl RecordedBm25 {
    fn read(fields: &Fields) -> Result<Self> {
        let row: Bm25Row = read_json(fields, BODY)?;
        Ok(Self {
            parameters: Bm25Parameters {
                k1: row.k1,
                b: row.b,
                mean_length: row.mean_length,
                revision: row.revision,
            },
            size: Size {
                chunks: row.chunks,
                slots: row.slots,
            },
            stamp: Stamp::read(fields)?,
        })
    }
}

fn row_id(collection: CollectionId, generation: Generation) -> uuid::Uuid {
    point_id(&format!("bm25/{}/{}", collection.0, generation.0))
}
