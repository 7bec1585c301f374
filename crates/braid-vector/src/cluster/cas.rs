//! [`Table`]: points that several processes change, none of which owns them.
//!
//! What the server keeps: a shard applies one write at a time, and evaluates the condition of an upsert
//! as it applies it. So a point that is replaced *where its token is still the one that was read* is
//! replaced by one process only. A point's `token` changes with each write, and `recent` has the last
//! ones before it: whoever wrote reads back, and finds its own token in one of the two where its write
//! was applied. Where more than [`RECENT`] others wrote in between it cannot know, and says so.
//!
//! A point is inserted only where there is none, and replaced only where there is one: a write that was
//! late never brings back what was removed meanwhile.

mod conditions;
mod making;

use std::mem;
use std::sync::Arc;

use ::qdrant_client::qdrant::point_id::PointIdOptions;
use ::qdrant_client::qdrant::points_selector::PointsSelectorOneOf;
use ::qdrant_client::qdrant::value::Kind;
use ::qdrant_client::qdrant::vectors::VectorsOptions;
use ::qdrant_client::qdrant::with_payload_selector::SelectorOptions;
use ::qdrant_client::qdrant::{
    Direction, Filter, GetPoints, ListValue, NamedVectors, OrderBy, PayloadIncludeSelector,
    PointId, PointStruct, PointsIdsList, ReadConsistency, ScrollPoints, StartFrom, UpdateMode,
    UpsertPoints, Value, Vectors, WithPayloadSelector, start_from,
};
use braid_core::{Error, ErrorCode, Result};
use uuid::Uuid;

use super::points::Points;
use super::rows::{Fields, read_text, text};
use super::site::Site;
pub(crate) use conditions::{
    all, any_text, at_most, is_flag, is_integer, is_text, less_than, more_than,
};

/// The name of a point's present state.
const TOKEN: &str = "token";
/// The names of the states before it, the last one first.
const RECENT_FIELD: &str = "recent";
/// How many of them are kept.
const RECENT: usize = 8;
/// How often a point is looked for again that copies do not agree on.
const LOOKS: usize = 4;

/// Most points in one request.
const BATCH: usize = 256;
/// Most bytes of points in one request, a point alone excepted.
const REQUEST_BYTES: usize = 4 << 20;
/// Points in one page of a listing.
pub(crate) const PAGE: u32 = 256;

/// Whether a field of a point is not its own, but says in which state it is.
pub(crate) fn is_stamp(field: &str) -> bool {
    matches!(field, TOKEN | RECENT_FIELD)
}

/// The state of a point that was read: what may be replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    token: String,
    recent: Vec<String>,
}

/// A point to be replaced, or to be inserted where nothing is expected.
#[derive(Clone, Debug)]
pub(crate) struct Swap {
    pub(crate) id: Uuid,
    pub(crate) expected: Option<Stamp>,
    pub(crate) fields: Fields,
}

/// Which points a listing gives.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listing {
    pub(crate) filter: Option<Filter>,
    pub(crate) from: Option<Uuid>,
    pub(crate) limit: Option<u32>,
    /// By id where there is none.
    pub(crate) order: Option<Order>,
    /// The fields wanted; all where there are none.
    pub(crate) fields: &'static [&'static str],
    /// Whether copies must agree, as they must on whether a write was applied.
    pub(crate) agreed: bool,
}

/// By which integer field points are listed; those without one are left out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    pub(crate) field: &'static str,
    pub(crate) direction: Direction,
    /// The first value.
    pub(crate) from: Option<i64>,
}

/// A collection of Qdrant without vectors.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    points: Points,
}

impl Table {
    pub(crate) fn new(site: Arc<Site>, name: String) -> Self {
        Self {
            points: Points::new(site, name),
        }
    }

    /// The site that it is of.
    pub(crate) fn site(&self) -> &Arc<Site> {
        &self.points.site
    }

