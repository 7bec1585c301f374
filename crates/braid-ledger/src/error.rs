//! What LMDB reports, as Braid's errors.

use braid_core::{CollectionId, Error, ErrorCode};
use heed::MdbError;

/// `ENOSPC` and `EDQUOT`: no space left, quota used up.
const DISK_FULL: [i32; 2] = [28, 122];

/// What LMDB reported, with the code a caller can act on.
pub(crate) fn storage(error: heed::Error) -> Error {
    let coded = match &error {
        heed::Error::Io(cause) if is_disk_full(cause) => disk_full(),
        heed::Error::Mdb(MdbError::MapFull) => map_full(),
        heed::Error::Mdb(MdbError::TxnFull) => Error::new(
            ErrorCode::TooLarge,
            "the request changes too much at once for one ledger transaction",
        )
        .with_help("send fewer documents in one request"),
        heed::Error::Mdb(MdbError::ReadersFull) => Error::new(
            ErrorCode::Overloaded,
            "too many queries read the ledger at once",
        ),
        heed::Error::Mdb(
            MdbError::Corrupted | MdbError::PageNotFound | MdbError::Invalid | MdbError::Panic,
        ) => corrupt("the ledger file is damaged"),
        heed::Error::Mdb(MdbError::VersionMismatch) => Error::new(
            ErrorCode::UnsupportedVersion,
            "the ledger file has an LMDB format that this build does not read",
        ),
        heed::Error::Io(_)
        | heed::Error::Mdb(_)
        | heed::Error::Encoding(_)
        | heed::Error::Decoding(_)
        | heed::Error::EnvAlreadyOpened => Error::internal("the ledger cannot be read or written"),
    };
    coded.with_source(error)
}

fn is_disk_full(cause: &std::io::Error) -> bool {
    cause
        .raw_os_error()
        .is_some_and(|code| DISK_FULL.contains(&code))
}

fn disk_full() -> Error {
    Error::new(
        ErrorCode::StorageFull,
        "the disk is full; nothing of the request was stored",
    )
    .with_help("free disk space and try again")
}

/// The storage map is full.
pub(crate) fn map_full() -> Error {
    Error::new(
        ErrorCode::StorageFull,
        "the storage map is full; nothing of the request was stored",
    )
    .with_help("raise storage.map_size_gib and restart, or delete documents")
}

/// Stored data failed a check.
pub(crate) fn corrupt(message: impl Into<String>) -> Error {
    Error::new(ErrorCode::Corrupt, message)
        .with_help("run `braid verify`, or restore the data directory from a backup")
}

/// No collection has this number (any more).
pub(crate) fn no_collection(id: CollectionId) -> Error {
    Error::new(
        ErrorCode::CollectionNotFound,
        format!("no collection numbered {}", id.0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(error: heed::Error, code: ErrorCode, help: Option<&str>) {
        let error = storage(error);
        assert_eq!(error.code(), code);
        let said = error.help().unwrap_or_default();
        assert!(said.contains(help.unwrap_or_default()), "{said}");
    }

    #[test]
    fn full_storage_names_its_remedy() {
        let disk = |code| heed::Error::Io(std::io::Error::from_raw_os_error(code));
        check(disk(28), ErrorCode::StorageFull, Some("free disk space"));
        check(disk(122), ErrorCode::StorageFull, Some("free disk space"));
        check(disk(5), ErrorCode::Internal, None);
        let map = heed::Error::Mdb(MdbError::MapFull);
        check(map, ErrorCode::StorageFull, Some("storage.map_size_gib"));
    }

    #[test]
    fn damage_is_told_from_defects() {
        let coded = |error| storage(heed::Error::Mdb(error)).code();
        assert_eq!(coded(MdbError::Corrupted), ErrorCode::Corrupt);
        assert_eq!(coded(MdbError::ReadersFull), ErrorCode::Overloaded);
        assert_eq!(coded(MdbError::BadDbi), ErrorCode::Internal);
    }
}
