//! Tantivy's errors as Braid's.

use std::io;

use braid_core::{Error, ErrorCode};
use tantivy::TantivyError;
use tantivy::directory::error::{LockError, OpenDirectoryError, OpenReadError, OpenWriteError};

/// Adds the command that mends a damaged or outdated index.
pub(crate) fn with_rebuild_help(error: Error) -> Error {
    error.with_help("rebuild the collection's indexes with `braid collection rebuild NAME`")
}

/// Says what was being `doing` when `error` came up, under the code that fits it.
pub(crate) fn lexical_error(doing: &str, error: TantivyError) -> Error {
    let code = code(&error);
    let wrapped = Error::new(code, doing).with_source(error);
    if matches!(code, ErrorCode::Corrupt | ErrorCode::UnsupportedVersion) {
        with_rebuild_help(wrapped)
    } else if code == ErrorCode::StorageFull {
        wrapped.with_help("free disk space; the write is tried again")
    } else {
        wrapped
    }
}

/// As [`lexical_error`], for bare I/O errors.
pub(crate) fn io_error(doing: &str, error: io::Error) -> Error {
    lexical_error(doing, TantivyError::from(error))
}

fn code(error: &TantivyError) -> ErrorCode {
    match error {
        TantivyError::IoError(error)
        | TantivyError::OpenWriteError(OpenWriteError::IoError {
            io_error: error, ..
        })
        | TantivyError::OpenDirectoryError(OpenDirectoryError::IoError {
            io_error: error, ..
        })
        | TantivyError::OpenReadError(OpenReadError::IoError {
            io_error: error, ..
        })
        | TantivyError::LockFailure(LockError::IoError(error), _) => io_code(error),
        TantivyError::LockFailure(LockError::LockBusy, _) => ErrorCode::DataDirLocked,
        TantivyError::OpenReadError(OpenReadError::FileDoesNotExist(_))
        | TantivyError::DataCorruption(_)
        | TantivyError::SchemaError(_)
        | TantivyError::FieldNotFound(_) => ErrorCode::Corrupt,
        TantivyError::OpenReadError(OpenReadError::IncompatibleIndex(_))
        | TantivyError::IncompatibleIndex(_) => ErrorCode::UnsupportedVersion,
        TantivyError::ErrorInThread(text) | TantivyError::InternalError(text)
            if says_full(text) =>
        {
            ErrorCode::StorageFull
        }
        TantivyError::OpenWriteError(OpenWriteError::FileAlreadyExists(_))
        | TantivyError::OpenDirectoryError(
            OpenDirectoryError::DoesNotExist(_)
            | OpenDirectoryError::NotADirectory(_)
            | OpenDirectoryError::FailedToCreateTempDir(_),
        )
        | TantivyError::AggregationError(_)
        | TantivyError::IndexAlreadyExists
        | TantivyError::Poisoned
        | TantivyError::InvalidArgument(_)
        | TantivyError::ErrorInThread(_)
        | TantivyError::IndexBuilderMissingArgument(_)
        | TantivyError::SystemError(_)
        | TantivyError::InternalError(_)
        | TantivyError::DeserializeError(_)
        | TantivyError::MissingPlugin(_)
        | TantivyError::ConflictingPlugins(_)
        | TantivyError::UnexpectedPlugin(_) => ErrorCode::Internal,
    }
}

/// Whether an error's text is that of a full disk: what fails on Tantivy's own threads comes back
/// as text only.
fn says_full(text: &str) -> bool {
    const TEXTS: [&str; 5] = [
        "StorageFull",
        "QuotaExceeded",
        "no storage space",
        "No space left on device",
        "quota exceeded",
    ];
    TEXTS.iter().any(|full| text.contains(full))
}

fn io_code(error: &io::Error) -> ErrorCode {
    use io::ErrorKind::{InvalidData, NotFound, QuotaExceeded, StorageFull, UnexpectedEof};
    let kind = error.kind();
    // Tantivy wraps some errors in others of kind `Other`.
    if matches!(kind, StorageFull | QuotaExceeded) || says_full(&error.to_string()) {
        ErrorCode::StorageFull
    } else if matches!(kind, InvalidData | UnexpectedEof | NotFound) {
        ErrorCode::Corrupt
    } else {
        ErrorCode::Internal
    }
}
