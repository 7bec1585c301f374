//! Document sources: folders, files, tables, JSON, JSONL and BEIR corpora, as one stream of documents.
//!
//! What cannot be read is a [`SourceFailure`] and the rest goes on. One document is in memory at a
//! time, besides a hash of every id seen; [`Parallel`] reads several at once, within a bound. Sources
//! are read in the order given and folders in path order, so the stream is the same each time.

mod content;
mod elements;
mod fields;
mod files;
mod format;
mod json;
mod lines;
mod metadata;
mod object;
mod parallel;
mod records;
mod rows;
mod seen;
mod stamp;
mod table;
mod unread;

#[cfg(test)]
mod json_tests;
#[cfg(test)]
mod table_tests;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use braid_core::limits::MAX_DOCUMENT_BYTES;
use braid_core::{DocumentId, Error, Metadata, NewDocument, Origin, Result};

use self::content::Means;
use self::files::Files;
use self::format::Source;
pub use self::format::SourceFormat;
use self::json::JsonFile;
pub use self::metadata::{from_object as metadata_from_json, parse_metadata};
pub use self::parallel::{Parallel, ReadAhead};
use self::records::Records;
use self::seen::{Place, Position, Seen};
pub use self::stamp::{Stamp, stamp};
use self::table::Table;
use self::unread::{Unread, Work};
use crate::file::ParsedFile;
use crate::file::isolated::Parser;

/// Longest record of JSON, in bytes: the largest document, with room for escapes and other fields.
const MAX_RECORD_BYTES: usize = 2 * MAX_DOCUMENT_BYTES;

/// What the caller of an ingestion chooses about its sources.
#[derive(Clone, Debug, Default)]
pub struct SourceOptions {
    /// How to read the paths.
    pub format: SourceFormat,
    /// JSON field or column that holds the id; `_id` or `id` where not given.
    pub id_field: Option<String>,
    /// JSON field or column that holds the text; `text` where not given.
    pub text_field: Option<String>,
    /// Rows of a table that make one document; 0 is taken as 1.
    pub rows_per_document: usize,
    /// Parses files that are not text; without it they are reported as not read.
    pub parser: Option<Arc<Parser>>,
    /// Texts that need not be extracted again.
    pub known: Option<Arc<dyn KnownTexts>>,
    /// Added to every document; replaces a field of the same name.
    pub metadata: Metadata,
}

/// Texts that were extracted from files before.
pub trait KnownTexts: Send + Sync + fmt::Debug {
    /// What the document was made of when its source was `origin`: as if it was parsed again. May
    /// block.
    fn find(&self, id: &DocumentId, origin: &Origin) -> Option<ParsedFile>;
}

/// A document and where it was found.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceDocument {
    /// The document.
    pub document: NewDocument,
    /// Its file, or file and line.
    pub name: String,
    /// Bytes of the source it took, for progress.
    pub bytes: u64,
}

/// Something that should have been a document and could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFailure {
    /// Its file, or file and line.
    pub name: String,
    /// Its id where that is known: a document that exists and cannot be read is not gone.
    pub id: Option<DocumentId>,
    /// What is wrong, lowercase, no trailing period.
    pub reason: String,
    /// Bytes of the source it took, for progress.
    pub bytes: u64,
}

impl fmt::Display for SourceFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.reason)
    }
}

/// One step of a source.
type Item = Result<SourceDocument, SourceFailure>;

/// Opens sources for reading.
///
/// # Errors
/// [`InvalidRequest`](braid_core::ErrorCode::InvalidRequest) for a path that does not exist or is
/// not what the format asks for; nothing has been read then.
pub fn open(paths: &[PathBuf], options: &SourceOptions) -> Result<Documents> {
    let sources = paths
        .iter()
        .map(|path| Source::of(path, options.format))
        .collect::<Result<Vec<_>>>()?;
    Ok(Documents {
        sources,
        next: 0,
        current: None,
        options: options.clone(),
        seen: Seen::default(),
        skipped: BTreeMap::new(),
    })
}

/// Bytes that reading `paths` to the end will take, for progress. Walks folders without reading more
/// of a file than tells what it is; what cannot be seen counts nothing.
///
/// # Errors
/// As [`open`].
pub fn total_bytes(paths: &[PathBuf], options: &SourceOptions) -> Result<u64> {
    let mut total = 0;
    for path in paths {
        total += match Source::of(path, options.format)? {
            Source::Files(root) => files::total_bytes(&root),
            Source::Records(file) | Source::Json(file) | Source::Table(file) => {
                fs::metadata(file).map_or(0, |it| it.len())
            }
        };
    }
    Ok(total)
}

