//! Tables: rows as documents, columns as metadata.

use std::collections::BTreeMap;
use std::path::Path;

use braid_core::limits::{
    MAX_DOCUMENT_BYTES, MAX_METADATA_BYTES, MAX_METADATA_FIELDS, MAX_METADATA_KEY_BYTES,
    MAX_METADATA_VALUE_BYTES,
};
use braid_core::{DocumentId, Format, Metadata, MetadataValue, NewDocument};

use super::metadata::value_of;
use super::rows::{BadRow, MAX_ROW_BYTES, Row, Rows};
use super::seen::Position;
use super::unread::Work;
use super::{Item, SourceDocument, SourceFailure, SourceOptions};

/// Columns that are looked for where no other name is given.
const ID_COLUMNS: [&str; 2] = ["_id", "id"];
/// Digits that a number keeps.
const EXACT_DIGITS: usize = 15;

/// The documents of one file.
#[derive(Debug)]
pub(super) struct Table {
    name: String,
    /// What ids of rows without one begin with.
    stem: String,
    rows: Rows,
    columns: Columns,
    rows_per_document: usize,
    /// A row that ended a document before it was full, because it cannot be taken.
    bad: Option<BadRow>,
}

#[derive(Debug)]
struct Columns {
    names: Vec<String>,
    id: Option<usize>,
    text: Option<usize>,
    title: Option<usize>,
    /// Columns that can be metadata beside what the caller adds.
    room: usize,
    /// Bytes that their names and values may have.
    room_bytes: usize,
}

impl Table {
    /// Opens a file whose first row names the columns.
    ///
    /// # Errors
    /// What keeps it from being read, or a column that is asked for and is not there.
    pub(super) fn open(file: &Path, options: &SourceOptions) -> Result<Self, String> {
        let rows = Rows::open(file)?;
        let rows_per_document = options.rows_per_document.max(1);
        let stem = file
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        Ok(Self {
            name: file.display().to_string(),
            stem: stem.unwrap_or_default(),
            columns: Columns::new(rows.names().to_vec(), options)?,
            rows,
            rows_per_document,
            bad: None,
        })
    }

    /// The next document and the line it begins at.
    pub(super) fn next(&mut self) -> Option<(Work, Position)> {
        let (item, line) = self.next_item()?;
        Some((Work::Done(item), Position::Line(line)))
    }

    fn next_item(&mut self) -> Option<(Item, u64)> {
        if let Some(bad) = self.bad.take() {
            return Some(self.refuse(bad));
        }
        let mut rows = Vec::new();
        let mut bytes = 0;
        while rows.len() < self.rows_per_document && bytes < MAX_ROW_BYTES {
            match self.rows.next() {
                None => break,
                Some(Ok(row)) => {
                    bytes += row.bytes;
                    rows.push(row);
                }
                Some(Err(bad)) if rows.is_empty() => return Some(self.refuse(bad)),
                Some(Err(bad)) => {
                    self.bad = Some(bad);
                    break;
                }
            }
        }
        let line = rows.first()?.line;
        Some((self.document(&rows, bytes), line))
    }

    fn refuse(&self, bad: BadRow) -> (Item, u64) {
        let id = self.columns.id.filter(|_| self.rows_per_document == 1);
        let id = id.and_then(|at| bad.fields.get(at)?.clone());
        let failure = SourceFailure {
            id: id.and_then(|id| DocumentId::new(id).ok()),
            ..self.failure(bad.line, bad.bytes, bad.reason)
        };
        (Err(failure), bad.line)
    }

    fn document(&self, rows: &[Row], bytes: u64) -> Item {
        let (first, last) = (&rows[0], &rows[rows.len() - 1]);
        let failure = |id: Option<DocumentId>, reason: String| SourceFailure {
            id,
            ..self.failure(first.line, bytes, reason)
        };
        let id = self
            .id(first, last)
            .map_err(|reason| failure(None, reason))?;
        let text = self
            .text(rows)
            .map_err(|reason| failure(Some(id.clone()), reason))?;
        if text.trim().is_empty() {
            return Err(failure(Some(id), "empty".to_owned()));
        }
        let metadata = Metadata::new(self.columns.metadata(rows))
            .map_err(|error| failure(Some(id.clone()), format!("metadata {}", error.message())))?;
        let title = match rows {
            [row] => self.columns.title.map(|at| row.fields[at].clone()),
            _ => None,
        };
        let name = format!("{}:{}", self.name, first.line);
        Ok(SourceDocument {
            document: NewDocument {
                id,
                text,
                title: title.filter(|title| !title.is_empty()),
                uri: Some(name.clone()),
                format: Format::Text,
                metadata,
                origin: None,
            },
            name,
            bytes,
        })
    }

