//! Documents on the wire.

use braid_core::{
    CodeLanguage, Document, DocumentId, DocumentStatus, DocumentSummary, Error, FieldError, Format,
    NewDocument, Origin, Result,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::duplicates::DuplicateAnswer;
use super::filter::FilterBody;
use super::metadata::{MetadataBody, metadata, metadata_body};
use super::object::{objects, optional_object};

/// A document to be stored under the id in the path.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutDocumentBody {
    /// The caller's id; where given it must equal the one in the path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The text, in `format`.
    pub text: String,
    /// Title; where absent, one found in the text is used.
    #[schema(max_length = 4096)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Where the document came from.
    #[schema(max_length = 4096)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// `text` (default), `markdown`, `html` or a programming language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<FormatName>,
    /// Filterable fields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<MetadataBody>,
    /// The file that `text` was extracted from, where the caller extracted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<OriginBody>,
}

/// How a document's text is read.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FormatName {
    /// Plain text.
    Text,
    /// CommonMark.
    Markdown,
    /// HTML; its main content.
    Html,
    /// C, headers included.
    C,
    /// Go.
    Go,
    /// Java.
    Java,
    /// JavaScript, JSX included.
    #[serde(rename = "javascript")]
    JavaScript,
    /// Python.
    Python,
    /// Rust.
    Rust,
    /// TypeScript with JSX.
    Tsx,
    /// TypeScript.
    #[serde(rename = "typescript")]
    TypeScript,
}

/// A document of a bulk request.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DocumentBody {
    /// The caller's id: 1 to 480 bytes without control characters.
    #[schema(min_length = 1, max_length = 480)]
    pub id: String,
    /// The text, in `format`.
    pub text: String,
    /// Title; where absent, one found in the text is used.
    #[schema(max_length = 4096)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Where the document came from.
    #[schema(max_length = 4096)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// `text` (default), `markdown`, `html` or a programming language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<FormatName>,
    /// Filterable fields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<MetadataBody>,
    /// The file that `text` was extracted from, where the caller extracted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<OriginBody>,
}

/// Several documents.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BulkBody {
    /// The documents: 1 to 10,000; of several with one id the first is taken.
    #[schema(min_items = 1, max_items = 10_000)]
    #[serde(deserialize_with = "objects")]
    pub documents: Vec<DocumentBody>,
}

/// Which documents to delete: exactly one of `ids` and `filter`.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteDocumentsBody {
    /// These documents.
    #[schema(min_items = 1, max_items = 10_000)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<Vec<String>>,
    /// Documents whose metadata passes; it must not be empty.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "optional_object"
    )]
    pub filter: Option<FilterBody>,
}

impl From<FormatName> for Format {
    fn from(name: FormatName) -> Self {
        match name {
            FormatName::Text => Self::Text,
            FormatName::Markdown => Self::Markdown,
            FormatName::Html => Self::Html,
            FormatName::C => Self::Code(CodeLanguage::C),
            FormatName::Go => Self::Code(CodeLanguage::Go),
            FormatName::Java => Self::Code(CodeLanguage::Java),
            FormatName::JavaScript => Self::Code(CodeLanguage::JavaScript),
            FormatName::Python => Self::Code(CodeLanguage::Python),
            FormatName::Rust => Self::Code(CodeLanguage::Rust),
            FormatName::Tsx => Self::Code(CodeLanguage::Tsx),
            FormatName::TypeScript => Self::Code(CodeLanguage::TypeScript),
        }
    }
}

impl PutDocumentBody {
    /// The document under the id of the path.
    ///
    /// # Errors
    /// `InvalidRequest` naming every bad field, `TooLarge` for the text.
    pub fn into_document(self, id: DocumentId) -> Result<NewDocument> {
        if self.id.as_deref().is_some_and(|given| given != id.as_str()) {
            return Err(Error::invalid_field(
                "/id",
                "differs from the id in the path",
            ));
        }
        let Self {
            id: _,
            text,
            title,
            uri,
            format,
            metadata,
            origin,
        } = self;
        let id = id.as_str().to_owned();
        DocumentBody {
            id,
            text,
            title,
            uri,
            format,
            metadata,
            origin,
        }
        .into_document("")
    }
}

impl DocumentBody {
    /// The checked document; `pointer` is where this body stands in the request.
    ///
    /// # Errors
    /// `InvalidRequest` naming the bad field, `TooLarge` for the text.
    pub fn into_document(self, pointer: &str) -> Result<NewDocument> {
        let id = DocumentId::new(self.id)
            .map_err(|error| Error::invalid_field(format!("{pointer}/id"), error.message()))?;
        let metadata = metadata(self.metadata.unwrap_or_default())
            .map_err(|error| moved(error, &format!("{pointer}/metadata")))?;
        let document = NewDocument {
            id,
            text: self.text,
            title: self.title,
            uri: self.uri,
            format: self.format.map_or_else(Format::default, Format::from),
            metadata,
            origin: self
                .origin
                .map(Origin::try_from)
                .transpose()
                .map_err(|error| {
                    Error::invalid_field(format!("{pointer}/origin/hash"), error.message())
                })?,
        };
        document.check().map_err(|error| moved(error, pointer))?;
        Ok(document)
    }
}

