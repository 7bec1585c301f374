//! XML as a stream of elements and text, with names that do not depend on a file's own prefixes.

use std::collections::HashMap;
use std::io::BufRead;

use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event as Raw};
use quick_xml::name::{Namespace, ResolveResult};
use quick_xml::reader::NsReader;

/// Most levels of elements.
const MAX_DEPTH: usize = 256;

/// Namespaces that mean something here, and the names they go by.
const NAMESPACES: [(&str, &str); 6] = [
    ("urn:oasis:names:tc:opendocument:xmlns:office:1.0", "office"),
    ("urn:oasis:names:tc:opendocument:xmlns:text:1.0", "text"),
    ("urn:oasis:names:tc:opendocument:xmlns:table:1.0", "table"),
    ("urn:oasis:names:tc:opendocument:xmlns:style:1.0", "style"),
    (
        "urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0",
        "svg",
    ),
    ("http://purl.org/dc/elements/1.1/", "dc"),
];

/// Attributes that mean something here, by local name.
const ATTRIBUTES: [&str; 7] = [
    "outline-level",
    "style-name",
    "list-style-name",
    "parent-style-name",
    "name",
    "level",
    "number-columns-repeated",
];

/// What comes next.
#[derive(Debug)]
pub(super) enum Event {
    Open(Element),
    Text(String),
    /// The element of that name ends.
    Close(String),
}

/// An element that begins.
#[derive(Debug)]
pub(super) struct Element {
    /// `text:p`, say; empty where it is of no known namespace.
    pub(super) name: String,
    attributes: HashMap<&'static str, String>,
}

impl Element {
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str)
    }
}

/// Reads events; an element without content opens and closes.
pub(super) struct Xml<R> {
    reader: NsReader<R>,
    buffer: Vec<u8>,
    depth: usize,
}

impl<R: BufRead> Xml<R> {
    pub(super) fn of(input: R) -> Self {
        let mut reader = NsReader::from_reader(input);
        reader.config_mut().expand_empty_elements = true;
        reader.config_mut().allow_dangling_amp = true;
        Self {
            reader,
            buffer: Vec::new(),
            depth: 0,
        }
    }

    /// The next event; `None` at the end.
    ///
    /// # Errors
    /// What is wrong with the XML.
    pub(super) fn next(&mut self) -> Result<Option<Event>, String> {
        loop {
            self.buffer.clear();
            let read = self.reader.read_resolved_event_into(&mut self.buffer);
            let (namespace, event) = read.map_err(|error| error.to_string())?;
            match event {
                Raw::Eof if self.depth > 0 => return Err("it ends within an element".to_owned()),
                Raw::Eof => return Ok(None),
                Raw::Start(start) => {
                    self.depth += 1;
                    if self.depth > MAX_DEPTH {
                        return Err(format!("elements are nested more than {MAX_DEPTH} deep"));
                    }
                    return Ok(Some(Event::Open(element(&namespace, &start))));
                }
                Raw::End(end) => {
                    self.depth = self.depth.saturating_sub(1);
                    let name = name(&namespace, end.local_name().as_ref());
                    return Ok(Some(Event::Close(name)));
                }
                Raw::Text(text) => return Ok(Some(Event::Text(text.xml10_content().into_owned()))),
                Raw::CData(text) => {
                    return Ok(Some(Event::Text(text.xml10_content().into_owned())));
                }
                Raw::GeneralRef(reference) => return Ok(Some(Event::Text(resolve(&reference)))),
                Raw::Comment(_) | Raw::Decl(_) | Raw::PI(_) | Raw::DocType(_) | Raw::Empty(_) => {}
            }
        }
    }
}

fn element(namespace: &ResolveResult<'_>, start: &BytesStart<'_>) -> Element {
    let name = name(namespace, start.local_name().as_ref());
    let mut attributes = HashMap::new();
    // An attribute that cannot be read is one that is not there.
    for attribute in start.attributes().flatten() {
        let local = attribute.key.local_name();
        let known = ATTRIBUTES.iter().find(|name| **name == local.as_ref());
        if let (Some(known), Ok(value)) =
            (known, attribute.normalized_value(XmlVersion::Implicit1_0))
        {
            attributes.insert(*known, value.into_owned());
        }
    }
    Element { name, attributes }
}

fn name(namespace: &ResolveResult<'_>, local: &str) -> String {
    let ResolveResult::Bound(Namespace(uri)) = namespace else {
        return String::new();
    };
    let known = NAMESPACES.iter().find(|(known, _)| known == uri);
    known.map_or_else(String::new, |(_, prefix)| format!("{prefix}:{local}"))
}

/// The characters that a reference stands for; none where it is not known.
fn resolve(reference: &BytesRef<'_>) -> String {
    match reference.resolve_char_ref() {
        Ok(Some(character)) => character.to_string(),
        Ok(None) => resolve_predefined_entity(reference)
            .unwrap_or_default()
            .to_owned(),
        Err(_) => String::new(),
    }
}
