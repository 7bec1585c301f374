//! What is in one file: text as it is, other files through a parser.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use braid_core::limits::MAX_DOCUMENT_BYTES;
use braid_core::{ContentHash, DocumentId, Format, Metadata, NewDocument, Origin};

use super::{Item, KnownTexts, SourceDocument, SourceFailure, SourceOptions};
use crate::decode::decode;
use crate::file::isolated::{ParseError, Parser};
use crate::file::{FileKind, ParsedFile};

/// Bytes of a file that tell what is in it.
pub(super) const HEAD_BYTES: usize = 8 * 1024;

/// What reading files takes.
#[derive(Clone, Debug)]
pub(super) struct Means {
    parser: Option<Arc<Parser>>,
    known: Option<Arc<dyn KnownTexts>>,
}

/// What a file is by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    Text(Format),
    File(FileKind),
    /// Its content must tell.
    Nothing,
}

/// A file that is found and not yet read.
#[derive(Debug)]
pub(super) struct UnreadFile {
    pub(super) path: PathBuf,
    pub(super) named: Named,
    /// The id its document is to have, or why it can have none.
    pub(super) id: Result<DocumentId, String>,
    pub(super) bytes: u64,
    pub(super) means: Arc<Means>,
}

impl UnreadFile {
    pub(super) fn read(self) -> Item {
        let name = self.path.display().to_string();
        let failure = |id: Option<DocumentId>, reason: String| SourceFailure {
            name: name.clone(),
            id,
            reason,
            bytes: self.bytes,
        };
        let id = self.id.map_err(|reason| failure(None, reason))?;
        let (parsed, origin) = self
            .means
            .content(&id, &self.path, self.named)
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
            bytes: self.bytes,
        })
    }
}

impl Means {
    pub(super) fn new(options: &SourceOptions) -> Self {
        Self {
            parser: options.parser.clone(),
            known: options.known.clone(),
        }
    }

    /// What is in a file, and what its text was made of. Its content counts more than its name.
    fn content(
        &self,
        id: &DocumentId,
        path: &Path,
        named: Named,
    ) -> Result<(ParsedFile, Option<Origin>), String> {
        let head = read_up_to(path, HEAD_BYTES).map_err(|error| io_reason(&error))?;
        let kind = FileKind::of(&head).or(match named {
            Named::File(kind) => Some(kind),
            Named::Text(_) | Named::Nothing => None,
        });
        if let Some(kind) = kind {
            let (parsed, origin) = self.parse(kind, id, path)?;
            return Ok((parsed, Some(origin)));
        }
        let text = read_text(path)?;
        let format = match named {
            Named::Text(Format::Text) | Named::Nothing | Named::File(_) => text_format(&text),
            Named::Text(format) => format,
        };
        let title = None;
        let read = ParsedFile {
            text,
            format,
            title,
        };
        Ok((read, None))
    }

    fn parse(
        &self,
        kind: FileKind,
        id: &DocumentId,
        path: &Path,
    ) -> Result<(ParsedFile, Origin), String> {
        let Some(parser) = &self.parser else {
            return Err(format!("{} files are not read here", kind.as_str()));
        };
        let bytes = fs::metadata(path).map_err(|error| io_reason(&error))?.len();
        let refused = |error: ParseError| error.to_string();
        parser.limits().check_size(bytes).map_err(refused)?;
        // Hashed before it is parsed: a file that changes between the two differs from its hash at
        // the next look, and is parsed again.
        let origin = Origin {
            hash: hash(path).map_err(|error| io_reason(&error))?,
            parser: kind.parser().to_owned(),
        };
        let known = self.known.as_ref();
        let parsed = match known.and_then(|known| known.find(id, &origin)) {
            Some(known) => known,
            None => parser.parse(kind, path).map_err(refused)?,
        };
        Ok((parsed, origin))
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

/// The first bytes of a file.
pub(super) fn read_up_to(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(most as u64)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn read_text(path: &Path) -> Result<String, String> {
    let bytes = read_up_to(path, MAX_DOCUMENT_BYTES + 1).map_err(|error| io_reason(&error))?;
    if bytes.len() > MAX_DOCUMENT_BYTES {
        return Err(format!(
            "larger than the limit of {MAX_DOCUMENT_BYTES} bytes"
        ));
    }
    let text = decode(bytes)?;
    if text.trim().is_empty() {
        return Err("empty".to_owned());
    }
    Ok(text)
}

pub(super) fn io_reason(error: &io::Error) -> String {
    format!("cannot be read: {error}")
}
