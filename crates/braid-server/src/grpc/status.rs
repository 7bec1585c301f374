//! Errors to gRPC: one exhaustive table from code to status, one form of its details.

use std::collections::HashMap;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use braid_core::{Error, ErrorCode};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::dto::problem::{FieldProblem, Problem};
use crate::error::ApiError;

/// The domain of the reasons in `google.rpc.ErrorInfo`.
const DOMAIN: &str = "braid";
/// Longest message, in bytes. A status travels in headers, for which clients have as little as 8 KiB.
const MAX_MESSAGE: usize = 1024;
/// Most bytes of bad fields in the details.
const MAX_FIELDS: usize = 2048;

/// The gRPC status that each code is answered with.
pub(super) fn code_of(code: ErrorCode) -> Code {
    match code {
        ErrorCode::InvalidRequest
        | ErrorCode::MalformedJson
        | ErrorCode::TooLarge
        | ErrorCode::UnreadableDocument => Code::InvalidArgument,
        ErrorCode::CollectionNotFound
        | ErrorCode::DocumentNotFound
        | ErrorCode::ChunkNotFound
        | ErrorCode::JobNotFound => Code::NotFound,
        ErrorCode::CollectionExists | ErrorCode::IdempotencyConflict => Code::AlreadyExists,
        ErrorCode::CursorExpired
        | ErrorCode::FingerprintMismatch
        | ErrorCode::ModelUnavailable
        | ErrorCode::DataDirLocked
        | ErrorCode::UnsupportedVersion => Code::FailedPrecondition,
        ErrorCode::RouteNotFound
        | ErrorCode::MethodNotAllowed
        | ErrorCode::UnsupportedMediaType
        | ErrorCode::NotEnabled => Code::Unimplemented,
        ErrorCode::Overloaded | ErrorCode::StorageFull => Code::ResourceExhausted,
        ErrorCode::Timeout => Code::DeadlineExceeded,
        ErrorCode::ShuttingDown | ErrorCode::Unavailable => Code::Unavailable,
        ErrorCode::Corrupt => Code::DataLoss,
        ErrorCode::Internal => Code::Internal,
    }
}

/// The status of an error within the current request; logged and counted.
pub(super) fn of_error(error: Error) -> Status {
    of_problem(&ApiError(error).told())
}

/// The status that says what a problem document says.
pub(super) fn of_problem(problem: &Problem) -> Status {
    let named = |code: &ErrorCode| code.as_str() == problem.error_code;
    let code = ErrorCode::ALL.into_iter().find(named);
    let mut details = ErrorDetails::with_error_info(
        problem.error_code.clone(),
        DOMAIN,
        HashMap::from([
            ("request_id".to_owned(), problem.request_id.clone()),
            ("retryable".to_owned(), problem.retryable.to_string()),
            ("http_status".to_owned(), problem.status.to_string()),
        ]),
    );
    if let Some(seconds) = problem.retry_after_seconds {
        details.set_retry_info(Some(Duration::from_secs(seconds)));
    }
    for field in within(&problem.errors, MAX_FIELDS) {
        details.add_bad_request_violation(&field.pointer, &field.detail);
    }
    let code = code_of(code.unwrap_or(ErrorCode::Internal));
    Status::with_error_details(code, shortened(&problem.detail), details)
}

/// What tonic refuses by itself, said as everything else is: a message over `limit` bytes, or one that
/// is not of its type. Other statuses stay as they are.
pub(super) fn of_tonic(status: Status, limit: usize) -> Status {
    if !status.details().is_empty() {
        return status;
    }
    match status.code() {
        Code::OutOfRange => {
            let message = format!("the message is over the limit of {limit} bytes");
            let help = "send several smaller ones or raise server.max_body_bytes";
            of_error(Error::new(ErrorCode::TooLarge, message).with_help(help))
        }
        Code::Internal => of_error(Error::invalid(format!(
            "the message cannot be read: {}",
            status.message()
        ))),
        Code::Unimplemented => of_error(Error::new(
            ErrorCode::RouteNotFound,
            "no such service, method or encoding; ask reflection for those there are",
        )),
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::InvalidArgument
        | Code::DeadlineExceeded
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::Unavailable
        | Code::DataLoss
        | Code::Unauthenticated => status,
    }
}

/// Gives an answer that is a refusal by tonic the form that all others have.
pub(super) async fn complete(State(limit): State<usize>, response: Response) -> Response {
    match Status::from_header_map(response.headers()) {
        Some(status) if status.code() != Code::Ok && status.details().is_empty() => {
            let complete = of_tonic(status, limit).into_http::<axum::body::Body>();
            let (mut parts, body) = response.into_parts();
            parts.headers = complete.headers().clone();
            Response::from_parts(parts, body)
        }
        Some(_) | None => response,
    }
}

/// As many of the first fields as have so many bytes together.
fn within(fields: &[FieldProblem], most: usize) -> impl Iterator<Item = &FieldProblem> {
    let mut left = most;
    fields.iter().take_while(move |field| {
        let size = field.pointer.len() + field.detail.len();
        let fits = size <= left;
        left = left.saturating_sub(size);
        fits
    })
}

