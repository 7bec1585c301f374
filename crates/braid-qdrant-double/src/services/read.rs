//! What the calls do that read and search points.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

use ::qdrant_client::qdrant::query::Variant;
use ::qdrant_client::qdrant::value::Kind;
use ::qdrant_client::qdrant::with_payload_selector::SelectorOptions;
use ::qdrant_client::qdrant::*;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use tonic::Status;

use super::work::Answer;
use crate::faults::Fault;
use crate::state::{Collection, Id, Point, State};
use crate::{filter, path, vectors};

/// Points in a page where the request does not say.
const PAGE: u32 = 10;

pub(super) fn get(state: &State, request: GetPoints, _: Option<Fault>) -> Answer<GetResponse> {
    let compared = request.read_consistency.as_ref();
    let points = state.points(&request.collection_name, &request.ids, compared)?;
    let wanted = Wanted {
        payload: request.with_payload.as_ref(),
        vectors: request.with_vectors.as_ref(),
    };
    let result = points.iter();
    let result = result.map(|(id, point)| wanted.retrieved(*id, point));
    Ok(GetResponse {
        result: result.collect(),
        ..GetResponse::default()
    })
}

pub(super) fn scroll(
    state: &State,
    request: ScrollPoints,
    _: Option<Fault>,
) -> Answer<ScrollResponse> {
    let collection = state.collection(&request.collection_name)?;
    state.check_filter(&collection, request.filter.as_ref())?;
    let limit = request.limit.unwrap_or(PAGE) as usize;
    if limit == 0 {
        return Err(Status::invalid_argument("Validation error in body: limit"));
    }
    check_limit(state, limit as u64)?;
    let from = match &request.offset {
        Some(id) => Id::read(Some(id))?,
        None => Id::Number(0),
    };
    let wanted = Wanted {
        payload: request.with_payload.as_ref(),
        vectors: request.with_vectors.as_ref(),
    };
    if let Some(order) = &request.order_by {
        if request.offset.is_some() {
            return Err(Status::invalid_argument(
                "Validation error: Cannot use an `offset` when using `order_by`",
            ));
        }
        let found = ordered(&collection, request.filter.as_ref(), order)?;
        let page = found.into_iter().take(limit);
        let result = page.map(|(id, point)| wanted.retrieved(id, point));
        return Ok(ScrollResponse {
            result: result.collect(),
            ..ScrollResponse::default()
        });
    }
    let mut found = collection
        .points
        .range(from..)
        .filter(|(id, point)| filter::passes(request.filter.as_ref(), **id, point));
    let page: Vec<_> = found.by_ref().take(limit).collect();
    let result = page.iter().map(|(id, point)| wanted.retrieved(**id, point));
    Ok(ScrollResponse {
        result: result.collect(),
        next_page_offset: found.next().map(|(id, _)| id.write()),
        ..ScrollResponse::default()
    })
}

/// Points that pass and have the integer that they are ordered by.
fn ordered<'c>(
    collection: &'c Collection,
    filter: Option<&Filter>,
    order: &OrderBy,
) -> Answer<Vec<(Id, &'c Point)>> {
    let kind = collection.indexes.get(&order.key);
    if kind != Some(&FieldType::Integer) {
        return Err(Status::invalid_argument(format!(
            "Wrong input: No range index for `order_by` key: `{}`. Please create one to use `order_by`.",
            order.key
        )));
    }
    let descends = order.direction == Some(Direction::Desc.into());
    let start = order.start_from.as_ref().and_then(|it| it.value.as_ref());
    let start = match start {
        None => None,
        Some(start_from::Value::Integer(start)) => Some(*start),
        Some(_) => return Err(Status::unimplemented("Braid starts from integers")),
    };
    let passing = collection.points.iter();
    let passing = passing.filter(|(id, point)| filter::passes(filter, **id, point));
    let mut found: Vec<_> = passing
        .filter_map(|(id, point)| match point.payload.get(&order.key)?.kind {
            Some(value::Kind::IntegerValue(number)) => Some((number, *id, point)),
            _ => None,
        })
        .filter(|(number, ..)| match start {
            None => true,
            Some(start) if descends => *number <= start,
            Some(start) => *number >= start,
        })
        .collect();
    found.sort_by_key(|(number, id, _)| (*number, *id));
    if descends {
        found.reverse();
    }
    Ok(found
        .into_iter()
        .map(|(_, id, point)| (id, point))
        .collect())
}

