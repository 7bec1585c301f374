//! Document sources: folders, files, tables, JSONL and BEIR corpora, as one stream of documents.
//!
//! What cannot be read is a [`SourceFailure`] and the rest goes on. One document is in memory at a
//! time, besides a hash of every id seen. Sources are read in the order given and folders in path
//! order, so the stream is the same each time.

mod decode;
mod files;
mod lines;
mod metadata;
mod records;
mod rows;
mod seen;
mod stamp;
mod table;
#[cfg(test)]
mod table_tests;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use braid_core::{DocumentId, Error, Metadata, NewDocument, Result};

use self::files::Files;
pub use self::metadata::parse_metadata;
use self::records::Records;
use self::seen::{Place, Seen};
pub use self::stamp::{Stamp, stamp};
use self::table::Table;
use crate::file::isolated::Parser;

/// The corpus file of a BEIR folder.
const BEIR_CORPUS: &str = "corpus.jsonl";

/// How the paths of an ingestion are to be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SourceFormat {
    /// Decided for each path: a folder with `corpus.jsonl` is BEIR, a `.jsonl` or `.ndjson` file is
    /// JSONL, a `.csv` or `.tsv` file is a table, everything else is files.
    #[default]
    Auto,
    /// A folder's documents, or one file.
    Files,
    /// One JSON object per line.
    Jsonl,
    /// A table whose first row names its columns: comma, tab, semicolon or bar separated.
    Csv,
    /// A BEIR folder: `corpus.jsonl` with `_id`, `title` and `text`.
    Beir,
}

impl FromStr for SourceFormat {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "auto" => Ok(Self::Auto),
            "files" => Ok(Self::Files),
            "jsonl" => Ok(Self::Jsonl),
            "csv" => Ok(Self::Csv),
            "beir" => Ok(Self::Beir),
            other => Err(Error::invalid(format!(
                "unknown source format {other:?}: use auto, files, jsonl, csv or beir"
            ))),
        }
    }
}

impl fmt::Display for SourceFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Files => "files",
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
            Self::Beir => "beir",
        })
    }
}

/// What the caller of an ingestion chooses about its sources.
#[derive(Clone, Debug, Default)]
pub struct SourceOptions {
    /// How to read the paths.
    pub format: SourceFormat,
    /// JSONL field or column that holds the id; `_id` or `id` where not given.
    pub id_field: Option<String>,
    /// JSONL field or column that holds the text; `text` where not given.
    pub text_field: Option<String>,
    /// Rows of a table that make one document; 0 is taken as 1.
    pub rows_per_document: usize,
    /// Parses files that are not text; without it they are reported as not read.
    pub parser: Option<Arc<Parser>>,
    /// Added to every document; replaces a field of the same name.
    pub metadata: Metadata,
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
            Source::Records(file) | Source::Table(file) => {
                fs::metadata(file).map_or(0, |it| it.len())
            }
        };
    }
    Ok(total)
}

#[derive(Clone, Debug)]
enum Source {
    Files(PathBuf),
    Records(PathBuf),
    Table(PathBuf),
}

impl Source {
    fn of(path: &Path, format: SourceFormat) -> Result<Self> {
        let found = fs::metadata(path).map_err(|error| {
            Error::invalid(format!("cannot read {}: {error}", path.display())).with_source(error)
        })?;
        let corpus = path.join(BEIR_CORPUS);
        match format {
            SourceFormat::Auto if found.is_dir() && corpus.is_file() => Ok(Self::Records(corpus)),
            SourceFormat::Auto if found.is_file() && is_jsonl(path) => {
                Ok(Self::Records(path.to_owned()))
            }
            SourceFormat::Auto if found.is_file() && rows::is_table(path) => {
                Ok(Self::Table(path.to_owned()))
            }
            SourceFormat::Auto | SourceFormat::Files => Ok(Self::Files(path.to_owned())),
            SourceFormat::Csv if found.is_file() => Ok(Self::Table(path.to_owned())),
            SourceFormat::Jsonl | SourceFormat::Beir if found.is_file() => {
                Ok(Self::Records(path.to_owned()))
            }
            SourceFormat::Beir if corpus.is_file() => Ok(Self::Records(corpus)),
            SourceFormat::Beir => Err(Error::invalid(format!(
                "{} has no {BEIR_CORPUS}",
                path.display()
            ))),
            SourceFormat::Jsonl | SourceFormat::Csv => Err(Error::invalid(format!(
                "{} is not a file; the {format} format reads files",
                path.display()
            ))),
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Files(path) | Self::Records(path) | Self::Table(path) => path,
        }
    }
}

fn is_jsonl(path: &Path) -> bool {
    has_extension(path, &["jsonl", "ndjson"])
}

fn has_extension(path: &Path, names: &[&str]) -> bool {
    let extension = path.extension();
    extension.is_some_and(|found| names.iter().any(|name| found.eq_ignore_ascii_case(name)))
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
    Table(Box<Table>),
}

impl Documents {
    /// Files that were passed over so far, counted by reason. Hidden and ignored files are not
    /// counted: they are not looked at.
    pub fn skipped(&self) -> &BTreeMap<String, u64> {
        &self.skipped
    }

    fn next_item(&mut self) -> Option<(Item, u64)> {
        loop {
            let item = match &mut self.current {
                Some(Reading::Files(files)) => files.next(&mut self.skipped).map(|it| (it, 0)),
                Some(Reading::Records(records)) => records.next(),
                Some(Reading::Table(table)) => table.next(),
                None => None,
            };
            if item.is_some() {
                return item;
            }
            let source = self.sources.get(self.next)?;
            self.next += 1;
            match self.start(source.clone()) {
                Ok(reading) => self.current = Some(reading),
                Err(failure) => return Some((Err(failure), 0)),
            }
        }
    }

    fn start(&mut self, source: Source) -> Result<Reading, SourceFailure> {
        self.current = None;
        match source {
            Source::Files(root) => {
                let parser = self.options.parser.clone();
                Ok(Reading::Files(Box::new(Files::new(root, parser))))
            }
            Source::Records(file) => Records::open(&file, &self.options)
                .map(|records| Reading::Records(Box::new(records)))
                .map_err(|error| unopened(&file, error.to_string())),
            Source::Table(file) => Table::open(&file, &self.options)
                .map(|table| Reading::Table(Box::new(table)))
                .map_err(|reason| unopened(&file, reason)),
        }
    }

    /// Adds the caller's metadata and refuses an id that was there before.
    fn complete(&mut self, mut found: SourceDocument, line: u64) -> Item {
        let place = Place {
            source: self.next - 1,
            line,
        };
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
        match first.line {
            0 => format!("duplicate id, first in {source}"),
            line => format!("duplicate id, first at {source}:{line}"),
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
        let (item, line) = self.next_item()?;
        Some(item.and_then(|found| self.complete(found, line)))
    }
}
