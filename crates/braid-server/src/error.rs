//! Errors to HTTP: one exhaustive table from code to status, one response form.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use braid_core::ports::StoredResponse;
use braid_core::{Error, ErrorCode};

use crate::dto::problem::Problem;
use crate::idempotency::stored;
use crate::request_id;

/// What a client is told to wait before it repeats a retryable request.
pub(crate) const RETRY_AFTER_SECONDS: u64 = 1;

/// Media type of problem documents.
pub(crate) const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// The status each code is answered with.
pub(crate) fn status_of(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::InvalidRequest | ErrorCode::MalformedJson => StatusCode::BAD_REQUEST,
        ErrorCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::UnreadableDocument => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorCode::CollectionNotFound
        | ErrorCode::DocumentNotFound
        | ErrorCode::ChunkNotFound
        | ErrorCode::JobNotFound
        | ErrorCode::RouteNotFound => StatusCode::NOT_FOUND,
        ErrorCode::CursorExpired => StatusCode::GONE,
        ErrorCode::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        ErrorCode::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ErrorCode::NotEnabled => StatusCode::FORBIDDEN,
        ErrorCode::CollectionExists
        | ErrorCode::IdempotencyConflict
        | ErrorCode::FingerprintMismatch => StatusCode::CONFLICT,
        ErrorCode::Overloaded => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::StorageFull => StatusCode::INSUFFICIENT_STORAGE,
        ErrorCode::Timeout => StatusCode::GATEWAY_TIMEOUT,
        ErrorCode::ShuttingDown | ErrorCode::Unavailable | ErrorCode::ModelUnavailable => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        ErrorCode::DataDirLocked
        | ErrorCode::UnsupportedVersion
        | ErrorCode::Corrupt
        | ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Where a layer that knows no request refused a value: names the field it came from.
pub(crate) fn about(pointer: &str, error: Error) -> Error {
    if error.code() == ErrorCode::InvalidRequest && error.fields().is_empty() {
        return Error::invalid_field(pointer, error.message());
    }
    error
}

/// An [`Error`] on its way to a client. It is logged once, here.
#[derive(Debug)]
pub(crate) struct ApiError(pub(crate) Error);

impl ApiError {
    /// The problem document of the request `request_id`, in the form in which a mutation records
    /// it: the same bytes as [`IntoResponse`] makes within that request.
    pub(crate) fn stored(&self, request_id: &str) -> StoredResponse {
        let status = status_of(self.0.code());
        stored(
            status,
            &Problem::new(&self.0, status, request_id.to_owned()),
        )
    }

    /// The problem document within the current request; logged and counted.
    pub(crate) fn told(&self) -> Problem {
        let Self(error) = self;
        let (code, status) = (error.code(), status_of(error.code()));
        let request_id = request_id::current();
        if status.is_server_error() {
            tracing::error!(%request_id, %code, error = error.chain(), "request failed");
        } else {
            tracing::debug!(%request_id, %code, error = error.chain(), "request refused");
        }
        metrics::counter!("braid_http_errors_total", "code" => code.as_str()).increment(1);
        Problem::new(error, status, request_id)
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = status_of(self.0.code());
        let problem = self.told();
        let retry_after = problem.retry_after_seconds;
        let mut response = (status, Json(problem)).into_response();
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, PROBLEM_JSON);
        if let Some(seconds) = retry_after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_an_error_status() {
        for code in ErrorCode::ALL {
            let status = status_of(code);
            assert!(
                status.is_client_error() || status.is_server_error(),
                "{code}: {status}"
            );
            let transient = [
                StatusCode::TOO_MANY_REQUESTS,
                StatusCode::SERVICE_UNAVAILABLE,
                StatusCode::GATEWAY_TIMEOUT,
            ];
            assert!(
                !code.is_retryable() || transient.contains(&status),
                "{code}: {status}"
            );
        }
    }
}
