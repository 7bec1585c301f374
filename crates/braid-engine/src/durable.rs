//! Names of files are made durable by syncing the directories they stand in.

use std::path::Path;

use braid_core::{Error, ErrorCode, Result};

/// Syncs `directory` and every directory above it, up to and with `root`: afterwards what was
/// created in them is found after a power failure. Stores sync their contents, not their names.
///
/// # Errors
/// [`Unavailable`](ErrorCode::Unavailable) when a directory cannot be opened or synced.
pub(crate) fn sync_directories(directory: &Path, root: &Path) -> Result<()> {
    for directory in directory.ancestors() {
        sync_directory(directory)?;
        if directory == root {
            break;
        }
    }
    Ok(())
}

/// Syncs one directory, where the platform can.
pub(crate) fn sync_directory(directory: &Path) -> Result<()> {
    #[cfg(unix)]
    std::fs::File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| {
            Error::new(
                ErrorCode::Unavailable,
                format!("cannot sync directory {}: {error}", directory.display()),
            )
            .with_source(error)
        })?;
    Ok(())
}