    /// The rows' texts. Each row repeats the names of the columns: a long header and many rows are
    /// far more than the file.
    fn text(&self, rows: &[Row]) -> Result<String, String> {
        let mut text = String::new();
        for (at, row) in rows.iter().enumerate() {
            if at > 0 {
                text.push_str("\n\n");
            }
            text.push_str(&self.columns.text(row));
            if text.len() > MAX_DOCUMENT_BYTES {
                return Err(format!(
                    "the text of these rows is larger than the limit of {MAX_DOCUMENT_BYTES} bytes"
                ));
            }
        }
        Ok(text)
    }

    /// The row's own id, or the file's name with the rows' numbers.
    fn id(&self, first: &Row, last: &Row) -> Result<DocumentId, String> {
        let id = match self.columns.id {
            _ if self.rows_per_document > 1 => {
                format!("{}#{}-{}", self.stem, first.number, last.number)
            }
            Some(at) if first.fields[at].is_empty() => {
                return Err(format!("column {:?} is empty", self.columns.names[at]));
            }
            Some(at) => first.fields[at].clone(),
            None => format!("{}#{}", self.stem, first.number),
        };
        DocumentId::new(id).map_err(|error| error.message().to_owned())
    }

    fn failure(&self, line: u64, bytes: u64, reason: String) -> SourceFailure {
        SourceFailure {
            name: format!("{}:{line}", self.name),
            id: None,
            reason,
            bytes,
        }
    }
}

impl Columns {
    fn new(names: Vec<String>, options: &SourceOptions) -> Result<Self, String> {
        let find = |wanted: &str| names.iter().position(|name| name == wanted);
        let chosen = |wanted: &Option<String>| match wanted {
            Some(wanted) => match find(wanted) {
                Some(at) => Ok(Some(at)),
                None => Err(format!(
                    "has no column {wanted:?}; its columns are {}",
                    names.join(", ")
                )),
            },
            None => Ok(None),
        };
        let id =
            chosen(&options.id_field)?.or_else(|| ID_COLUMNS.iter().find_map(|name| find(name)));
        let text = chosen(&options.text_field)?.or_else(|| find("text"));
        let title = find("title");
        let room = MAX_METADATA_FIELDS.saturating_sub(options.metadata.iter().count());
        Ok(Self {
            id,
            text,
            title,
            names,
            room,
            room_bytes: MAX_METADATA_BYTES.saturating_sub(options.metadata.bytes()),
        })
    }

    /// The text column, or every column with its name.
    fn text(&self, row: &Row) -> String {
        if let Some(at) = self.text {
            return row.fields[at].clone();
        }
        let filled = self.names.iter().zip(&row.fields);
        let line = |(name, field): (&String, &String)| match (name.is_empty(), field.is_empty()) {
            (_, true) => None,
            (true, false) => Some(field.clone()),
            (false, false) => Some(format!("{name}: {field}")),
        };
        let lines: Vec<String> = filled.filter_map(line).collect();
        lines.join("\n")
    }

    /// The columns that can be filtered on and that say the same in each row. Left out is what has
    /// no name, is too long for a filter, or beyond the limits.
    fn metadata(&self, rows: &[Row]) -> BTreeMap<String, MetadataValue> {
        let mut fields = BTreeMap::new();
        let mut room_bytes = self.room_bytes;
        for (at, name) in self.names.iter().enumerate() {
            let value = &rows[0].fields[at];
            let is_its_own = [self.text, self.title].contains(&Some(at));
            let fits = !name.is_empty()
                && name.len() <= MAX_METADATA_KEY_BYTES
                && !value.is_empty()
                && value.len() <= MAX_METADATA_VALUE_BYTES;
            let is_shared = rows.iter().all(|row| &row.fields[at] == value);
            if !is_its_own && fits && is_shared && fields.len() < self.room {
                let value = match Some(at) == self.id {
                    true => MetadataValue::String(value.clone()),
                    false => typed(value),
                };
                if let Some(left) = room_bytes.checked_sub(name.len() + value.bytes()) {
                    room_bytes = left;
                    fields.insert(name.clone(), value);
                }
            }
        }
        fields
    }
}

/// A number or a boolean where the text reads as one and loses nothing.
fn typed(text: &str) -> MetadataValue {
    match value_of(text) {
        MetadataValue::Number(_) if text.len() > EXACT_DIGITS => {
            MetadataValue::String(text.to_owned())
        }
        value @ (MetadataValue::Number(_) | MetadataValue::Bool(_)) => value,
        MetadataValue::String(_) | MetadataValue::Strings(_) => {
            MetadataValue::String(text.to_owned())
        }
    }
}
