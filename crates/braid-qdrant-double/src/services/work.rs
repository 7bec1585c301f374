//! What each call does.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

use ::qdrant_client::qdrant::points_selector::PointsSelectorOneOf;
use ::qdrant_client::qdrant::query::Variant;
use ::qdrant_client::qdrant::vector::Vector as VectorKind;
use ::qdrant_client::qdrant::vector_input::Variant as InputKind;
use ::qdrant_client::qdrant::vectors::VectorsOptions;
use ::qdrant_client::qdrant::with_payload_selector::SelectorOptions;
use ::qdrant_client::qdrant::*;
use tonic::Status;

use crate::faults::Fault;
use crate::filter;
use crate::state::{Collection, Id, Point, State};

/// What it says it is.
const VERSION: &str = "1.18.0-double";

/// Points in a page where the request does not say.
const PAGE: u32 = 10;

type Answer<T> = Result<T, Status>;

pub(super) fn health(
    _: &State,
    _: HealthCheckRequest,
    _: Option<Fault>,
) -> Answer<HealthCheckReply> {
    Ok(HealthCheckReply {
        title: "double".to_owned(),
        version: VERSION.to_owned(),
        commit: None,
    })
}

pub(super) fn create(
    state: &State,
    request: CreateCollection,
    _: Option<Fault>,
) -> Answer<CollectionOperationResponse> {
    state.create(request)?;
    Ok(collection_done(true))
}

pub(super) fn remove(
    state: &State,
    request: DeleteCollection,
    _: Option<Fault>,
) -> Answer<CollectionOperationResponse> {
    let removed = state.collections.lock().remove(&request.collection_name);
    Ok(collection_done(removed.is_some()))
}

pub(super) fn list(
    state: &State,
    _: ListCollectionsRequest,
    _: Option<Fault>,
) -> Answer<ListCollectionsResponse> {
    let collections = state.collections.lock();
    let described = collections
        .keys()
        .map(|name| CollectionDescription { name: name.clone() });
    Ok(ListCollectionsResponse {
        collections: described.collect(),
        time: 0.0,
    })
}

pub(super) fn info(
    state: &State,
    request: GetCollectionInfoRequest,
    _: Option<Fault>,
) -> Answer<GetCollectionInfoResponse> {
    let collection = state.collection(&request.collection_name)?;
    let params = CollectionParams {
        vectors_config: collection.created.vectors_config.clone(),
        shard_number: collection.created.shard_number.unwrap_or(1),
        replication_factor: collection.created.replication_factor,
        ..CollectionParams::default()
    };
    let schema = collection.indexes.iter().map(|(name, kind)| {
        let info = PayloadSchemaInfo {
            data_type: schema_type(*kind).into(),
            ..PayloadSchemaInfo::default()
        };
        (name.clone(), info)
    });
    let info = CollectionInfo {
        status: CollectionStatus::Green.into(),
        config: Some(CollectionConfig {
            params: Some(params),
            ..CollectionConfig::default()
        }),
        payload_schema: schema.collect(),
        points_count: Some(collection.points.len() as u64),
        ..CollectionInfo::default()
    };
    Ok(GetCollectionInfoResponse {
        result: Some(info),
        time: 0.0,
    })
}

fn schema_type(kind: FieldType) -> PayloadSchemaType {
    match kind {
        FieldType::Keyword => PayloadSchemaType::Keyword,
        FieldType::Integer => PayloadSchemaType::Integer,
        FieldType::Float => PayloadSchemaType::Float,
        FieldType::Bool => PayloadSchemaType::Bool,
        FieldType::Geo | FieldType::Text | FieldType::Datetime | FieldType::Uuid => {
            PayloadSchemaType::UnknownType
        }
    }
}

