//! Engine errors in Braid's words.

use std::io;

use braid_core::{Error, ErrorCode};
use heed::MdbError;

const REBUILD: &str = "run `braid collection rebuild NAME`";

/// Translates an error of hannoy or of the LMDB below it.
pub(super) fn translate(error: impl Into<hannoy::Error>) -> Error {
    let error = error.into();
    match error {
        hannoy::Error::Heed(heed) => translate_heed(heed),
        hannoy::Error::Io(io) => translate_io(io),
        hannoy::Error::InvalidVecDimension { expected, received } => Error::invalid(format!(
            "the vector has dimension {received}, the store has dimension {expected}"
        )),
        hannoy::Error::UnmatchingDistance { .. }
        | hannoy::Error::MissingMetadata(_)
        | hannoy::Error::NeedBuild(_)
        | hannoy::Error::MissingKey { .. }
        | hannoy::Error::CannotDecodeKeyMode { .. }
        | hannoy::Error::UnknownVersion { .. } => corrupt("the vector graph").with_source(error),
        hannoy::Error::DatabaseFull
        | hannoy::Error::InvalidItemAppend
        | hannoy::Error::BuildCancelled => {
            Error::internal("the vector graph refused the change").with_source(error)
        }
    }
}

fn translate_heed(error: heed::Error) -> Error {
    match error {
        heed::Error::Mdb(mdb) => translate_mdb(mdb),
        heed::Error::Io(io) => translate_io(io),
        heed::Error::Decoding(source) => corrupt("a stored vector record").with_source(source),
        heed::Error::Encoding(source) => {
            Error::internal("a vector record cannot be encoded").with_source(source)
        }
        heed::Error::EnvAlreadyOpened => {
            Error::internal("the vector store is open with other options").with_source(error)
        }
    }
}

fn translate_mdb(error: MdbError) -> Error {
    // LMDB has some thirty codes and may grow more: what is not named here is a defect of ours.
    #[expect(clippy::wildcard_enum_match_arm)]
    match error {
        MdbError::MapFull => Error::new(ErrorCode::StorageFull, "the vector store's map is full")
            .with_help("raise storage.map_size_gib"),
        MdbError::ReadersFull => Error::new(
            ErrorCode::Overloaded,
            "the vector store has too many pinned views",
        ),
        MdbError::Corrupted
        | MdbError::PageNotFound
        | MdbError::Panic
        | MdbError::Invalid
        | MdbError::VersionMismatch
        | MdbError::Incompatible => corrupt("the vector store").with_source(error),
        _ => Error::internal("the vector store failed").with_source(error),
    }
}

/// Translates an I/O error of the store's files.
pub(super) fn translate_io(error: io::Error) -> Error {
    let is_full = matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    );
    if is_full {
        return Error::new(ErrorCode::StorageFull, "the disk is full")
            .with_help("free disk space or move the data directory")
            .with_source(error);
    }
    Error::new(ErrorCode::Unavailable, "cannot access the vector store").with_source(error)
}

/// An error that says `what` failed a check, and how to mend it.
pub(super) fn corrupt(what: &str) -> Error {
    Error::new(ErrorCode::Corrupt, format!("{what} is damaged")).with_help(REBUILD)
}
