//! The one error type that crosses ports: a stable code, what happened, what to do next, and the
//! cause. Adapters choose the code; the rim (HTTP, CLI) maps it to a status without looking inside.

use std::error::Error as StdError;
use std::fmt;

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Stable, public error codes. The string form ([`ErrorCode::as_str`]) is part of the contract:
/// codes are added thoughtfully and never renamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// A request, flag or setting is not valid; see [`Error::fields`].
    InvalidRequest,
    /// The request body is not well-formed JSON.
    MalformedJson,
    /// A body, document or batch is over its size limit.
    TooLarge,
    /// A document could not be read or decoded.
    UnreadableDocument,
    /// No collection of that name.
    CollectionNotFound,
    /// A collection of that name exists with other settings.
    CollectionExists,
    /// No document of that id.
    DocumentNotFound,
    /// No chunk of that id.
    ChunkNotFound,
    /// No job of that id.
    JobNotFound,
    /// The list that a cursor belongs to is no longer kept; ask again without the cursor.
    CursorExpired,
    /// No such route.
    RouteNotFound,
    /// The route does not take this method.
    MethodNotAllowed,
    /// The body's media type is not `application/json`.
    UnsupportedMediaType,
    /// The server's configuration leaves out what was asked for.
    NotEnabled,
    /// The idempotency key was used with a different request.
    IdempotencyConflict,
    /// The collection was built with another model, chunker or analyzer.
    FingerprintMismatch,
    /// Another process owns the data directory.
    DataDirLocked,
    /// The data directory was written by a newer (or unknown) version.
    UnsupportedVersion,
    /// The disk or the storage map is full; nothing of the request was stored.
    StorageFull,
    /// Stored data failed a check.
    Corrupt,
    /// Too many requests at once; retry later.
    Overloaded,
    /// The operation did not finish in time.
    Timeout,
    /// The server is shutting down.
    ShuttingDown,
    /// A model or the inference library is missing or does not verify.
    ModelUnavailable,
    /// A backing store or service cannot be reached.
    Unavailable,
    /// A defect in Braid.
    Internal,
}

impl ErrorCode {
    /// Every code, for tables and exhaustive tests.
    pub const ALL: [Self; 26] = [
        Self::InvalidRequest,
        Self::MalformedJson,
        Self::TooLarge,
        Self::UnreadableDocument,
        Self::CollectionNotFound,
        Self::CollectionExists,
        Self::DocumentNotFound,
        Self::ChunkNotFound,
        Self::JobNotFound,
        Self::CursorExpired,
        Self::RouteNotFound,
        Self::MethodNotAllowed,
        Self::UnsupportedMediaType,
        Self::NotEnabled,
        Self::IdempotencyConflict,
        Self::FingerprintMismatch,
        Self::DataDirLocked,
        Self::UnsupportedVersion,
        Self::StorageFull,
        Self::Corrupt,
        Self::Overloaded,
        Self::Timeout,
        Self::ShuttingDown,
        Self::ModelUnavailable,
        Self::Unavailable,
        Self::Internal,
    ];