pub(super) fn create_index(
    state: &State,
    request: CreateFieldIndexCollection,
    _: Option<Fault>,
) -> Answer<PointsOperationResponse> {
    let mut collection = state.collection(&request.collection_name)?;
    let kind = request
        .field_type
        .and_then(|it| FieldType::try_from(it).ok());
    let kind = kind.ok_or_else(|| Status::invalid_argument("field_type is missing"))?;
    collection.indexes.insert(request.field_name, kind);
    Ok(done(UpdateStatus::Completed))
}

pub(super) fn upsert(
    state: &State,
    request: UpsertPoints,
    fault: Option<Fault>,
) -> Answer<PointsOperationResponse> {
    let mut collection = state.collection(&request.collection_name)?;
    check_batch(state, request.points.len())?;
    let mut points = BTreeMap::new();
    for point in request.points {
        let id = Id::read(point.id.as_ref())?;
        let vectors = point.vectors.and_then(|vectors| vectors.vectors_options);
        let vector = read_vector(vectors, &collection)?;
        let payload = point.payload;
        points.insert(id, Point { vector, payload });
    }
    if fault == Some(Fault::NotAppliedYet) {
        return Ok(done(UpdateStatus::WaitTimeout));
    }
    collection.points.extend(points);
    Ok(done(status(request.wait)))
}

/// The vector of a point; none where it has no names of vectors either.
fn read_vector(
    vectors: Option<VectorsOptions>,
    collection: &Collection,
) -> Answer<Option<Vec<f32>>> {
    match vectors {
        None => Err(Status::invalid_argument("Expected some vectors")),
        Some(VectorsOptions::Vectors(named)) if named.vectors.is_empty() => Ok(None),
        Some(VectorsOptions::Vectors(named)) => Err(Status::invalid_argument(format!(
            "Wrong input: Not existing vector name error: {:?}",
            named.vectors.keys()
        ))),
        Some(VectorsOptions::Vector(vector)) => match vector.vector {
            Some(VectorKind::Dense(dense)) => Ok(Some(unit(dense.data, collection)?)),
            _ => Err(Status::invalid_argument("Wrong input: no dense vector")),
        },
    }
}

