//! One JSON object to one document: the fields of JSONL, JSON and BEIR.

use std::sync::Arc;

use braid_core::{DocumentId, Format, Metadata, NewDocument};
use serde_json::{Map, Value};

use super::object::parse_object;
use super::{Item, SourceDocument, SourceFailure, SourceOptions, metadata};

/// Fields that mean something whatever the caller names.
const KNOWN: [&str; 6] = ["_id", "id", "title", "uri", "format", "metadata"];

/// Which fields hold what.
#[derive(Debug)]
pub(super) struct FieldNames {
    id: Option<String>,
    text: String,
}

/// A record that is found and not yet read.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) fields: Arc<FieldNames>,
    /// Its file and line or element.
    pub(super) name: String,
    /// Its JSON.
    pub(super) json: Vec<u8>,
    /// Bytes of the source it takes.
    pub(super) bytes: u64,
}

impl Record {
    pub(super) fn read(self) -> Item {
        let found = self.fields.read(&self.json);
        let Self { name, bytes, .. } = self;
        match found {
            Ok(document) => Ok(SourceDocument {
                document,
                name,
                bytes,
            }),
            Err((id, reason)) => Err(SourceFailure {
                name,
                id,
                reason,
                bytes,
            }),
        }
    }
}

impl FieldNames {
    pub(super) fn new(options: &SourceOptions) -> Self {
        let text = options.text_field.clone();
        Self {
            id: options.id_field.clone(),
            text: text.unwrap_or_else(|| "text".to_owned()),
        }
    }

    fn read(&self, json: &[u8]) -> Result<NewDocument, (Option<DocumentId>, String)> {
        let text = str::from_utf8(json).map_err(|error| {
            let at = error.valid_up_to();
            (None, format!("not valid UTF-8 at byte {at}"))
        })?;
        let object = parse_object(text, |name| self.is_wanted(name)).map_err(|why| (None, why))?;
        let id = self.id(&object).map_err(|reason| (None, reason))?;
        self.document(id.clone(), &object)
            .map_err(|reason| (Some(id), reason))
    }

    fn is_wanted(&self, name: &str) -> bool {
        KNOWN.contains(&name) || name == self.text || self.id.as_deref() == Some(name)
    }

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