    /// The code's public name, `UPPER_SNAKE`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "INVALID_REQUEST",
            Self::MalformedJson => "MALFORMED_JSON",
            Self::TooLarge => "TOO_LARGE",
            Self::UnreadableDocument => "UNREADABLE_DOCUMENT",
            Self::CollectionNotFound => "COLLECTION_NOT_FOUND",
            Self::CollectionExists => "COLLECTION_EXISTS",
            Self::DocumentNotFound => "DOCUMENT_NOT_FOUND",
            Self::ChunkNotFound => "CHUNK_NOT_FOUND",
            Self::JobNotFound => "JOB_NOT_FOUND",
            Self::CursorExpired => "CURSOR_EXPIRED",
            Self::RouteNotFound => "ROUTE_NOT_FOUND",
            Self::MethodNotAllowed => "METHOD_NOT_ALLOWED",
            Self::UnsupportedMediaType => "UNSUPPORTED_MEDIA_TYPE",
            Self::NotEnabled => "NOT_ENABLED",
            Self::IdempotencyConflict => "IDEMPOTENCY_CONFLICT",
            Self::FingerprintMismatch => "FINGERPRINT_MISMATCH",
            Self::DataDirLocked => "DATA_DIR_LOCKED",
            Self::UnsupportedVersion => "UNSUPPORTED_VERSION",
            Self::StorageFull => "STORAGE_FULL",
            Self::Corrupt => "CORRUPT",
            Self::Overloaded => "OVERLOADED",
            Self::Timeout => "TIMEOUT",
            Self::ShuttingDown => "SHUTTING_DOWN",
            Self::ModelUnavailable => "MODEL_UNAVAILABLE",
            Self::Unavailable => "UNAVAILABLE",
            Self::Internal => "INTERNAL",
        }
    }

    /// Whether the same request may succeed later without being changed.
    pub fn is_retryable(self) -> bool {
        match self {
            Self::Overloaded | Self::Timeout | Self::ShuttingDown | Self::Unavailable => true,
            Self::InvalidRequest
            | Self::MalformedJson
            | Self::TooLarge
            | Self::UnreadableDocument
            | Self::CollectionNotFound
            | Self::CollectionExists
            | Self::DocumentNotFound
            | Self::ChunkNotFound
            | Self::JobNotFound
            | Self::CursorExpired
            | Self::RouteNotFound
            | Self::MethodNotAllowed
            | Self::UnsupportedMediaType
            | Self::NotEnabled
            | Self::IdempotencyConflict
            | Self::FingerprintMismatch
            | Self::DataDirLocked
            | Self::UnsupportedVersion
            | Self::StorageFull
            | Self::Corrupt
            | Self::ModelUnavailable
            | Self::Internal => false,
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One bad field of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// JSON pointer (RFC 6901) of the field, `""` for the whole body; of a file on the command line its name and line.
    pub pointer: String,
    /// What is wrong with it, lowercase, no trailing period.
    pub detail: String,
}

impl FieldError {
    /// A field error at `pointer`.
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            detail: detail.into(),
        }
    }
}

/// What went wrong, for a program ([`code`](Self::code)) and for a person (`Display`).
#[derive(Debug)]
pub struct Error {
    code: ErrorCode,
    message: String,
    help: Option<String>,
    fields: Vec<FieldError>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `code` that says `message` (lowercase, no trailing period).
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            help: None,
            fields: Vec::new(),
            source: None,
        }
    }

    /// Shorthand for [`ErrorCode::InvalidRequest`].
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidRequest, message)
    }

    /// [`ErrorCode::InvalidRequest`] about one field.
    pub fn invalid_field(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let field = FieldError::new(pointer, detail);
        let message = if field.pointer.is_empty() {
            field.detail.clone()
        } else {
            format!("{}: {}", field.pointer, field.detail)
        };
        Self {
            fields: vec![field],
            ..Self::invalid(message)
        }
    }

    /// Shorthand for [`ErrorCode::Internal`].
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Internal, message)
    }

    /// Adds what the reader should do next, as one imperative sentence or command.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds bad fields.
    #[must_use]
    pub fn with_fields(mut self, fields: Vec<FieldError>) -> Self {
        self.fields = fields;
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Prefixes the message with what was being done, keeping code, help and cause.
    #[must_use]
    pub fn context(mut self, doing: impl fmt::Display) -> Self {
        self.message = format!("{doing}: {}", self.message);
        self
    }

    /// The stable code.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// The message alone, without help and cause.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do next, if anything is known to help.
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// Bad fields of the request.
    pub fn fields(&self) -> &[FieldError] {
        &self.fields
    }

    /// The message and every cause below it, joined by `": "`, for one log line.
    pub fn chain(&self) -> String {
        let mut text = self.message.clone();
        let mut cause = StdError::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.help {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_upper_snake() {
        let names: std::collections::BTreeSet<_> =
            ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(names.len(), ErrorCode::ALL.len());
        for name in names {
            assert!(
                name.chars().all(|c| c.is_ascii_uppercase() || c == '_'),
                "{name}"
            );
        }
    }

    #[test]
    fn chain_names_every_cause() {
        let inner = std::io::Error::other("disk on fire");
        let error = Error::internal("cannot commit")
            .with_source(inner)
            .context("publishing");
        assert_eq!(error.chain(), "publishing: cannot commit: disk on fire");
    }
}