pub(super) fn count(
    state: &State,
    request: CountPoints,
    _: Option<Fault>,
) -> Answer<CountResponse> {
    let collection = state.collection(&request.collection_name)?;
    state.check_filter(&collection, request.filter.as_ref())?;
    let passing = collection.points.iter();
    let passing =
        passing.filter(|(id, point)| filter::passes(request.filter.as_ref(), **id, point));
    Ok(CountResponse {
        result: Some(CountResult {
            count: passing.count() as u64,
        }),
        ..CountResponse::default()
    })
}

/// How many points have each text of an indexed field, the most frequent first.
pub(super) fn facet(
    state: &State,
    request: FacetCounts,
    _: Option<Fault>,
) -> Answer<FacetResponse> {
    let collection = state.collection(&request.collection_name)?;
    state.check_filter(&collection, request.filter.as_ref())?;
    let key = &request.key;
    if collection.indexes.get(key) != Some(&FieldType::Keyword) {
        return Err(Status::invalid_argument(format!(
            "Bad request: No appropriate index for faceting: `{key}`."
        )));
    }
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for (id, point) in &collection.points {
        if !filter::passes(request.filter.as_ref(), *id, point) {
            continue;
        }
        for value in path::values(&point.payload, key) {
            if let Some(Kind::StringValue(text)) = &value.kind {
                *counts.entry(text.clone()).or_default() += 1;
            }
        }
    }
    let mut counts: Vec<(String, u64)> = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    counts.truncate(request.limit.unwrap_or(u64::from(PAGE)) as usize);
    let hits = counts.into_iter().map(|(text, count)| FacetHit {
        value: Some(FacetValue {
            variant: Some(facet_value::Variant::StringValue(text)),
        }),
        count,
    });
    Ok(FacetResponse {
        hits: hits.collect(),
        ..FacetResponse::default()
    })
}

pub(super) fn query(
    state: &State,
    request: QueryPoints,
    _: Option<Fault>,
) -> Answer<QueryResponse> {
    state.note_searches(1);
    let collection = state.collection(&request.collection_name)?;
    Ok(QueryResponse {
        result: searched(state, &collection, request)?,
        ..QueryResponse::default()
    })
}

/// All of a batch sees one state, and fails together.
pub(super) fn query_batch(
    state: &State,
    request: QueryBatchPoints,
    _: Option<Fault>,
) -> Answer<QueryBatchResponse> {
    state.note_searches(request.query_points.len());
    let collection = state.collection(&request.collection_name)?;
    let searches = request.query_points.into_iter();
    let searches = searches.map(|one| {
        let result = searched(state, &collection, one)?;
        Ok(BatchResult { result })
    });
    Ok(QueryBatchResponse {
        result: searches.collect::<Answer<_>>()?,
        ..QueryBatchResponse::default()
    })
}

