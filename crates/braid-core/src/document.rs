//! Documents: what callers put in and get back.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::collection::Language;
use crate::duplicate::Duplicate;
use crate::error::{Error, Result};
use crate::hash::ContentHash;
use crate::id::{DocumentId, Sequence};
use crate::limits::{
    MAX_DOCUMENT_BYTES, MAX_METADATA_ARRAY, MAX_METADATA_BYTES, MAX_METADATA_FIELDS,
    MAX_METADATA_KEY_BYTES, MAX_METADATA_VALUE_BYTES, MAX_PARSER_BYTES, MAX_TITLE_BYTES,
};

/// How a document's text is to be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    /// Plain text: paragraphs and sentences, no headings.
    #[default]
    Text,
    /// CommonMark: ATX and setext headings give the heading path.
    Markdown,
    /// HTML: the main content, headings kept.
    Html,
    /// Source code, cut along its syntax; definitions give the heading path.
    Code(CodeLanguage),
}

/// A programming language whose syntax is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CodeLanguage {
    /// C, headers included.
    C,
    /// Go.
    Go,
    /// Java.
    Java,
    /// JavaScript, JSX included.
    JavaScript,
    /// Python.
    Python,
    /// Rust.
    Rust,
    /// TypeScript with JSX.
    Tsx,
    /// TypeScript.
    TypeScript,
}

impl CodeLanguage {
    /// Every language, by name.
    pub const ALL: [Self; 8] = [
        Self::C,
        Self::Go,
        Self::Java,
        Self::JavaScript,
        Self::Python,
        Self::Rust,
        Self::Tsx,
        Self::TypeScript,
    ];

    /// The language's name in the API, CLI and ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::C => "c",
            Self::Go => "go",
            Self::Java => "java",
            Self::JavaScript => "javascript",
            Self::Python => "python",
            Self::Rust => "rust",
            Self::Tsx => "tsx",
            Self::TypeScript => "typescript",
        }
    }
}

impl Format {
    /// Every format, in the order in which they are named to people.
    pub fn all() -> impl Iterator<Item = Self> {
        [Self::Text, Self::Markdown, Self::Html]
            .into_iter()
            .chain(CodeLanguage::ALL.map(Self::Code))
    }

    /// The format's name in the API, CLI and ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Markdown => "markdown",
            Self::Html => "html",
            Self::Code(language) => language.as_str(),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let named = Self::all().find(|format| format.as_str() == name);
        named.ok_or_else(|| {
            let names: Vec<&str> = Self::all().map(Self::as_str).collect();
            Error::invalid(format!(
                "unknown format {name:?}: use one of {}",
                names.join(", ")
            ))
        })
    }
}

/// One metadata value.
#[derive(Clone, Debug, PartialEq)]
pub enum MetadataValue {
    /// Text.
    String(String),
    /// A finite number.
    Number(f64),
    /// True or false.
    Bool(bool),
    /// Several strings; a filter matches when any of them does.
    Strings(Vec<String>),
}

impl MetadataValue {
    /// Bytes of the text, or of a number or boolean as it is stored.
    pub fn bytes(&self) -> usize {
        match self {
            Self::String(text) => text.len(),
            Self::Number(_) => size_of::<f64>(),
            Self::Bool(_) => 1,
            Self::Strings(texts) => texts.iter().map(String::len).sum(),
        }
    }
}

/// Metadata fields by key, in key order. Valid by construction: see [`Metadata::new`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata(BTreeMap<String, MetadataValue>);