/// As the server stores vectors that it compares by cosine.
fn unit(mut vector: Vec<f32>, collection: &Collection) -> Answer<Vec<f32>> {
    let (expected, got) = (collection.vectors.size, vector.len());
    if got as u64 != expected {
        return Err(Status::invalid_argument(format!(
            "Wrong input: Vector dimension error: expected dim: {expected}, got {got}"
        )));
    }
    if vector.iter().any(|number| !number.is_finite()) {
        return Err(Status::invalid_argument("Wrong input: not a finite number"));
    }
    let length = dot(&vector, &vector).sqrt();
    if length > f32::EPSILON {
        vector.iter_mut().for_each(|number| *number /= length);
    }
    Ok(vector)
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

pub(super) fn delete(
    state: &State,
    request: DeletePoints,
    fault: Option<Fault>,
) -> Answer<PointsOperationResponse> {
    let mut collection = state.collection(&request.collection_name)?;
    let selector = request.points.and_then(|it| it.points_selector_one_of);
    let Some(PointsSelectorOneOf::Points(points)) = selector else {
        return Err(Status::unimplemented("Braid deletes points by id"));
    };
    check_batch(state, points.ids.len())?;
    let ids: Result<Vec<Id>, Status> = points.ids.iter().map(|id| Id::read(Some(id))).collect();
    let ids = ids?;
    if fault == Some(Fault::NotAppliedYet) {
        return Ok(done(UpdateStatus::WaitTimeout));
    }
    for id in ids {
        collection.points.remove(&id);
    }
    Ok(done(status(request.wait)))
}

pub(super) fn get(state: &State, request: GetPoints, _: Option<Fault>) -> Answer<GetResponse> {
    let collection = state.collection(&request.collection_name)?;
    let mut result = Vec::new();
    for id in &request.ids {
        let id = Id::read(Some(id))?;
        let found = collection.points.get(&id);
        result.extend(found.map(|point| retrieved(id, point, request.with_payload.as_ref())));
    }
    Ok(GetResponse {
        result,
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
    let from = match &request.offset {
        Some(id) => Id::read(Some(id))?,
        None => Id::Number(0),
    };
    let mut found = collection
        .points
        .range(from..)
        .filter(|(id, point)| filter::passes(request.filter.as_ref(), **id, point));
    let page: Vec<_> = found.by_ref().take(limit).collect();
    let result = page
        .iter()
        .map(|(id, point)| retrieved(**id, point, request.with_payload.as_ref()));
    Ok(ScrollResponse {
        result: result.collect(),
        next_page_offset: found.next().map(|(id, _)| id.write()),
        ..ScrollResponse::default()
    })
}

pub(super) fn query(
    state: &State,
    request: QueryPoints,
    _: Option<Fault>,
) -> Answer<QueryResponse> {
    let collection = state.collection(&request.collection_name)?;
    state.check_filter(&collection, request.filter.as_ref())?;
    let limit = request.limit.unwrap_or(u64::from(PAGE));
    let most = state.strictness.max_limit.unwrap_or(u64::MAX);
    if limit == 0 || limit > most {
        return Err(Status::invalid_argument(format!(
            "Validation error in body: limit {limit}, at most {most}"
        )));
    }
    let Some(Variant::Nearest(VectorInput {
        variant: Some(InputKind::Dense(vector)),
    })) = request.query.and_then(|query| query.variant)
    else {
        return Err(Status::unimplemented(
            "Braid asks for what is near a dense vector",
        ));
    };
    let vector = unit(vector.data, &collection)?;
    let passing = collection
        .points
        .iter()
        .filter(|(id, point)| filter::passes(request.filter.as_ref(), **id, point));
    let scored = passing.filter_map(|(id, point)| {
        let score = dot(point.vector.as_ref()?, &vector);
        Some((score, *id, point))
    });
    let mut scored: Vec<_> = scored.collect();
    scored.sort_by(nearest_first);
    scored.truncate(limit as usize);
    let result = scored.into_iter().map(|(score, id, point)| ScoredPoint {
        id: Some(id.write()),
        payload: selected(&point.payload, request.with_payload.as_ref()),
        score,
        ..ScoredPoint::default()
    });
    Ok(QueryResponse {
        result: result.collect(),
        ..QueryResponse::default()
    })
}

/// By score; equal ones by falling id, which is not the order that Braid wants them in.
fn nearest_first(a: &(f32, Id, &Point), b: &(f32, Id, &Point)) -> Ordering {
    b.0.total_cmp(&a.0).then(b.1.cmp(&a.1))
}

fn retrieved(id: Id, point: &Point, wanted: Option<&WithPayloadSelector>) -> RetrievedPoint {
    RetrievedPoint {
        id: Some(id.write()),
        payload: selected(&point.payload, wanted),
        ..RetrievedPoint::default()
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
        Some(SelectorOptions::Enable(false) | SelectorOptions::Exclude(_)) | None => HashMap::new(),
    }
}

fn check_batch(state: &State, points: usize) -> Answer<()> {
    match state.strictness.max_batch {
        Some(most) if points > most => Err(Status::invalid_argument(format!(
            "Bad request: Limit exceeded {points} > {most} for \"upsert limit\""
        ))),
        _ => Ok(()),
    }
}

/// Only who waits is told that a write is applied.
fn status(wait: Option<bool>) -> UpdateStatus {
    if wait == Some(true) {
        UpdateStatus::Completed
    } else {
        UpdateStatus::Acknowledged
    }
}

fn done(status: UpdateStatus) -> PointsOperationResponse {
    PointsOperationResponse {
        result: Some(UpdateResult {
            operation_id: Some(0),
            status: status.into(),
        }),
        ..PointsOperationResponse::default()
    }
}

fn collection_done(result: bool) -> CollectionOperationResponse {
    CollectionOperationResponse { result, time: 0.0 }
}