/// `error` with its fields' pointers moved below `pointer`.
pub(crate) fn moved(error: Error, pointer: &str) -> Error {
    let fields: Vec<FieldError> = error
        .fields()
        .iter()
        .map(|field| FieldError::new(format!("{pointer}{}", field.pointer), field.detail.clone()))
        .collect();
    match fields.first() {
        None => error,
        Some(first) => {
            let message = format!("{}: {}", first.pointer, first.detail);
            Error::new(error.code(), message).with_fields(fields)
        }
    }
}

/// What a write of one document did.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct WriteAnswer {
    /// The document.
    pub id: String,
    /// `created`, `replaced`, `unchanged`, `deleted`, `absent`, or `duplicate` for one that was
    /// skipped.
    pub result: String,
    /// The write's place in the collection's log; `null` when nothing was written.
    pub sequence: Option<u64>,
    /// The document that it is a duplicate of, where one was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicate: Option<DuplicateAnswer>,
}

/// The file that a text was extracted from.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OriginBody {
    /// BLAKE3 hash of the file's bytes, hexadecimal.
    #[schema(min_length = 64, max_length = 64, pattern = "^[0-9a-f]{64}$")]
    pub hash: String,
    /// Name and version of the parser.
    #[schema(min_length = 1, max_length = 128)]
    pub parser: String,
}

/// A document without its text.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct DocumentSummaryAnswer {
    /// The caller's id.
    pub id: String,
    /// Title, given or found.
    pub title: Option<String>,
    /// Source.
    pub uri: Option<String>,
    /// Format of the text handed in.
    pub format: String,
    /// Filterable fields.
    pub metadata: MetadataBody,
    /// What the text was made of; `null` where it is as it was handed in.
    pub origin: Option<OriginBody>,
    /// Hash of the content, hexadecimal.
    pub content_hash: String,
    /// Number of chunks.
    pub chunks: usize,
    /// The newest version's place in the log.
    pub sequence: u64,
    /// `published`, `pending` or `failed`.
    pub status: String,
    /// Why it failed.
    pub failure: Option<String>,
    /// When the newest version was acknowledged, Unix milliseconds.
    pub updated_at_ms: i64,
    /// The document that it was found to be a duplicate of when it was stored, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicate: Option<DuplicateAnswer>,
    /// The language detected in it, `none` for one without an analyzer of its own; `null` where the
    /// collection names its language, or none could be told.
    pub language: Option<String>,
}

/// A document with its text.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct DocumentAnswer {
    /// Everything but the text.
    #[serde(flatten)]
    pub summary: DocumentSummaryAnswer,
    /// The text as handed in.
    pub text: String,
}

/// One page of documents.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct DocumentsAnswer {
    /// In id order.
    pub documents: Vec<DocumentSummaryAnswer>,
    /// The next page's `cursor`; `null` on the last.
    pub next_cursor: Option<String>,
}

impl TryFrom<OriginBody> for Origin {
    type Error = Error;

    fn try_from(body: OriginBody) -> Result<Self> {
        Ok(Self {
            hash: body.hash.parse()?,
            parser: body.parser,
        })
    }
}

impl From<Origin> for OriginBody {
    fn from(origin: Origin) -> Self {
        Self {
            hash: origin.hash.to_string(),
            parser: origin.parser,
        }
    }
}

impl From<DocumentSummary> for DocumentSummaryAnswer {
    fn from(summary: DocumentSummary) -> Self {
        let (status, failure) = match summary.status {
            DocumentStatus::Published => ("published", None),
            DocumentStatus::Pending => ("pending", None),
            DocumentStatus::Failed(reason) => ("failed", Some(reason)),
        };
        Self {
            id: summary.id.as_str().to_owned(),
            title: summary.title,
            uri: summary.uri,
            format: summary.format.as_str().to_owned(),
            metadata: metadata_body(summary.metadata),
            origin: summary.origin.map(OriginBody::from),
            content_hash: summary.content_hash.to_string(),
            chunks: summary.chunks,
            sequence: summary.sequence.0,
            status: status.to_owned(),
            failure,
            updated_at_ms: summary.updated_at_ms,
            duplicate: summary.duplicate.map(DuplicateAnswer::from),
            language: summary.language.map(|language| language.to_string()),
        }
    }
}

impl From<Document> for DocumentAnswer {
    fn from(document: Document) -> Self {
        Self {
            summary: document.summary.into(),
            text: document.text,
        }
    }
}