impl Metadata {
    /// Checks and wraps fields.
    ///
    /// # Errors
    /// [`InvalidRequest`](crate::ErrorCode::InvalidRequest) with the JSON pointer of the first bad
    /// field, relative to the metadata object.
    pub fn new(fields: BTreeMap<String, MetadataValue>) -> Result<Self> {
        if fields.len() > MAX_METADATA_FIELDS {
            return Err(Error::invalid_field(
                "",
                format!(
                    "{} metadata fields, the limit is {MAX_METADATA_FIELDS}",
                    fields.len()
                ),
            ));
        }
        for (key, value) in &fields {
            check_field(key, value)
                .map_err(|detail| Error::invalid_field(format!("/{}", escape(key)), detail))?;
        }
        let metadata = Self(fields);
        let bytes = metadata.bytes();
        if bytes > MAX_METADATA_BYTES {
            let detail = format!(
                "{bytes} bytes of keys and values in all, the limit is {MAX_METADATA_BYTES}"
            );
            let help = "keep in the metadata what is filtered on, and put the rest into the text";
            return Err(Error::invalid_field("", detail).with_help(help));
        }
        Ok(metadata)
    }

    /// Wraps fields that were checked when they were handed in, by rules that may have changed since.
    pub fn stored(fields: BTreeMap<String, MetadataValue>) -> Self {
        Self(fields)
    }

    /// Bytes of all keys and values, as [`MAX_METADATA_BYTES`] counts them.
    pub fn bytes(&self) -> usize {
        let fields = self.0.iter();
        fields.map(|(key, value)| key.len() + value.bytes()).sum()
    }

    /// The value under `key`.
    pub fn get(&self, key: &str) -> Option<&MetadataValue> {
        self.0.get(key)
    }

    /// All fields, in key order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &MetadataValue)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// Whether there are no fields.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The fields themselves.
    pub fn into_fields(self) -> BTreeMap<String, MetadataValue> {
        self.0
    }
}

fn check_field(key: &str, value: &MetadataValue) -> Result<(), String> {
    if key.is_empty() || key.len() > MAX_METADATA_KEY_BYTES || key.chars().any(char::is_control) {
        return Err(format!(
            "a metadata key must have 1 to {MAX_METADATA_KEY_BYTES} bytes and no control characters"
        ));
    }
    let check_string = |text: &str| {
        (text.len() <= MAX_METADATA_VALUE_BYTES)
            .then_some(())
            .ok_or_else(|| format!("a metadata string may have {MAX_METADATA_VALUE_BYTES} bytes"))
    };
    match value {
        MetadataValue::String(text) => check_string(text),
        MetadataValue::Number(number) if !number.is_finite() => {
            Err("a metadata number must be finite".to_owned())
        }
        MetadataValue::Strings(texts) if texts.len() > MAX_METADATA_ARRAY => Err(format!(
            "a metadata array may have {MAX_METADATA_ARRAY} strings"
        )),
        MetadataValue::Strings(texts) => texts.iter().try_for_each(|text| check_string(text)),
        MetadataValue::Number(_) | MetadataValue::Bool(_) => Ok(()),
    }
}

/// Escapes one JSON pointer token (RFC 6901).
fn escape(token: &str) -> String {
    token.replace('~', "~0").replace('/', "~1")
}

/// What a text was made of, where it was not handed in as it is: the bytes of a file and the parser
/// that read them. The same bytes read by the same parser give the same text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// BLAKE3 hash of the file's bytes.
    pub hash: ContentHash,
    /// Name and version of the parser.
    pub parser: String,
}

/// A document as the caller hands it in.
#[derive(Clone, Debug, PartialEq)]
pub struct NewDocument {
    /// The caller's id.
    pub id: DocumentId,
    /// The raw text, in `format`.
    pub text: String,
    /// Title; where absent, the reader may find one in the text.
    pub title: Option<String>,
    /// Where the document came from; cited in results.
    pub uri: Option<String>,
    /// How to read `text`.
    pub format: Format,
    /// Filterable fields.
    pub metadata: Metadata,
    /// What `text` was made of, where it is not what was handed in.
    pub origin: Option<Origin>,
}

