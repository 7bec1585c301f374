//! What the calls do that are about collections.

use ::qdrant_client::qdrant::*;
use tonic::Status;

use crate::faults::Fault;
use crate::path;
use crate::state::State;

/// What it says it is.
const VERSION: &str = "1.18.0-double";

pub(super) type Answer<T> = Result<T, Status>;

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
        sparse_vectors_config: collection.created.sparse_vectors_config.clone(),
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
        FieldType::Uuid => PayloadSchemaType::Uuid,
        FieldType::Text => PayloadSchemaType::Text,
        FieldType::Geo | FieldType::Datetime => PayloadSchemaType::UnknownType,
    }
}

pub(super) fn create_index(
    state: &State,
    request: CreateFieldIndexCollection,
    _: Option<Fault>,
) -> Answer<PointsOperationResponse> {
    let mut collection = state.collection(&request.collection_name)?;
    path::check(&request.field_name)?;
    let kind = request
        .field_type
        .and_then(|it| FieldType::try_from(it).ok());
    let kind = kind.ok_or_else(|| Status::invalid_argument("field_type is missing"))?;
    if kind == FieldType::Text {
        check_text_index(request.field_index_params.as_ref())?;
    }
    collection.indexes.insert(request.field_name, kind);
    Ok(done(UpdateStatus::Completed))
}

/// Texts are searched as tokens between white space, as they are and in order.
fn check_text_index(params: Option<&PayloadIndexParams>) -> Answer<()> {
    let index = params.and_then(|params| params.index_params.as_ref());
    let is_known = matches!(index, Some(payload_index_params::IndexParams::TextIndexParams(text))
        if text.tokenizer == i32::from(TokenizerType::Whitespace)
            && text.lowercase == Some(false)
            && text.phrase_matching == Some(true));
    if is_known {
        return Ok(());
    }
    Err(Status::unimplemented(
        "an index of text that Braid does not use",
    ))
}

pub(super) fn done(status: UpdateStatus) -> PointsOperationResponse {
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