fn shortened(message: &str) -> &str {
    &message[..message.floor_char_boundary(MAX_MESSAGE)]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table, written out once more: a change of a code's status is a change of the contract.
    fn documented(code: ErrorCode) -> &'static str {
        match code {
            ErrorCode::InvalidRequest => "INVALID_ARGUMENT",
            ErrorCode::MalformedJson => "INVALID_ARGUMENT",
            ErrorCode::TooLarge => "INVALID_ARGUMENT",
            ErrorCode::UnreadableDocument => "INVALID_ARGUMENT",
            ErrorCode::CollectionNotFound => "NOT_FOUND",
            ErrorCode::CollectionExists => "ALREADY_EXISTS",
            ErrorCode::DocumentNotFound => "NOT_FOUND",
            ErrorCode::ChunkNotFound => "NOT_FOUND",
            ErrorCode::JobNotFound => "NOT_FOUND",
            ErrorCode::CursorExpired => "FAILED_PRECONDITION",
            ErrorCode::RouteNotFound => "UNIMPLEMENTED",
            ErrorCode::MethodNotAllowed => "UNIMPLEMENTED",
            ErrorCode::UnsupportedMediaType => "UNIMPLEMENTED",
            ErrorCode::NotEnabled => "UNIMPLEMENTED",
            ErrorCode::IdempotencyConflict => "ALREADY_EXISTS",
            ErrorCode::FingerprintMismatch => "FAILED_PRECONDITION",
            ErrorCode::DataDirLocked => "FAILED_PRECONDITION",
            ErrorCode::UnsupportedVersion => "FAILED_PRECONDITION",
            ErrorCode::StorageFull => "RESOURCE_EXHAUSTED",
            ErrorCode::Corrupt => "DATA_LOSS",
            ErrorCode::Overloaded => "RESOURCE_EXHAUSTED",
            ErrorCode::Timeout => "DEADLINE_EXCEEDED",
            ErrorCode::ShuttingDown => "UNAVAILABLE",
            ErrorCode::ModelUnavailable => "FAILED_PRECONDITION",
            ErrorCode::Unavailable => "UNAVAILABLE",
            ErrorCode::Internal => "INTERNAL",
        }
    }

    fn name(code: Code) -> String {
        let camel = format!("{code:?}");
        let mut name = String::new();
        for letter in camel.chars() {
            if letter.is_ascii_uppercase() && !name.is_empty() {
                name.push('_');
            }
            name.push(letter.to_ascii_uppercase());
        }
        name
    }

    #[test]
    fn every_code_has_its_status_and_docs_say_so() {
        let page = include_str!("../../../../docs/grpc.md");
        for code in ErrorCode::ALL {
            let status = name(code_of(code));
            assert_eq!(status, documented(code), "{code}");
            let row = page
                .lines()
                .find(|line| line.starts_with(&format!("| `{status}` |")));
            let row = row.unwrap_or_else(|| panic!("docs/grpc.md has no row for {status}"));
            assert!(row.contains(&format!("`{code}`")), "{status}: {code}");
        }
    }

    #[test]
    fn clients_that_repeat_by_status_alone_repeat_what_may_succeed() {
        for code in ErrorCode::ALL {
            let status = code_of(code);
            let transient = [
                Code::Unavailable,
                Code::DeadlineExceeded,
                Code::ResourceExhausted,
            ];
            assert!(
                !code.is_retryable() || transient.contains(&status),
                "{code}"
            );
            assert!(
                code.is_retryable() || status != Code::Unavailable,
                "{code}: clients would repeat it for nothing"
            );
        }
    }

    #[test]
    fn details_say_reason_fields_and_when_to_come_back() {
        let error = Error::invalid_field("/top_k", "must be from 1 to 1000");
        let status = of_error(error);
        let details = status.get_error_details();
        let info = details.error_info().unwrap();
        assert_eq!(
            (info.reason.as_str(), info.domain.as_str()),
            ("INVALID_REQUEST", "braid")
        );
        assert_eq!(info.metadata["retryable"], "false");
        let violations = &details.bad_request().unwrap().field_violations;
        assert_eq!(violations[0].field, "/top_k");
        assert_eq!(violations[0].description, "must be from 1 to 1000");
        assert!(details.retry_info().is_none());
        let busy = of_error(Error::new(ErrorCode::Overloaded, "too many"));
        let wait = busy
            .get_error_details()
            .retry_info()
            .unwrap()
            .retry_delay
            .unwrap();
        assert_eq!(wait, Duration::from_secs(1));
    }

    #[test]
    fn a_status_stays_small_enough_for_headers() {
        let fields = (0..1000)
            .map(|index| braid_core::FieldError::new(format!("/rules/{index}"), "é".repeat(200)));
        let error = Error::invalid("é".repeat(5000)).with_fields(fields.collect());
        let status = of_error(error);
        assert_eq!(status.message().len(), MAX_MESSAGE);
        let details = status.get_error_details();
        let violations = &details.bad_request().unwrap().field_violations;
        assert!(!violations.is_empty());
        assert!(status.details().len() < MAX_MESSAGE + 2 * MAX_FIELDS);
    }
}
