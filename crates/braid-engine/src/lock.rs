//! One owner per data directory.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use braid_core::{Error, ErrorCode, Result};

/// Name of the lock file inside a data directory.
const LOCK_FILE: &str = "LOCK";

/// Proof that this process owns a data directory. The operating system releases the lock when the
/// process ends, however it ends; the file's text (the owner's pid) is only for people.
#[derive(Debug)]
pub(crate) struct DirectoryLock {
    file: File,
}

impl DirectoryLock {
    /// Takes the lock of `directory`, creating the directory if needed.
    ///
    /// # Errors
    /// [`DataDirLocked`](ErrorCode::DataDirLocked) naming the owner's pid when another process has
    /// it; [`Unavailable`](ErrorCode::Unavailable) when the directory cannot be made or written.
    pub(crate) fn acquire(directory: &Path) -> Result<Self> {
        let unusable = |error: std::io::Error| {
            Error::new(
                ErrorCode::Unavailable,
                format!("cannot use data directory {}: {error}", directory.display()),
            )
            .with_help("choose another with --data-dir or mend its permissions")
            .with_source(error)
        };
        std::fs::create_dir_all(directory).map_err(unusable)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(directory.join(LOCK_FILE))
            .map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(locked(directory, &mut file)),
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
        }
        // The text is only for people: a full disk must not keep what is stored from being served.
        if let Err(error) = write_pid(&mut file) {
            tracing::warn!(%error, "cannot write the owner's process id into the lock file");
        }
        Ok(Self { file })
    }
}

impl Drop for DirectoryLock {
    /// Closing the file would do, were it not for a child process: between its fork and its exec it
    /// has a copy of the file, and the lock would outlive this for as long.
    fn drop(&mut self) {
        if let Err(error) = self.file.unlock() {
            tracing::warn!(%error, "cannot release the lock of the data directory before it is closed");
        }
    }
}

fn write_pid(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    writeln!(file, "{}", std::process::id())
}

fn locked(directory: &Path, file: &mut File) -> Error {
    let mut text = String::new();
    // Best effort: the owner may be between truncating and writing.
    let _ = file.read_to_string(&mut text);
    let pid = text.trim();
    let owner = if pid.is_empty() {
        "another process".to_owned()
    } else {
        format!("process {pid}")
    };
    Error::new(
        ErrorCode::DataDirLocked,
        format!(
            "data directory {} is in use by {owner}",
            directory.display()
        ),
    )
    .with_help("talk to the running server with --server URL, or stop it first")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_owner_is_refused_and_told_the_pid() {
        let directory = tempfile::tempdir().unwrap();
        let first = DirectoryLock::acquire(directory.path()).unwrap();
        let error = DirectoryLock::acquire(directory.path()).unwrap_err();
        assert_eq!(error.code(), ErrorCode::DataDirLocked);
        let text = error.to_string();
        assert!(text.contains(&std::process::id().to_string()), "{text}");
        assert!(text.contains("--server"), "{text}");
        drop(first);
        DirectoryLock::acquire(directory.path()).unwrap();
    }

    #[test]
    fn a_copy_of_the_file_does_not_keep_the_lock() {
        let directory = tempfile::tempdir().unwrap();
        let first = DirectoryLock::acquire(directory.path()).unwrap();
        // What a child process has between its fork and its exec.
        let copy = first.file.try_clone().unwrap();
        drop(first);
        DirectoryLock::acquire(directory.path()).unwrap();
        drop(copy);
    }

    #[test]
    fn an_unusable_directory_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = DirectoryLock::acquire(&file).unwrap_err();
        assert!(error.to_string().contains("file"), "{error}");
    }
}
