//! JSON files: the objects of a top-level array, one after the other, or the one top-level object.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;

use super::elements::{Element, Elements};
use super::fields::{FieldNames, Record};
use super::seen::Position;
use super::unread::Work;
use super::{MAX_RECORD_BYTES, SourceFailure, SourceOptions};

/// The documents of one file.
#[derive(Debug)]
pub(super) struct JsonFile {
    name: String,
    elements: Elements<BufReader<File>>,
    fields: Arc<FieldNames>,
}

impl JsonFile {
    /// Opens a file that begins as an array or an object does.
    ///
    /// # Errors
    /// What keeps it from being read.
    pub(super) fn open(file: &Path, options: &SourceOptions) -> Result<Self, String> {
        let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
        let input = BufReader::with_capacity(1 << 16, File::open(file).map_err(unreadable)?);
        Ok(Self {
            name: file.display().to_string(),
            elements: Elements::open(input, MAX_RECORD_BYTES)?,
            fields: Arc::new(FieldNames::new(options)),
        })
    }

    /// The next element and its place.
    pub(super) fn next(&mut self) -> Option<(Work, Position)> {
        let element = self.elements.next()?;
        let position = match self.elements.is_array {
            true => Position::Element(self.elements.index()),
            false => Position::Anywhere,
        };
        let name = match position {
            Position::Element(index) => format!("{}[{index}]", self.name),
            Position::Line(_) | Position::Anywhere => self.name.clone(),
        };
        let bytes = self.elements.bytes;
        let work = match element {
            Element::Bytes(json) => Work::Record(Record {
                fields: Arc::clone(&self.fields),
                name,
                json: json.trim_ascii_start().to_vec(),
                bytes,
            }),
            Element::Bad(reason) => Work::Done(Err(SourceFailure {
                name,
                id: None,
                reason,
                bytes,
            })),
        };
        Some((work, position))
    }
}
