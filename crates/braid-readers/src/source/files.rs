//! Files of a folder, or one file.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use braid_core::{CodeLanguage, DocumentId, Format};
use ignore::{DirEntry, Walk, WalkBuilder};

use super::SourceFailure;
use super::content::{HEAD_BYTES, Means, Named, UnreadFile, io_reason, read_up_to};
use super::unread::Work;
use crate::file::FileKind;

/// The documents under one root.
pub(super) struct Files {
    root: PathBuf,
    walk: Walk,
    means: Arc<Means>,
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
    Document {
        path: PathBuf,
        named: Named,
        bytes: u64,
    },
    Skipped(String),
    Folder,
}

impl Files {
    pub(super) fn new(root: PathBuf, means: Means) -> Self {
        let walk = walk(&root);
        let means = Arc::new(means);
        Self { root, walk, means }
    }

    /// The next document; what is passed over is counted in `skipped`.
    pub(super) fn next(&mut self, skipped: &mut BTreeMap<String, u64>) -> Option<Work> {
        for entry in self.walk.by_ref() {
            let found = entry
                .map_err(|error| walk_failure(&self.root, &error))
                .and_then(|entry| classify(&self.root, &entry));
            match found {
                Ok(Entry::Document { path, named, bytes }) => {
                    return Some(Work::File(UnreadFile {
                        id: document_id(&self.root, &path),
                        path,
                        named,
                        bytes,
                        means: Arc::clone(&self.means),
                    }));
                }
                Ok(Entry::Skipped(reason)) => *skipped.entry(reason).or_default() += 1,
                Ok(Entry::Folder) => {}
                Err(failure) => return Some(Work::Done(Err(failure))),
            }
        }
        None
    }
}

/// Bytes of every document under `root`.
pub(super) fn total_bytes(root: &Path) -> u64 {
    let documents = walk(root).filter_map(|entry| match classify(root, &entry.ok()?).ok()? {
        Entry::Document { bytes, .. } => Some(bytes),
        Entry::Skipped(_) | Entry::Folder => None,
    });
    documents.sum()
}

/// Hidden files and those a `.gitignore` names are not walked, inside a repository or not. Folders
/// are not entered through symbolic links, so a loop of links cannot be. A data directory of Braid's
/// own is passed by: ingesting changes it.
pub(super) fn walk(root: &Path) -> Walk {
    WalkBuilder::new(root)
        .ignore(false)
        .git_global(false)
        .require_git(false)
        .follow_links(false)
        .sort_by_file_path(Path::cmp)
        .filter_entry(|entry| !entry.path().join("ledger/data.mdb").is_file())
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
    let document = |named| Entry::Document {
        path: path.to_owned(),
        named,
        bytes: kind.len(),
    };
    Ok(match kind_of(path) {
        Ok(named) => document(named),
        // A file that was asked for by name is tried as text whatever it is called.
        Err(_) if is_named_by_caller => document(Named::Nothing),
        Err(reason) => match read_up_to(path, HEAD_BYTES) {
            Ok(head) if FileKind::of(&head).is_some() => document(Named::Nothing),
            Ok(_) | Err(_) => Entry::Skipped(reason),
        },
    })
}

/// What a file is by its extension, or why it is skipped.
fn kind_of(path: &Path) -> Result<Named, String> {
    let Some(extension) = path.extension() else {
        return Err("no file extension".to_owned());
    };
    let extension = extension.to_string_lossy().to_lowercase();
    if let Some(kind) = FileKind::named(&extension) {
        return Ok(Named::File(kind));
    }
    format_named(&extension).map(Named::Text)
}

fn format_named(extension: &str) -> Result<Format, String> {
    match extension {
        "md" | "markdown" => Ok(Format::Markdown),
        "txt" | "text" | "rst" => Ok(Format::Text),
        "html" | "htm" => Ok(Format::Html),
        "c" | "h" => Ok(Format::Code(CodeLanguage::C)),
        "go" => Ok(Format::Code(CodeLanguage::Go)),
        "java" => Ok(Format::Code(CodeLanguage::Java)),
        "js" | "mjs" | "cjs" | "jsx" => Ok(Format::Code(CodeLanguage::JavaScript)),
        "py" | "pyi" => Ok(Format::Code(CodeLanguage::Python)),
        "rs" => Ok(Format::Code(CodeLanguage::Rust)),
        "tsx" => Ok(Format::Code(CodeLanguage::Tsx)),
        "ts" | "mts" | "cts" => Ok(Format::Code(CodeLanguage::TypeScript)),
        "csv" | "tsv" | "tab" => Err(format!(
            "a table (.{extension}): name the file itself to ingest its rows"
        )),
        "json" => {
            Err("data (.json): name the file itself to ingest its objects as documents".to_owned())
        }
        "jsonl" | "ndjson" => Err(format!(
            "records (.{extension}): name the file itself to ingest them"
        )),
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

fn walk_failure(root: &Path, error: &ignore::Error) -> SourceFailure {
    SourceFailure {
        name: root.display().to_string(),
        id: None,
        reason: format!("cannot be walked: {error}"),
        bytes: 0,
    }
}