    /// The points of these ids, in order, with `fields` of their payload; all where there are none.
    pub(crate) async fn get(&self, ids: &[Uuid], fields: &[&str]) -> Result<Vec<Option<Fields>>> {
        self.get_from(ids, fields, self.points.site.consistency())
            .await
    }

    /// As [`Table::get`], where one copy alone is not to be trusted: as it is read [whether a write was
    /// applied](Site::agreement). A point on which copies disagree is not found.
    pub(crate) async fn get_agreed(
        &self,
        ids: &[Uuid],
        fields: &[&str],
    ) -> Result<Vec<Option<Fields>>> {
        self.get_from(ids, fields, self.points.site.agreement())
            .await
    }

    /// Whether there are copies that may differ for a moment.
    pub(crate) fn is_replicated(&self) -> bool {
        self.points.site.is_replicated()
    }

    async fn get_from(
        &self,
        ids: &[Uuid],
        fields: &[&str],
        read_consistency: Option<ReadConsistency>,
    ) -> Result<Vec<Option<Fields>>> {
        let mut found = std::collections::HashMap::new();
        for ids in ids.chunks(BATCH) {
            let request = GetPoints {
                collection_name: self.points.name.clone(),
                ids: ids.iter().map(wire_id).collect(),
                with_payload: Some(selector(fields)),
                read_consistency,
                ..GetPoints::default()
            };
            let asked = self
                .points
                .ask(|client| async move { client.get_points(request).await });
            for point in asked.await?.result {
                found.insert(read_id(point.id.as_ref())?, point.payload);
            }
        }
        Ok(ids.iter().map(|id| found.get(id).cloned()).collect())
    }

    /// Points, and where the next page starts, if there is one and no order.
    pub(crate) async fn list(
        &self,
        listing: Listing,
    ) -> Result<(Vec<(Uuid, Fields)>, Option<Uuid>)> {
        let order_by = listing.order.map(|order| OrderBy {
            key: order.field.to_owned(),
            direction: Some(order.direction.into()),
            start_from: order.from.map(|from| StartFrom {
                value: Some(start_from::Value::Integer(from)),
            }),
        });
        let request = ScrollPoints {
            filter: listing.filter,
            offset: listing.from.as_ref().map(wire_id),
            limit: Some(listing.limit.unwrap_or(PAGE)),
            with_payload: Some(selector(listing.fields)),
            read_consistency: match listing.agreed {
                true => self.points.site.agreement(),
                false => None,
            },
            order_by,
            ..ScrollPoints::default()
        };
        let (page, next) = self.points.scroll(request).await?;
        let points = page.into_iter();
        let points: Result<Vec<_>> = points
            .map(|point| Ok((read_id(point.id.as_ref())?, point.payload)))
            .collect();
        let next = next.as_ref();
        Ok((points?, next.map(|id| read_id(Some(id))).transpose()?))
    }

    /// Every point that passes.
    pub(crate) async fn list_all(&self, filter: Option<Filter>) -> Result<Vec<(Uuid, Fields)>> {
        self.list_every(Listing {
            filter,
            ..Listing::default()
        })
        .await
    }

    /// As [`Table::list_all`], where one copy alone is not to be trusted.
    pub(crate) async fn list_agreed(&self, filter: Filter) -> Result<Vec<(Uuid, Fields)>> {
        self.list_every(Listing {
            filter: Some(filter),
            agreed: true,
            ..Listing::default()
        })
        .await
    }

    async fn list_every(&self, mut listing: Listing) -> Result<Vec<(Uuid, Fields)>> {
        let mut all = Vec::new();
        loop {
            let (page, next) = self.list(listing.clone()).await?;
            all.extend(page);
            match next {
                Some(_) => listing.from = next,
                None => return Ok(all),
            }
        }
    }

    /// How many points pass.
    pub(crate) async fn count(&self, filter: Filter) -> Result<u64> {
        self.points.count(Some(filter)).await
    }

    /// Writes points whatever was there.
    pub(crate) async fn put(&self, points: Vec<(Uuid, Fields)>) -> Result<()> {
        for batch in batches(points) {
            self.upsert(batch, UpdateMode::Upsert, None).await?;
        }
        Ok(())
    }

