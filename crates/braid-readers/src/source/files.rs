//! Files of a folder, or one file.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use braid_core::limits::MAX_DOCUMENT_BYTES;
use braid_core::{DocumentId, Format, Metadata, NewDocument};
use ignore::{DirEntry, Walk, WalkBuilder};

use super::decode::decode;
use super::{Item, SourceDocument, SourceFailure};

/// The documents under one root.
pub(super) struct Files {
    root: PathBuf,
    walk: Walk,
}

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Files")
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

/// What a walk came upon.
enum Entry {
    Document { path: PathBuf, format: Format },
    Skipped(String),
    Folder,
}

impl Files {
    pub(super) fn new(root: PathBuf) -> Self {
        let walk = walk(&root);
        Self { root, walk }
    }

    /// The next document; what is passed over is counted in `skipped`.
    pub(super) fn next(&mut self, skipped: &mut BTreeMap<String, u64>) -> Option<Item> {
        for entry in self.walk.by_ref() {
            let found = entry
                .map_err(|error| walk_failure(&self.root, &error))
                .and_then(|entry| classify(&self.root, &entry));
            match found {
                Ok(Entry::Document { path, format }) => return Some(self.read(&path, format)),
                Ok(Entry::Skipped(reason)) => *skipped.entry(reason).or_default() += 1,
                Ok(Entry::Folder) => {}
                Err(failure) => return Some(Err(failure)),
            }
        }
        None
    }

    fn read(&self, path: &Path, format: Format) -> Item {
        let name = path.display().to_string();
        let failure = |id: Option<DocumentId>, reason: String| SourceFailure {
            name: name.clone(),
            id,
            reason,
            bytes: fs::metadata(path).map_or(0, |it| it.len()),
        };
        let id = document_id(&self.root, path).map_err(|reason| failure(None, reason))?;
        let (text, bytes) = read_text(path).map_err(|reason| failure(Some(id.clone()), reason))?;
        Ok(SourceDocument {
            document: NewDocument {
                id,
                text,
                title: None,
                uri: Some(name.clone()),
                format,
                metadata: Metadata::default(),
            },
            name,
            bytes,
        })
    }
}

/// Bytes of every document under `root`.
pub(super) fn total_bytes(root: &Path) -> u64 {
    let documents = walk(root).filter_map(|entry| match classify(root, &entry.ok()?).ok()? {
        Entry::Document { path, .. } => fs::metadata(path).ok(),
        Entry::Skipped(_) | Entry::Folder => None,
    });
    documents.map(|it| it.len()).sum()
}

/// Hidden files and those a `.gitignore` names are not walked, inside a repository or not. Folders
/// are not entered through symbolic links, so a loop of links cannot be.
fn walk(root: &Path) -> Walk {
    WalkBuilder::new(root)
        .ignore(false)
        .git_global(false)
        .require_git(false)
        .follow_links(false)
        .sort_by_file_path(Path::cmp)
        .build()
}

fn classify(root: &Path, entry: &DirEntry) -> Result<Entry, SourceFailure> {
    let path = entry.path();
    let kind = fs::metadata(path).map_err(|error| SourceFailure {
        name: path.display().to_string(),
        id: document_id(root, path).ok(),
        reason: io_reason(&error),
        bytes: 0,
    })?;
    if kind.is_dir() {
        return Ok(match entry.path_is_symlink() && entry.depth() > 0 {
            true => Entry::Skipped("symbolic link to a folder".to_owned()),
            false => Entry::Folder,
        });
    }
    if !kind.is_file() {
        return Ok(Entry::Skipped("not a regular file".to_owned()));
    }
    let is_named_by_caller = entry.depth() == 0;
    Ok(match format_of(path) {
        Ok(format) => Entry::Document {
            path: path.to_owned(),
            format,
        },
        // A file that was asked for by name is tried as text whatever it is called.
        Err(_) if is_named_by_caller => Entry::Document {
            path: path.to_owned(),
            format: Format::Text,
        },
        Err(reason) => Entry::Skipped(reason),
    })
}

/// A file's format by its extension, or why it is skipped.
fn format_of(path: &Path) -> Result<Format, String> {
    let Some(extension) = path.extension() else {
        return Err("no file extension".to_owned());
    };
    let extension = extension.to_string_lossy().to_lowercase();
    match extension.as_str() {
        "md" | "markdown" => Ok(Format::Markdown),
        "txt" | "text" | "rst" => Ok(Format::Text),
        "html" | "htm" => Ok(Format::Html),
        other => Err(format!("unsupported extension .{other}")),
    }
}

/// The path below the root with forward slashes; a single file's own name.
fn document_id(root: &Path, path: &Path) -> Result<DocumentId, String> {
    let relative = path
        .strip_prefix(root)
        .ok()
        .filter(|relative| !relative.as_os_str().is_empty())
        .or_else(|| path.file_name().map(Path::new))
        .unwrap_or(path);
    let parts: Option<Vec<&str>> = relative.iter().map(|part| part.to_str()).collect();
    let id = parts.ok_or("the file name is not valid UTF-8")?.join("/");
    DocumentId::new(id).map_err(|error| error.message().to_owned())
}

/// The text of a file and the bytes it took.
fn read_text(path: &Path) -> Result<(String, u64), String> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| {
            file.take(MAX_DOCUMENT_BYTES as u64 + 1)
                .read_to_end(&mut bytes)
        })
        .map_err(|error| io_reason(&error))?;
    if bytes.len() > MAX_DOCUMENT_BYTES {
        return Err(format!(
            "larger than the limit of {MAX_DOCUMENT_BYTES} bytes"
        ));
    }
    let size = bytes.len() as u64;
    let text = decode(bytes)?;
    if text.trim().is_empty() {
        return Err("empty".to_owned());
    }
    Ok((text, size))
}

fn io_reason(error: &io::Error) -> String {
    format!("cannot be read: {error}")
}

fn walk_failure(root: &Path, error: &ignore::Error) -> SourceFailure {
    SourceFailure {
        name: root.display().to_string(),
        id: None,
        reason: format!("cannot be walked: {error}"),
        bytes: 0,
    }
}
