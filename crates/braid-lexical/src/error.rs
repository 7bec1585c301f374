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
    use TantivyError as E;
    if let E::IoError(error)
    | E::OpenWriteError(OpenWriteError::IoError {
        io_error: error, ..
    })
    | E::OpenDirectoryError(OpenDirectoryError::IoError {
        io_error: error, ..
    })
    | E::OpenReadError(OpenReadError::IoError {
        io_error: error, ..
    })
    | E::LockFailure(LockError::IoError(error), _) = error
    {
        return io_code(error);
    }
    if let E::ErrorInThread(text) | E::InternalError(text) = error
        && says_full(text)
    {
        return ErrorCode::StorageFull;
    }
    if matches!(error, E::LockFailure(LockError::LockBusy, _)) {
        return ErrorCode::DataDirLocked;
    }
    if let E::IncompatibleIndex(_) | E::OpenReadError(OpenReadError::IncompatibleIndex(_)) = error {
        ErrorCode::UnsupportedVersion
    } else if matches!(
        error,
        E::OpenReadError(_) | E::DataCorruption(_) | E::SchemaError(_) | E::FieldNotFound(_)
    ) {
        ErrorCode::Corrupt
    } else {
        ErrorCode::Internal
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