    /// Replaces and inserts points, each for itself and only where it is still as expected. In order:
    /// whether this call did it. No id may occur twice.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorCode::Unavailable) also where it cannot be known whether this call did it.
    pub(crate) async fn swap(&self, swaps: Vec<Swap>) -> Result<Vec<bool>> {
        let mut written: Vec<Written> = Vec::with_capacity(swaps.len());
        let (mut replaced, mut inserted) = (Vec::new(), Vec::new());
        for swap in swaps {
            let token = Uuid::new_v4().simple().to_string();
            let fields = stamped(swap.fields, &token, swap.expected.as_ref());
            match &swap.expected {
                Some(_) => replaced.push((swap.id, fields)),
                None => inserted.push((swap.id, fields)),
            }
            let expected = swap.expected.map(|stamp| stamp.token);
            written.push(Written {
                id: swap.id,
                token,
                expected,
            });
        }
        // Tokens are unique, so that one condition serves all points.
        let expected = written
            .iter()
            .filter_map(|it| it.expected.clone())
            .collect();
        let condition = all(vec![any_text(TOKEN, expected)]);
        for batch in batches(replaced) {
            self.upsert(batch, UpdateMode::UpdateOnly, Some(condition.clone()))
                .await?;
        }
        for batch in batches(inserted) {
            self.upsert(batch, UpdateMode::InsertOnly, None).await?;
        }
        let ids: Vec<Uuid> = written.iter().map(|it| it.id).collect();
        let found = self.read_back(&ids).await?;
        let outcomes = written.iter().zip(found);
        outcomes
            .map(|(written, found)| written.outcome(found.as_ref(), &self.points.name))
            .collect()
    }

    /// The stamps of points that were written, as most copies have them.
    async fn read_back(&self, ids: &[Uuid]) -> Result<Vec<Option<Fields>>> {
        let agreement = self.points.site.agreement();
        let stamps = [TOKEN, RECENT_FIELD];
        let mut found = self.get_from(ids, &stamps, agreement).await?;
        for _ in 0..LOOKS {
            if found.iter().all(Option::is_some) {
                break;
            }
            // Copies disagree while another process replaces the point: they show none.
            found = self.get_from(ids, &stamps, agreement).await?;
        }
        Ok(found)
    }

    async fn upsert(
        &self,
        points: Vec<(Uuid, Fields)>,
        mode: UpdateMode,
        update_filter: Option<Filter>,
    ) -> Result<()> {
        let points = points.into_iter().map(|(id, payload)| PointStruct {
            id: Some(wire_id(&id)),
            payload,
            vectors: Some(Vectors {
                vectors_options: Some(VectorsOptions::Vectors(NamedVectors::default())),
            }),
        });
        let request = UpsertPoints {
            points: points.collect(),
            update_filter,
            update_mode: Some(mode.into()),
            ..UpsertPoints::default()
        };
        self.points.upsert(request).await
    }

    /// Removes the points of these ids.
    pub(crate) async fn delete(&self, ids: &[Uuid]) -> Result<()> {
        for ids in ids.chunks(BATCH) {
            let ids = ids.iter().map(wire_id).collect();
            let selected = PointsSelectorOneOf::Points(PointsIdsList { ids });
            self.points.delete(selected).await?;
        }
        Ok(())
    }

    /// Removes the points that pass.
    pub(crate) async fn delete_where(&self, filter: Filter) -> Result<()> {
        let selected = PointsSelectorOneOf::Filter(filter);
        self.points.delete(selected).await
    }
}

/// A write of which it is not known yet whether it was applied.
struct Written {
    id: Uuid,
    token: String,
    expected: Option<String>,
}

