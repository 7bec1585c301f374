//! Qdrant's answers in Braid's words.

use std::time::Duration;

use ::qdrant_client::QdrantError;
use braid_core::{Error, ErrorCode};

/// gRPC status codes, by number.
mod grpc {
    pub(crate) const CANCELLED: i32 = 1;
    pub(crate) const UNKNOWN: i32 = 2;
    pub(crate) const INVALID_ARGUMENT: i32 = 3;
    pub(crate) const DEADLINE_EXCEEDED: i32 = 4;
    pub(crate) const NOT_FOUND: i32 = 5;
    pub(crate) const ALREADY_EXISTS: i32 = 6;
    pub(crate) const PERMISSION_DENIED: i32 = 7;
    pub(crate) const RESOURCE_EXHAUSTED: i32 = 8;
    pub(crate) const FAILED_PRECONDITION: i32 = 9;
    pub(crate) const ABORTED: i32 = 10;
    pub(crate) const INTERNAL: i32 = 13;
    pub(crate) const UNAVAILABLE: i32 = 14;
    pub(crate) const UNAUTHENTICATED: i32 = 16;
}

/// Set by a server that refuses for lack of room, beside the code of a rate limit.
const INSUFFICIENT_STORAGE: &str = "qdrant-insufficient-storage";

/// What the client says where it found nobody; it gives it the code of a defect.
const NOT_CONNECTED: &str = "Failed to connect";

/// What the client says when its own time is over; it gives it the code of a request that was taken back.
const TIME_IS_OVER: &str = "Timeout expired";

const CHECK_CERTIFICATE: &str = "SSL_CERT_FILE names a file with the authority of Qdrant's certificate, where it is not one of the system's";
const CHECK_SERVER: &str = "check that Qdrant runs and that qdrant.url is its gRPC address";
const CHECK_KEY: &str = "check the API key that qdrant.api_key_env or qdrant.api_key_file names";
const MAKE_ROOM: &str =
    "make room on Qdrant's disks; what was acknowledged is kept and tried again";
const REFILL: &str = "it is filled again from the ledger with the next write or start, or by `braid verify --repair`";

/// What is wrong, and what to do. The key that was sent is in none of it.
pub(crate) fn translate(error: &QdrantError) -> Error {
    match error {
        QdrantError::ResponseError { status } => {
            let lacks_room = status.metadata().contains_key(INSUFFICIENT_STORAGE);
            from_status(i32::from(status.code()), status.message(), lacks_room)
        }
        QdrantError::ResourceExhaustedError {
            status,
            retry_after_seconds,
        } => overloaded(&format!(
            "{}; asked to wait {retry_after_seconds} s",
            status.message()
        )),
        QdrantError::InvalidUri(error) => Error::invalid(format!("the URL of Qdrant: {error}")),
        QdrantError::Io(error) => unreachable_server(&error.to_string()),
        QdrantError::ConversionError(_)
        | QdrantError::NoSnapshotFound(_)
        | QdrantError::JsonToPayload(_)
        | QdrantError::PayloadDeserialization(_) => {
            Error::internal(format!("the client of Qdrant: {error}"))
        }
    }
}

/// Whether there is no such collection.
pub(crate) fn is_missing(error: &QdrantError) -> bool {
    code_of(error) == Some(grpc::NOT_FOUND)
}

/// Whether there is one of that name.
pub(crate) fn is_there_already(error: &QdrantError) -> bool {
    code_of(error) == Some(grpc::ALREADY_EXISTS)
        || matches!(error, QdrantError::ResponseError { status } if status.message().contains("already exists"))
}

fn code_of(error: &QdrantError) -> Option<i32> {
    let QdrantError::ResponseError { status } = error else {
        return None;
    };
    Some(i32::from(status.code()))
}

/// There is no collection to search. Not [`Unavailable`](ErrorCode::Unavailable): the server answers, and
/// asking again does not help.
pub(crate) fn gone(collection: &str) -> Error {
    Error::new(
        ErrorCode::Corrupt,
        format!("Qdrant's collection {collection} is gone"),
    )
    .with_help(REFILL)
}

/// What is live cannot be found among what is not.
pub(crate) fn cluttered(collection: &str) -> Error {
    Error::new(
        ErrorCode::Corrupt,
        format!("Qdrant's collection {collection} has more live entries than can be named, behind others that are not"),
    )
    .with_help("run `braid verify --repair`")
}

/// Something took longer than it may.
pub(crate) fn late(what: &str, limit: Duration) -> Error {
    let limit = limit.as_millis();
    Error::new(
        ErrorCode::Timeout,
        format!("Qdrant took longer than {limit} ms {what}"),
    )
    .with_help("look at its load, or raise retrieve.leg_timeout_ms and qdrant.timeout_ms")
}

