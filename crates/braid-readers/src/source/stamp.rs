//! Whether anything in a source may have changed, without reading it.

use std::fs::Metadata;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

use braid_core::Result;

use super::files::walk;
use super::{Source, SourceOptions};

/// What the files of some sources look like from outside: their paths, sizes, times and inodes.
/// Two that differ mean that something was written, added or removed in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp(u64);

/// Looks at every file of `paths` that an ingestion would look at. Blocks.
///
/// # Errors
/// As [`open`](super::open).
pub fn stamp(paths: &[PathBuf], options: &SourceOptions) -> Result<Stamp> {
    let mut hasher = DefaultHasher::new();
    for path in paths {
        let source = Source::of(path, options.format)?;
        // What cannot be walked cannot be read either, and is reported by whoever reads.
        for entry in walk(source.path()).flatten() {
            let metadata = std::fs::metadata(entry.path());
            if let Some(file) = metadata.ok().filter(Metadata::is_file) {
                entry.path().hash(&mut hasher);
                (file.len(), file.modified().ok(), number(&file)).hash(&mut hasher);
            }
        }
    }
    Ok(Stamp(hasher.finish()))
}

/// Tells a file from another one that took its place, where the system numbers files.
#[cfg(unix)]
fn number(file: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(file)
}

#[cfg(not(unix))]
fn number(_: &Metadata) -> u64 {
    0
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_stamp_tells_what_was_written_added_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let stamp = || stamp(&[folder.path().to_owned()], &SourceOptions::default()).unwrap();
        fs::write(at("a.md"), "one").unwrap();
        fs::write(at(".gitignore"), "*.tmp\ndata2\n").unwrap();
        let first = stamp();
        assert_eq!(stamp(), first);
        fs::write(at("a.md"), "other").unwrap();
        let written = stamp();
        assert_ne!(written, first);
        fs::create_dir(at("sub")).unwrap();
        fs::rename(at("a.md"), at("sub/a.md")).unwrap();
        let moved = stamp();
        assert_ne!(moved, written);
        // What is not ingested is not looked at.
        fs::write(at("x.tmp"), "x").unwrap();
        fs::write(at(".hidden.md"), "x").unwrap();
        fs::create_dir_all(at("data/ledger")).unwrap();
        fs::write(at("data/ledger/data.mdb"), "x").unwrap();
        assert_eq!(stamp(), moved);
        fs::remove_file(at("sub/a.md")).unwrap();
        assert_ne!(stamp(), moved);
    }

    #[test]
    fn a_path_that_is_not_there_has_no_stamp() {
        let absent = PathBuf::from("/nowhere/at/all");
        assert!(stamp(&[absent], &SourceOptions::default()).is_err());
    }
}
