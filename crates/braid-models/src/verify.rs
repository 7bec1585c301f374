//! Whether a model's files are what its manifest says.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::manifest::FileEntry;

/// One file's check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileCheck {
    /// Its name in the model directory.
    pub file: String,
    /// What was found.
    pub state: FileState,
}

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileState {
    /// As the manifest says.
    Good,
    /// Not there.
    Missing,
    /// Of another length.
    WrongSize {
        /// Bytes the manifest lists.
        expected: u64,
        /// Bytes found.
        found: u64,
    },
    /// Of the right length with other content.
    WrongHash {
        /// SHA-256 found.
        found: String,
    },
    /// There, but it could not be read.
    Unreadable(String),
}

impl FileState {
    /// Whether the file is as it should be.
    pub fn is_good(&self) -> bool {
        *self == Self::Good
    }

    /// What is wrong, for a person; `"good"` when nothing is.
    pub fn describe(&self) -> String {
        match self {
            Self::Good => "good".to_owned(),
            Self::Missing => "missing".to_owned(),
            Self::WrongSize { expected, found } => {
                format!("{found} bytes long instead of {expected}")
            }
            Self::WrongHash { .. } => "damaged (its SHA-256 differs)".to_owned(),
            Self::Unreadable(reason) => format!("not readable ({reason})"),
        }
    }
}

/// How closely files are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Presence and length.
    Sizes,
    /// The whole content.
    Hashes,
}

/// Checks every listed file of `dir`, in name order.
pub(crate) fn check_files(
    dir: &Path,
    files: &BTreeMap<String, FileEntry>,
    depth: Depth,
) -> Vec<FileCheck> {
    files
        .iter()
        .map(|(file, entry)| FileCheck {
            file: file.clone(),
            state: check_file(&dir.join(file), entry, depth)
                .unwrap_or_else(|error| unreadable(&error)),
        })
        .collect()
}

fn unreadable(error: &io::Error) -> FileState {
    if error.kind() == io::ErrorKind::NotFound {
        FileState::Missing
    } else {
        FileState::Unreadable(error.to_string())
    }
}

fn check_file(path: &Path, entry: &FileEntry, depth: Depth) -> io::Result<FileState> {
    let found = path.metadata()?.len();
    if found != entry.bytes {
        return Ok(FileState::WrongSize {
            expected: entry.bytes,
            found,
        });
    }
    if depth == Depth::Sizes {
        return Ok(FileState::Good);
    }
    let found = hash_file(path)?;
    Ok(if found == entry.sha256 {
        FileState::Good
    } else {
        FileState::WrongHash { found }
    })
}

/// SHA-256 of a file, lowercase hex.
pub(crate) fn hash_file(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0_u8; 1 << 18];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(hex(&digest.finalize()));
        }
        digest.update(&buffer[..read]);
    }
}

/// SHA-256 of a text, lowercase hex.
pub(crate) fn hash_text(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_damage_is_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let entry = FileEntry {
            bytes: 5,
            sha256: hash_text("hello"),
        };
        for name in ["good", "short", "flipped"] {
            let text = match name {
                "short" => "hell",
                "flipped" => "hallo",
                _ => "hello",
            };
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let names = ["flipped", "gone", "good", "short"];
        let files = names.map(|name| (name.to_owned(), entry.clone())).into();
        let states: Vec<_> = check_files(dir.path(), &files, Depth::Hashes)
            .into_iter()
            .map(|check| check.state)
            .collect();
        let expected = [
            FileState::WrongHash {
                found: hash_text("hallo"),
            },
            FileState::Missing,
            FileState::Good,
            FileState::WrongSize {
                expected: 5,
                found: 4,
            },
        ];
        assert_eq!(states, expected);
        let by_size = check_files(dir.path(), &files, Depth::Sizes);
        assert!(
            by_size[0].state.is_good(),
            "lengths alone do not see a flipped letter"
        );
    }

    #[test]
    fn hashes_are_sha_256() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(hash_text(""), empty);
    }
}