fn from_status(code: i32, message: &str, lacks_room: bool) -> Error {
    match code {
        _ if lacks_room || is_out_of_room(message) => full(message),
        grpc::RESOURCE_EXHAUSTED => overloaded(message),
        grpc::DEADLINE_EXCEEDED => too_late(message),
        grpc::CANCELLED if message.contains(TIME_IS_OVER) => too_late(message),
        grpc::UNAUTHENTICATED | grpc::PERMISSION_DENIED => Error::new(
            ErrorCode::Unavailable,
            format!("Qdrant refuses Braid: {message}"),
        )
        .with_help(CHECK_KEY),
        grpc::NOT_FOUND => {
            Error::new(ErrorCode::Unavailable, format!("Qdrant: {message}")).with_help(REFILL)
        }
        grpc::INVALID_ARGUMENT => Error::invalid(format!("Qdrant refuses a request: {message}")),
        grpc::UNAVAILABLE
        | grpc::CANCELLED
        | grpc::UNKNOWN
        | grpc::FAILED_PRECONDITION
        | grpc::ABORTED => unreachable_server(message),
        grpc::INTERNAL if message.starts_with(NOT_CONNECTED) => unreachable_server(message),
        // A node that goes down answers what it was doing with this code too.
        grpc::INTERNAL => Error::new(ErrorCode::Unavailable, format!("Qdrant failed: {message}"))
            .with_help("look into Qdrant's log"),
        _ => Error::internal(format!("Qdrant answered with status {code}: {message}")),
    }
}

fn is_out_of_room(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["no space left", "disk space", "disk is full", "disk full"]
        .iter()
        .any(|said| message.contains(said))
}

fn full(message: &str) -> Error {
    Error::new(
        ErrorCode::StorageFull,
        format!("Qdrant has no room: {message}"),
    )
    .with_help(MAKE_ROOM)
}

fn overloaded(message: &str) -> Error {
    Error::new(
        ErrorCode::Overloaded,
        format!("Qdrant takes no more requests: {message}"),
    )
    .with_help("raise its rate limit, or lower qdrant.upload_concurrency")
}

fn too_late(message: &str) -> Error {
    Error::new(
        ErrorCode::Timeout,
        format!("Qdrant did not answer in time: {message}"),
    )
    .with_help("look at its load, or raise qdrant.timeout_ms")
}

fn unreachable_server(message: &str) -> Error {
    let help = if message.to_ascii_lowercase().contains("certificate") {
        CHECK_CERTIFICATE
    } else {
        CHECK_SERVER
    };
    Error::new(
        ErrorCode::Unavailable,
        format!("Qdrant cannot be reached: {message}"),
    )
    .with_help(help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_retryable_and_what_does_not_is_not() {
        let check = |code, message: &str, wanted| {
            let error = from_status(code, message, false);
            assert_eq!(error.code(), wanted, "{code} {message}");
            error
        };
        let refused = "Failed to connect to http://127.0.0.1:1/: refused";
        let error = check(grpc::INTERNAL, refused, ErrorCode::Unavailable);
        assert!(error.to_string().contains("qdrant.url"));
        check(grpc::UNAVAILABLE, "shard 3", ErrorCode::Unavailable);
        check(grpc::INTERNAL, "panicked", ErrorCode::Unavailable);
        check(grpc::DEADLINE_EXCEEDED, "", ErrorCode::Timeout);
        check(grpc::CANCELLED, "Timeout expired", ErrorCode::Timeout);
        check(grpc::CANCELLED, "h2 stream reset", ErrorCode::Unavailable);
        let untrusted =
            "Failed to connect to https://q:6334/: invalid peer certificate: UnknownIssuer";
        let error = check(grpc::INTERNAL, untrusted, ErrorCode::Unavailable);
        assert!(error.to_string().contains("SSL_CERT_FILE"), "{error}");
        check(grpc::RESOURCE_EXHAUSTED, "rate", ErrorCode::Overloaded);
        check(grpc::UNAUTHENTICATED, "", ErrorCode::Unavailable);
        let wal = "Service internal error: No space left on device: WAL buffer size exceeds available disk space";
        check(grpc::INTERNAL, wal, ErrorCode::StorageFull);
        let dimension = "Wrong input: Vector dimension error: expected dim: 4, got 3";
        check(grpc::INVALID_ARGUMENT, dimension, ErrorCode::InvalidRequest);
        check(12, "unimplemented", ErrorCode::Internal);
        let quota = from_status(grpc::RESOURCE_EXHAUSTED, "limit reached", true);
        assert_eq!(quota.code(), ErrorCode::StorageFull);
    }
}
