//! Files of a folder, or one file.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use braid_core::limits::MAX_DOCUMENT_BYTES;
use braid_core::{CodeLanguage, ContentHash, DocumentId, Format, Metadata, NewDocument, Origin};
use ignore::{DirEntry, Walk, WalkBuilder};

use super::decode::decode;
use super::{Item, SourceDocument, SourceFailure};
use crate::file::isolated::Parser;
use crate::file::{FileKind, ParsedFile};

/// Bytes of a file that tell what is in it.
const HEAD_BYTES: usize = 8 * 1024;

/// The documents under one root.
pub(super) struct Files {
    root: PathBuf,
    walk: Walk,
    parser: Option<Arc<Parser>>,
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
    Document { path: PathBuf, named: Named },
    Skipped(String),
    Folder,
}

/// What a file is by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    Text(Format),
    File(FileKind),
    /// Its content must tell.
    Nothing,
}

impl Files {
    pub(super) fn new(root: PathBuf, parser: Option<Arc<Parser>>) -> Self {
        let walk = walk(&root);
        Self { root, walk, parser }
    }

    /// The next document; what is passed over is counted in `skipped`.
    pub(super) fn next(&mut self, skipped: &mut BTreeMap<String, u64>) -> Option<Item> {
        for entry in self.walk.by_ref() {
            let found = entry
                .map_err(|error| walk_failure(&self.root, &error))
                .and_then(|entry| classify(&self.root, &entry));
            match found {
                Ok(Entry::Document { path, named }) => return Some(self.read(&path, named)),
                Ok(Entry::Skipped(reason)) => *skipped.entry(reason).or_default() += 1,
                Ok(Entry::Folder) => {}
                Err(failure) => return Some(Err(failure)),
            }
        }
        None
    }

    fn read(&self, path: &Path, named: Named) -> Item {
        let name = path.display().to_string();
        let failure = |id: Option<DocumentId>, reason: String| SourceFailure {
            name: name.clone(),
            id,
            reason,
            bytes: fs::metadata(path).map_or(0, |it| it.len()),
        };
        let id = document_id(&self.root, path).map_err(|reason| failure(None, reason))?;
        let Content {
            parsed,
            origin,
            bytes,
        } = self
            .content(path, named)
            .map_err(|reason| failure(Some(id.clone()), reason))?;
        Ok(SourceDocument {
            document: NewDocument {
                id,
                text: parsed.text,
                title: parsed.title,
                uri: Some(name.clone()),
                format: parsed.format,
                metadata: Metadata::default(),
                origin,
            },
            name,
            bytes,
        })
    }
}

/// What is in a file.
struct Content {
    parsed: ParsedFile,
    origin: Option<Origin>,
    /// Bytes of the file.
    bytes: u64,
}

impl Files {
    /// What is in a file. Its content counts more than its name.
    fn content(&self, path: &Path, named: Named) -> Result<Content, String> {
        let head = read_up_to(path, HEAD_BYTES).map_err(|error| io_reason(&error))?;
        let kind = FileKind::of(&head).or(match named {
            Named::File(kind) => Some(kind),
            Named::Text(_) | Named::Nothing => None,
        });
        match kind {
            Some(kind) => self.parse(kind, path),
            None => read_text(path).map(|(text, bytes)| Content {
                parsed: ParsedFile {
                    format: match named {
                        Named::Text(Format::Text) | Named::Nothing | Named::File(_) => {
                            text_format(&text)
                        }
                        Named::Text(format) => format,
                    },
                    text,
                    title: None,
                },
                origin: None,
                bytes,
            }),
        }
    }

    fn parse(&self, kind: FileKind, path: &Path) -> Result<Content, String> {
        let Some(parser) = &self.parser else {
            return Err(format!("{} files are not read here", kind.as_str()));
        };
        let bytes = fs::metadata(path).map_err(|error| io_reason(&error))?.len();
        let most = parser.limits().file_bytes;
        if bytes > most {
            return Err(format!("larger than the limit of {most} bytes"));
        }
        // Hashed before it is parsed: a file that changes between the two differs from its hash at
        // the next look, and is parsed again.
        let origin = Origin {
            hash: hash(path).map_err(|error| io_reason(&error))?,
            parser: kind.parser().to_owned(),
        };
        Ok(Content {
            parsed: parser.parse(kind, path)?,
            origin: Some(origin),
            bytes,
        })
    }
}

/// The hash of a file's bytes.
fn hash(path: &Path) -> io::Result<ContentHash> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(path)?)?;
    Ok(ContentHash(*hasher.finalize().as_bytes()))
}

/// HTML where a text begins like it, else plain text.
fn text_format(text: &str) -> Format {
    let begins = |mark: &str| {
        let start = text.trim_start().get(..mark.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(mark))
    };
    match begins("<!doctype html") || begins("<html") {
        true => Format::Html,
        false => Format::Text,
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
    let document = |named| Entry::Document {
        path: path.to_owned(),
        named,
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

/// The first bytes of a file.
fn read_up_to(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(most as u64)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The text of a file and the bytes it took.
fn read_text(path: &Path) -> Result<(String, u64), String> {
    let bytes = read_up_to(path, MAX_DOCUMENT_BYTES + 1).map_err(|error| io_reason(&error))?;
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