impl NewDocument {
    /// Checks the sizes that types do not already prove.
    ///
    /// # Errors
    /// [`TooLarge`](crate::ErrorCode::TooLarge) for the text, [`InvalidRequest`](crate::ErrorCode::InvalidRequest) for title or uri.
    pub fn check(&self) -> Result<()> {
        if self.text.len() > MAX_DOCUMENT_BYTES {
            return Err(Error::new(
                crate::ErrorCode::TooLarge,
                format!(
                    "text has {} bytes, the limit is {MAX_DOCUMENT_BYTES}",
                    self.text.len()
                ),
            ));
        }
        for (pointer, value) in [("/title", &self.title), ("/uri", &self.uri)] {
            if value
                .as_ref()
                .is_some_and(|text| text.len() > MAX_TITLE_BYTES)
            {
                return Err(Error::invalid_field(
                    pointer,
                    format!("may have {MAX_TITLE_BYTES} bytes"),
                ));
            }
        }
        let parser = self.origin.as_ref().map(|origin| origin.parser.as_str());
        if parser.is_some_and(|name| !is_parser_name(name)) {
            return Err(Error::invalid_field(
                "/origin/parser",
                format!("must have 1 to {MAX_PARSER_BYTES} bytes and no control characters"),
            ));
        }
        Ok(())
    }
}

fn is_parser_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_PARSER_BYTES && !name.chars().any(char::is_control)
}

/// Where a document stands between being acknowledged and being retrievable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DocumentStatus {
    /// The newest version is retrievable.
    Published,
    /// The newest version is staged; an older one, if any, is still retrievable.
    Pending,
    /// The newest version could not be indexed, for this reason.
    Failed(String),
}

/// A document without its text.
#[derive(Clone, Debug, PartialEq)]
pub struct DocumentSummary {
    /// The caller's id.
    pub id: DocumentId,
    /// Title, given or found.
    pub title: Option<String>,
    /// Source.
    pub uri: Option<String>,
    /// Format of the text handed in.
    pub format: Format,
    /// Filterable fields.
    pub metadata: Metadata,
    /// What the text was made of, where it was not handed in as it is.
    pub origin: Option<Origin>,
    /// Hash of the content that was handed in.
    pub content_hash: ContentHash,
    /// Number of chunks of the newest version.
    pub chunks: usize,
    /// The newest version's operation.
    pub sequence: Sequence,
    /// Where the newest version stands.
    pub status: DocumentStatus,
    /// When the newest version was acknowledged, Unix milliseconds.
    pub updated_at_ms: i64,
    /// The document that it was found to be a duplicate of when it was staged, if it was. That one
    /// may say something else since. When it is gone, its duplicates are of the oldest of them, and
    /// that one is none any more.
    pub duplicate: Option<Duplicate>,
    /// The language detected in it; `None` where the collection's setting names one, or none could
    /// be told.
    pub language: Option<Language>,
}

/// A document with the text that was handed in (its newest version).
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Everything but the text.
    pub summary: DocumentSummary,
    /// The text as handed in.
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many fields of 2,000 bytes, keys included.
    fn fields(count: usize) -> BTreeMap<String, MetadataValue> {
        let value = MetadataValue::Strings(vec!["v".repeat(990); 2]);
        (0..count)
            .map(|at| (format!("{at:020}"), value.clone()))
            .collect()
    }

    #[test]
    fn the_metadata_of_a_document_is_bounded_in_all() {
        let fits = MAX_METADATA_BYTES / 2000;
        let metadata = Metadata::new(fields(fits)).unwrap();
        assert_eq!(metadata.bytes(), fits * 2000);
        let error = Metadata::new(fields(fits + 1)).unwrap_err();
        assert_eq!(error.code(), crate::ErrorCode::InvalidRequest);
        let said = error.message().to_owned();
        assert!(said.contains("66000 bytes of keys and values"), "{said}");
        assert!(said.contains("65536"), "{said}");
        assert!(error.help().is_some());
        let stored = Metadata::stored(fields(fits + 1));
        assert_eq!(stored.bytes(), (fits + 1) * 2000);
    }
}