/// The documents of some sources, in order. Made by [`open`].
#[derive(Debug)]
pub struct Documents {
    sources: Vec<Source>,
    next: usize,
    current: Option<Reading>,
    options: SourceOptions,
    seen: Seen,
    skipped: BTreeMap<String, u64>,
}

#[derive(Debug)]
enum Reading {
    Files(Box<Files>),
    Records(Box<Records>),
    Json(Box<JsonFile>),
    Table(Box<Table>),
}

impl Documents {
    /// Files that were passed over so far, counted by reason. Hidden and ignored files are not
    /// counted: they are not looked at.
    pub fn skipped(&self) -> &BTreeMap<String, u64> {
        &self.skipped
    }

    /// Finds the next step without reading it.
    fn find(&mut self) -> Option<Unread> {
        loop {
            let found = match &mut self.current {
                Some(Reading::Files(files)) => files
                    .next(&mut self.skipped)
                    .map(|work| (work, Position::Anywhere)),
                Some(Reading::Records(records)) => records.next(),
                Some(Reading::Json(file)) => file.next(),
                Some(Reading::Table(table)) => table.next(),
                None => None,
            };
            if let Some((work, position)) = found {
                return Some(self.unread(work, position));
            }
            let source = self.sources.get(self.next)?;
            self.next += 1;
            match self.start(source.clone()) {
                Ok(reading) => self.current = Some(reading),
                Err(failure) => {
                    return Some(self.unread(Work::Done(Err(failure)), Position::Anywhere));
                }
            }
        }
    }

    fn unread(&self, work: Work, position: Position) -> Unread {
        let source = self.next - 1;
        let place = Place { source, position };
        Unread { work, place }
    }

    fn start(&mut self, source: Source) -> Result<Reading, SourceFailure> {
        self.current = None;
        match source {
            Source::Files(root) => {
                let files = Files::new(root, Means::new(&self.options));
                Ok(Reading::Files(Box::new(files)))
            }
            Source::Records(file) => Records::open(&file, &self.options)
                .map(|records| Reading::Records(Box::new(records)))
                .map_err(|error| unopened(&file, error.to_string())),
            Source::Json(file) => JsonFile::open(&file, &self.options)
                .map(|json| Reading::Json(Box::new(json)))
                .map_err(|reason| unopened(&file, reason)),
            Source::Table(file) => Table::open(&file, &self.options)
                .map(|table| Reading::Table(Box::new(table)))
                .map_err(|reason| unopened(&file, reason)),
        }
    }

    /// Adds the caller's metadata and refuses an id that was there before. Items come in the order
    /// in which they were found.
    fn complete(&mut self, item: Item, place: Place) -> Item {
        let mut found = item?;
        let checked = match self.seen.insert(&found.document.id, place) {
            Some(first) => Err(Error::invalid(self.duplicate(first))),
            None => metadata::overlay(&found.document.metadata, &self.options.metadata),
        };
        match checked.and_then(|metadata| {
            found.document.metadata = metadata;
            found.document.check()
        }) {
            Ok(()) => Ok(found),
            Err(error) => Err(SourceFailure {
                name: found.name,
                id: Some(found.document.id),
                reason: error.message().to_owned(),
                bytes: found.bytes,
            }),
        }
    }

    fn duplicate(&self, first: Place) -> String {
        let source = self.sources[first.source].path().display();
        match first.position {
            Position::Anywhere => format!("duplicate id, first in {source}"),
            Position::Line(line) => format!("duplicate id, first at {source}:{line}"),
            Position::Element(index) => format!("duplicate id, first at {source}[{index}]"),
        }
    }
}

fn unopened(file: &Path, reason: String) -> SourceFailure {
    SourceFailure {
        name: file.display().to_string(),
        id: None,
        reason,
        bytes: 0,
    }
}

impl Iterator for Documents {
    type Item = Result<SourceDocument, SourceFailure>;

    fn next(&mut self) -> Option<Self::Item> {
        let Unread { work, place } = self.find()?;
        let item = work.read();
        Some(self.complete(item, place))
    }
}
