//! Extractors whose refusals are problem documents with JSON pointers.

use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use braid_core::{CollectionName, DocumentId, Error, ErrorCode, FieldError, Result};
use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::error::ApiError;

/// A JSON body.
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<App> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        check_media_type(request.headers())?;
        let bytes = read_body(request, app).await?;
        Ok(Self(parse(&bytes)?))
    }
}

/// Reads a body within the limit.
pub(crate) async fn read_body(request: Request, app: &App) -> Result<Bytes> {
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

/// Refuses a body that does not say it is JSON.
pub(crate) fn check_media_type(headers: &HeaderMap) -> Result<()> {
    let given = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = given
        .unwrap_or("")
        .split(';')
        .next()
        .unwrap_or("")
        .trim()
        .to_ascii_lowercase();
    if essence == "application/json" {
        Ok(())
    } else {
        Err(Error::new(
            ErrorCode::UnsupportedMediaType,
            "the body must be application/json",
        )
        .with_help("send Content-Type: application/json"))
    }
}

/// Parses JSON; a type error names the field by JSON pointer.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let parsed = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let pointer = pointer(error.path());
        let inner = error.into_inner();
        if inner.is_data() {
            Error::invalid_field(pointer, inner.to_string())
        } else {
            Error::new(
                ErrorCode::MalformedJson,
                format!("the body is not JSON: {inner}"),
            )
        }
    })?;
    reader.end().map_err(|error| {
        Error::new(
            ErrorCode::MalformedJson,
            format!("text after the JSON body: {error}"),
        )
    })?;
    Ok(parsed)
}

/// The JSON pointer (RFC 6901) of a path.
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter()
        .map(|segment| match segment {
            Segment::Seq { index } => format!("/{index}"),
            Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
            Segment::Enum { variant } => format!("/{variant}"),
            Segment::Unknown => String::new(),
        })
        .collect()
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
            id: String,
        }
        let Path(Names { collection, id }) = Path::from_request_parts(parts, app)
            .await
            .map_err(bad_path)?;
        Ok(Self(CollectionName::new(collection)?, DocumentId::new(id)?))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        #[expect(dead_code, reason = "only parsed")]
        items: Vec<u32>,
    }

    #[track_caller]
    fn check(text: &str, code: ErrorCode, pointer: Option<&str>) {
        let error = parse::<Body>(text.as_bytes()).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert_eq!(
            error.fields().first().map(|field| field.pointer.as_str()),
            pointer
        );
    }

    #[test]
    fn errors_name_the_field() {
        check(
            "{\"items\": [1, \"x\"]}",
            ErrorCode::InvalidRequest,
            Some("/items/1"),
        );
        check(
            "{\"items\": [], \"a/b\": 1}",
            ErrorCode::InvalidRequest,
            Some("/a~1b"),
        );
        check("{}", ErrorCode::InvalidRequest, Some(""));
        check("{\"items\": [", ErrorCode::MalformedJson, None);
        check("{\"items\": []} x", ErrorCode::MalformedJson, None);
        check("", ErrorCode::MalformedJson, None);
    }
}
