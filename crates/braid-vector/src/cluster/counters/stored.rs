//! The largest numbers that are in use, by what is stored of a collection.

use std::sync::Arc;

use ::qdrant_client::qdrant::{Direction, OrderBy, RetrievedPoint, ScrollPoints};
use braid_core::{CollectionId, ErrorCode, Generation, Result};
use futures::try_join;

use super::Counter;
use crate::cluster::chunks::{self, read_slot};
use crate::cluster::points::Points;
use crate::cluster::rows::read_integer;
use crate::cluster::site::Site;
use crate::cluster::{heads, versions};
use crate::qdrant::collection::only;

/// The only one of a collection.
const GENERATION: Generation = Generation(1);

/// The least number that is above all that are stored.
pub(super) async fn least_free(site: &Arc<Site>, counter: Counter) -> Result<u64> {
    match counter {
        Counter::Collections => Ok(0),
        Counter::Sequences(of) => least_sequence(site, of).await,
        Counter::Slots(of) => least_slot(site, of).await,
    }
}

async fn least_sequence(site: &Arc<Site>, of: CollectionId) -> Result<u64> {
    let (version, head, chunk) = try_join!(
        largest(site, site.versions_name(of), versions::SEQUENCE),
        largest(site, site.heads_name(of), heads::NEWEST),
        largest(site, site.chunks_name(of, GENERATION), chunks::SEQUENCE),
    )?;
    let found = [
        (version, versions::SEQUENCE),
        (head, heads::NEWEST),
        (chunk, chunks::SEQUENCE),
    ];
    let numbers = found
        .iter()
        .filter_map(|(point, field)| number(point.as_ref()?, field));
    Ok(numbers.max().map_or(0, |largest| largest + 1))
}

/// A version is written before its chunks are. Where it is lost and they are not, the slots of the
/// newest chunk say about as much.
async fn least_slot(site: &Arc<Site>, of: CollectionId) -> Result<u64> {
    let (version, chunk) = try_join!(
        largest(site, site.versions_name(of), versions::LAST_SLOT),
        largest(site, site.chunks_name(of, GENERATION), chunks::SEQUENCE),
    )?;
    let of_version = version.and_then(|point| number(&point, versions::LAST_SLOT));
    let of_chunk = chunk.and_then(|point| read_slot(point.id.as_ref()));
    let of_chunk = of_chunk.map(|slot| u64::from(slot.0));
    Ok(of_version.max(of_chunk).map_or(0, |largest| largest + 1))
}

fn number(point: &RetrievedPoint, field: &str) -> Option<u64> {
    u64::try_from(read_integer(&point.payload, field)?).ok()
}

/// The point with the largest `field`, if there is one.
async fn largest(
    site: &Arc<Site>,
    name: String,
    field: &'static str,
) -> Result<Option<RetrievedPoint>> {
    let request = ScrollPoints {
        limit: Some(1),
        with_payload: Some(only(&[field])),
        order_by: Some(OrderBy {
            key: field.to_owned(),
            direction: Some(Direction::Desc.into()),
            ..OrderBy::default()
        }),
        ..ScrollPoints::default()
    };
    let points = Points::new(Arc::clone(site), name);
    match points.scroll(request).await {
        Ok((page, _)) => Ok(page.into_iter().next()),
        Err(error) if error.code() == ErrorCode::CollectionNotFound => Ok(None),
        Err(error) => Err(error),
    }
}