fn searched(
    state: &State,
    collection: &Collection,
    request: QueryPoints,
) -> Answer<Vec<ScoredPoint>> {
    state.check_filter(collection, request.filter.as_ref())?;
    let limit = request.limit.unwrap_or(u64::from(PAGE));
    if limit == 0 {
        return Err(Status::invalid_argument("Validation error in body: limit"));
    }
    check_limit(state, limit)?;
    let wanted = Wanted {
        payload: request.with_payload.as_ref(),
        vectors: request.with_vectors.as_ref(),
    };
    let input = match request.query.map(|query| query.variant) {
        // Points in the order of their ids.
        None => {
            let passing = collection.points.iter();
            let passing =
                passing.filter(|(id, point)| filter::passes(request.filter.as_ref(), **id, point));
            let first = passing.take(limit as usize);
            return Ok(first
                .map(|(id, point)| wanted.scored(0.0, *id, point))
                .collect());
        }
        Some(Some(Variant::Nearest(input))) => input,
        // By chance, the same each time.
        Some(Some(Variant::Sample(_))) => {
            let passing = collection.points.iter();
            let mut passing: Vec<_> = passing
                .filter(|(id, point)| filter::passes(request.filter.as_ref(), **id, point))
                .collect();
            passing.shuffle(&mut StdRng::seed_from_u64(limit));
            let drawn = passing.into_iter().take(limit as usize);
            return Ok(drawn
                .map(|(id, point)| wanted.scored(0.0, *id, point))
                .collect());
        }
        Some(_) => {
            return Err(Status::unimplemented(
                "Braid asks for what is near a vector",
            ));
        }
    };
    let name = request.using.unwrap_or_default();
    let asked = collection.shape.asked(&name, input)?;
    let points = collection.points.values().map(|point| &point.vectors);
    let asked = collection.shape.weighed(&name, asked, points);
    let passing = collection.points.iter();
    let passing =
        passing.filter(|(id, point)| filter::passes(request.filter.as_ref(), **id, point));
    let scored = passing.filter_map(|(id, point)| {
        let score = asked.score(point.vectors.get(&name))?;
        Some((score, *id, point))
    });
    let mut scored: Vec<_> = scored.collect();
    scored.sort_by(nearest_first);
    scored.truncate(limit as usize);
    let result = scored.into_iter();
    let result = result.map(|(score, id, point)| wanted.scored(score, id, point));
    Ok(result.collect())
}

/// By score; equal ones by falling id, which is not the order that Braid wants them in.
fn nearest_first(a: &(f32, Id, &Point), b: &(f32, Id, &Point)) -> Ordering {
    b.0.total_cmp(&a.0).then(b.1.cmp(&a.1))
}

fn check_limit(state: &State, limit: u64) -> Answer<()> {
    match state.strictness.max_limit {
        Some(most) if limit > most => Err(Status::invalid_argument(format!(
            "Bad request: Limit exceeded {limit} > {most} for \"limit\""
        ))),
        _ => Ok(()),
    }
}

/// What an answer has of each point.
struct Wanted<'a> {
    payload: Option<&'a WithPayloadSelector>,
    vectors: Option<&'a WithVectorsSelector>,
}

impl Wanted<'_> {
    fn retrieved(&self, id: Id, point: &Point) -> RetrievedPoint {
        RetrievedPoint {
            id: Some(id.write()),
            payload: selected(&point.payload, self.payload),
            vectors: vectors::selected(&point.vectors, self.vectors),
            ..RetrievedPoint::default()
        }
    }

    fn scored(&self, score: f32, id: Id, point: &Point) -> ScoredPoint {
        ScoredPoint {
            id: Some(id.write()),
            payload: selected(&point.payload, self.payload),
            vectors: vectors::selected(&point.vectors, self.vectors),
            score,
            ..ScoredPoint::default()
        }
    }
}

fn selected(
    payload: &HashMap<String, Value>,
    wanted: Option<&WithPayloadSelector>,
) -> HashMap<String, Value> {
    match wanted.and_then(|wanted| wanted.selector_options.as_ref()) {
        Some(SelectorOptions::Enable(true)) => payload.clone(),
        Some(SelectorOptions::Include(include)) => {
            let wanted = |(name, value): (&String, &Value)| {
                let is_wanted = include.fields.contains(name);
                is_wanted.then(|| (name.clone(), value.clone()))
            };
            payload.iter().filter_map(wanted).collect()
        }
        Some(SelectorOptions::Exclude(exclude)) => {
            let mut payload = payload.clone();
            payload.retain(|name, _| !exclude.fields.contains(name));
            payload
        }
        Some(SelectorOptions::Enable(false)) | None => HashMap::new(),
    }
}
