//! JSONL and BEIR corpora: one JSON object per line.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;

use braid_core::limits::MAX_DOCUMENT_BYTES;
use braid_core::{DocumentId, Format, Metadata, NewDocument};
use serde_json::{Map, Value};

use super::lines::{Line, Lines};
use super::{Item, SourceDocument, SourceFailure, SourceOptions, metadata};

/// Longest line, in bytes: the largest document, with room for escapes and other fields.
const MAX_LINE_BYTES: usize = 2 * MAX_DOCUMENT_BYTES;

/// The records of one file.
#[derive(Debug)]
pub(super) struct Records {
    name: String,
    lines: Lines<BufReader<File>>,
    fields: FieldNames,
    is_over: bool,
}

#[derive(Debug)]
struct FieldNames {
    id: Option<String>,
    text: String,
}

impl Records {
    pub(super) fn open(file: &Path, options: &SourceOptions) -> io::Result<Self> {
        Ok(Self {
            name: file.display().to_string(),
            lines: Lines::new(
                BufReader::with_capacity(1 << 16, File::open(file)?),
                MAX_LINE_BYTES,
            ),
            fields: FieldNames {
                id: options.id_field.clone(),
                text: options
                    .text_field
                    .clone()
                    .unwrap_or_else(|| "text".to_owned()),
            },
            is_over: false,
        })
    }

    /// The next record and its line; empty lines are passed over.
    pub(super) fn next(&mut self) -> Option<(Item, u64)> {
        while !self.is_over {
            let read = self.lines.next();
            let item = match read {
                Ok(None) => {
                    self.is_over = true;
                    continue;
                }
                Ok(Some(Line::Bytes(bytes))) if bytes.trim_ascii().is_empty() => continue,
                Ok(Some(Line::Bytes(bytes))) => self.record(&bytes),
                Ok(Some(Line::TooLong)) => {
                    Err(self.failure(None, format!("line has more than {MAX_LINE_BYTES} bytes")))
                }
                Err(error) => {
                    self.is_over = true;
                    Err(self.failure(None, format!("cannot read on: {error}")))
                }
            };
            return Some((item, self.lines.number));
        }
        None
    }

    fn record(&self, line: &[u8]) -> Item {
        let line = match self.lines.number {
            1 => line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line),
            _ => line,
        };
        let text = str::from_utf8(line).map_err(|error| {
            self.failure(
                None,
                format!("not valid UTF-8 at byte {}", error.valid_up_to()),
            )
        })?;
        let object = parse_object(text).map_err(|reason| self.failure(None, reason))?;
        let id = self
            .fields
            .id(&object)
            .map_err(|reason| self.failure(None, reason))?;
        match self.fields.document(id.clone(), &object) {
            Ok(document) => Ok(SourceDocument {
                document,
                name: self.place(),
                bytes: self.lines.bytes,
            }),
            Err(reason) => Err(self.failure(Some(id), reason)),
        }
    }

    fn place(&self) -> String {
        format!("{}:{}", self.name, self.lines.number)
    }

    fn failure(&self, id: Option<DocumentId>, reason: String) -> SourceFailure {
        SourceFailure {
            name: self.place(),
            id,
            reason,
            bytes: self.lines.bytes,
        }
    }
}

fn parse_object(line: &str) -> Result<Map<String, Value>, String> {
    match serde_json::from_str(line) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err("not a JSON object".to_owned()),
        Err(error) => Err(format!(
            "not valid JSON at column {}: {}",
            error.column(),
            cause(&error)
        )),
    }
}

/// A JSON error's message without its place, which is counted from the line's own start.
fn cause(error: &serde_json::Error) -> String {
    let message = error.to_string();
    match message.rsplit_once(" at line ") {
        Some((cause, _)) => cause.to_owned(),
        None => message,
    }
}

impl FieldNames {
    fn id(&self, object: &Map<String, Value>) -> Result<DocumentId, String> {
        let (name, value) = match &self.id {
            Some(name) => (name.as_str(), object.get(name)),
            None => match object.get("_id") {
                Some(value) => ("_id", Some(value)),
                None => ("id", object.get("id")),
            },
        };
        let id = match value {
            Some(Value::String(id)) => id.clone(),
            Some(Value::Number(id)) => id.to_string(),
            Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) => {
                return Err(format!("{name:?} must be a string or a number"));
            }
            None => return Err(format!("has no {name:?}")),
        };
        DocumentId::new(id).map_err(|error| error.message().to_owned())
    }

    fn document(&self, id: DocumentId, object: &Map<String, Value>) -> Result<NewDocument, String> {
        let mut text =
            string(object, &self.text)?.ok_or_else(|| format!("has no {:?}", self.text))?;
        let mut title = string(object, "title")?.filter(|title| !title.trim().is_empty());
        if text.trim().is_empty() {
            // A corpus may hold titles alone: the title is then what the document says.
            text = title.take().ok_or("empty")?;
        }
        Ok(NewDocument {
            id,
            text,
            title,
            uri: string(object, "uri")?.filter(|uri| !uri.is_empty()),
            format: format(object)?,
            metadata: match object.get("metadata") {
                None | Some(Value::Null) => Metadata::default(),
                Some(Value::Object(fields)) => metadata::from_object(fields)?,
                Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
                    return Err("\"metadata\" must be an object".to_owned());
                }
            },
            origin: None,
        })
    }
}

fn format(object: &Map<String, Value>) -> Result<Format, String> {
    match string(object, "format")? {
        Some(name) => name
            .parse()
            .map_err(|error: braid_core::Error| error.message().to_owned()),
        None => Ok(Format::Text),
    }
}

/// A string field; absent and null are `None`.
fn string(object: &Map<String, Value>, name: &str) -> Result<Option<String>, String> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            Err(format!("{name:?} must be a string"))
        }
    }
}