impl Written {
    /// Whether the point that was read back shows that the write was applied.
    fn outcome(&self, found: Option<&Fields>, name: &str) -> Result<bool> {
        let stamp = found.map(Stamp::read).transpose()?;
        let is_known = |stamp: &Stamp, token: &str| {
            stamp.token == token || stamp.recent.iter().any(|it| it == token)
        };
        let was_lost = match (&stamp, &self.expected) {
            (Some(stamp), _) if is_known(stamp, &self.token) => return Ok(true),
            // Had it been applied, its token would stand after the one that it replaced.
            (Some(stamp), Some(expected)) if is_known(stamp, expected) => true,
            // Every state since the point was inserted is known.
            (Some(stamp), _) => stamp.recent.len() < RECENT,
            (None, Some(_)) => true,
            (None, None) => false,
        };
        if was_lost {
            return Ok(false);
        }
        Err(Error::new(
            ErrorCode::Unavailable,
            format!("a point of {name} changes too fast to tell whether a write was applied"),
        )
        .with_help("try again"))
    }
}

impl Stamp {
    /// The stamp of a point that was read whole.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorCode::Corrupt).
    pub(crate) fn read(fields: &Fields) -> Result<Self> {
        let token = read_text(fields, TOKEN).ok_or_else(|| super::rows::damaged("has no token"))?;
        let recent = fields.get(RECENT_FIELD).and_then(|it| it.kind.as_ref());
        let recent = match recent {
            Some(Kind::ListValue(list)) => list.values.as_slice(),
            _ => &[],
        };
        let tokens = recent.iter().filter_map(|it| match &it.kind {
            Some(Kind::StringValue(token)) => Some(token.clone()),
            _ => None,
        });
        Ok(Self {
            token: token.to_owned(),
            recent: tokens.collect(),
        })
    }
}

fn stamped(mut fields: Fields, token: &str, before: Option<&Stamp>) -> Fields {
    let recent = before
        .into_iter()
        .flat_map(|stamp| std::iter::once(&stamp.token).chain(&stamp.recent));
    let values = recent.take(RECENT).map(text).collect();
    fields.insert(TOKEN.to_owned(), text(token));
    let recent = Value {
        kind: Some(Kind::ListValue(ListValue { values })),
    };
    fields.insert(RECENT_FIELD.to_owned(), recent);
    fields
}

/// Points by request.
fn batches(points: Vec<(Uuid, Fields)>) -> Vec<Vec<(Uuid, Fields)>> {
    let mut batches = Vec::new();
    let (mut batch, mut bytes) = (Vec::new(), 0);
    for (id, fields) in points {
        let size = fields.values().map(size_of_value).sum::<usize>();
        if batch.len() == BATCH || (!batch.is_empty() && bytes + size > REQUEST_BYTES) {
            batches.push(mem::take(&mut batch));
            bytes = 0;
        }
        bytes += size;
        batch.push((id, fields));
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
    batches
}

/// What a field costs, roughly.
fn size_of_value(value: &Value) -> usize {
    const REST: usize = 32;
    match &value.kind {
        Some(Kind::StringValue(text)) => text.len() + REST,
        Some(Kind::ListValue(list)) => list.values.iter().map(size_of_value).sum::<usize>() + REST,
        _ => REST,
    }
}

fn wire_id(id: &Uuid) -> PointId {
    PointId {
        point_id_options: Some(PointIdOptions::Uuid(id.to_string())),
    }
}

fn read_id(id: Option<&PointId>) -> Result<Uuid> {
    let id = id.and_then(|id| id.point_id_options.as_ref());
    let id = match id {
        Some(PointIdOptions::Uuid(text)) => Uuid::parse_str(text).ok(),
        _ => None,
    };
    id.ok_or_else(|| super::rows::damaged("has an id of another kind"))
}

fn selector(fields: &[&str]) -> WithPayloadSelector {
    let options = if fields.is_empty() {
        SelectorOptions::Enable(true)
    } else {
        let fields = fields.iter().map(|field| (*field).to_owned()).collect();
        SelectorOptions::Include(PayloadIncludeSelector { fields })
    };
    WithPayloadSelector {
        selector_options: Some(options),
    }
}
