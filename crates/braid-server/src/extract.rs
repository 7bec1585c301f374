//! Extractors whose refusals are problem documents with JSON pointers.

mod json;

use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use braid_core::{
    ChunkId, CollectionName, DocumentId, Error, ErrorCode, FieldError, JobId, Result,
};
use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::error::ApiError;

pub(crate) use json::{off_thread, parse};

/// A JSON body.
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<T: DeserializeOwned + Send + 'static> FromRequest<App> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        check_media_type(request.headers())?;
        let bytes = read_body(request, app).await?;
        let parsed = off_thread(bytes.len(), move || parse(&bytes)).await?;
        Ok(Self(parsed))
    }
}

/// Set on a request made within the process of one that was within the limit: in JSON it may be longer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transcoded;

/// Reads a body within the limit.
pub(crate) async fn read_body(mut request: Request, app: &App) -> Result<Bytes> {
    if request.extensions().get::<Transcoded>().is_some() {
        DefaultBodyLimit::disable().apply(&mut request);
    }
    Bytes::from_request(request, app)
        .await
        .map_err(|rejection| {
            let limit = app.options().max_body_bytes;
            body_error(&rejection, limit)
        })
}

fn body_error(rejection: &BytesRejection, limit: usize) -> Error {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        Error::new(
            ErrorCode::TooLarge,
            format!("the body is over the limit of {limit} bytes"),
        )
        .with_help("send several smaller requests or raise server.max_body_bytes")
    } else {
        Error::invalid(format!("the body cannot be read: {rejection}"))
    }
}

/// What a body says it is: the media type and its parameters.
pub(crate) fn content_type(headers: &HeaderMap) -> (&str, &str) {
    let given = headers.get(header::CONTENT_TYPE);
    let given = given.and_then(|value| value.to_str().ok()).unwrap_or("");
    let (essence, parameters) = given.split_once(';').unwrap_or((given, ""));
    (essence.trim(), parameters)
}

/// Whether a media type is that of JSON.
pub(crate) fn is_json(essence: &str) -> bool {
    essence.eq_ignore_ascii_case("application/json")
}

/// Refuses a body that does not say it is JSON.
pub(crate) fn check_media_type(headers: &HeaderMap) -> Result<()> {
    if is_json(content_type(headers).0) {
        Ok(())
    } else {
        Err(Error::new(
            ErrorCode::UnsupportedMediaType,
            "the body must be application/json",
        )
        .with_help("send Content-Type: application/json"))
    }
}

/// The collection named in the path.
pub(crate) struct CollectionPath(pub(crate) CollectionName);

impl FromRequestParts<App> for CollectionPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        #[derive(Deserialize)]
        struct Names {
            collection: String,
        }
        let Path(Names { collection }) = Path::from_request_parts(parts, app)
            .await
            .map_err(bad_path)?;
        Ok(Self(CollectionName::new(collection)?))
    }
}

/// The document named in the path.
pub(crate) struct DocumentPath(pub(crate) CollectionName, pub(crate) DocumentId);

impl FromRequestParts<App> for DocumentPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        #[derive(Deserialize)]
        struct Names {
            collection: String,
            // The route of bulk deletes also serves the document of that id, without a parameter.
            #[serde(default = "named_delete")]
            id: String,
        }
        let Path(Names { collection, id }) = Path::from_request_parts(parts, app)
            .await
            .map_err(bad_path)?;
        Ok(Self(CollectionName::new(collection)?, DocumentId::new(id)?))
    }
}

fn named_delete() -> String {
    "delete".to_owned()
}

/// The chunk named in the path. What is no chunk id names no chunk.
pub(crate) struct ChunkPath(pub(crate) CollectionName, pub(crate) ChunkId);

impl FromRequestParts<App> for ChunkPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        #[derive(Deserialize)]
        struct Names {
            collection: String,
            chunk_id: String,
        }
        let Path(Names {
            collection,
            chunk_id: id,
        }) = Path::from_request_parts(parts, app)
            .await
            .map_err(bad_path)?;
        let unknown = |_| Error::new(ErrorCode::ChunkNotFound, format!("no chunk {id:?}"));
        Ok(Self(
            CollectionName::new(collection)?,
            id.parse().map(ChunkId).map_err(unknown)?,
        ))
    }
}

/// The job named in the path. What is no job id names no job.
pub(crate) struct JobPath(pub(crate) JobId);

impl FromRequestParts<App> for JobPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let Path(id): Path<String> = Path::from_request_parts(parts, app)
            .await
            .map_err(bad_path)?;
        let unknown = |_| Error::new(ErrorCode::JobNotFound, format!("no job {id:?}"));
        Ok(Self(id.parse().map(JobId).map_err(unknown)?))
    }
}

// Takes the rejection by value: it is a `map_err` callback.
#[expect(clippy::needless_pass_by_value, reason = "a map_err callback")]
fn bad_path(rejection: PathRejection) -> ApiError {
    ApiError(Error::invalid(format!(
        "the path is not valid: {}",
        rejection.body_text()
    )))
}

/// Query parameters; unknown ones are refused by the target type.
pub(crate) struct QueryParameters<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<App> for QueryParameters<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let parsed: Result<Query<T>, QueryRejection> = Query::from_request_parts(parts, app).await;
        match parsed {
            Ok(Query(parameters)) => Ok(Self(parameters)),
            Err(rejection) => {
                let detail = format!("query parameters: {}", rejection.body_text());
                let fields = vec![FieldError::new("", detail.clone())];
                Err(ApiError(Error::invalid(detail).with_fields(fields)))
            }
        }
    }
}
