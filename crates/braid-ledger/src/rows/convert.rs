//! Rows to and from the vocabulary.

use std::sync::Arc;

use braid_core::operation::{CollectionStats, OperationKind};
use braid_core::ports::StoredResponse;
use braid_core::{
    ChunkingOverride, ChunkingSettings, CodeLanguage, Collection, CollectionId, CollectionName,
    CollectionSettings, ContentHash, DocumentId, DocumentStatus, DocumentSummary,
    DuplicateSettings, Error, Fingerprint, Format, FormatFamily, FormatOverrides, Generation,
    Language, Metadata, MetadataValue, NewCollection, Operation, Origin, PipelineFingerprint,
    Result, Sequence, Synonyms,
};

use super::{
    CodeRow, CollectionRow, CountersRow, DuplicateRow, FormatRow, OperationRow, OriginRow,
    OverrideRow, ResponseRow, ValueRow, VersionRow, slots,
};
use crate::error::corrupt;

fn damaged(error: Error) -> Error {
    corrupt("a stored row is damaged").with_source(error)
}

/// A stored document id.
pub(crate) fn document_id(id: String) -> Result<DocumentId> {
    DocumentId::new(id).map_err(damaged)
}

/// A stored name of a language.
pub(crate) fn language(name: Option<String>) -> Result<Option<Language>> {
    name.map(|name| name.parse()).transpose().map_err(damaged)
}

impl CollectionRow {
    /// The row of a collection's first generation.
    pub(crate) fn new(new: &NewCollection, created_at_ms: i64) -> Self {
        let mut row = Self {
            name: new.name.to_string(),
            language: String::new(),
            strategy: String::new(),
            target_tokens: 0,
            overlap_tokens: 0,
            embedder: String::new(),
            chunker: String::new(),
            analyzer: String::new(),
            dimension: new.dimension as u64,
            generation: 1,
            created_at_ms,
            duplicates: String::new(),
            duplicates_min_percent: 0,
            formats: Vec::new(),
        };
        row.set_settings(&new.settings);
        row.set_fingerprint(&new.fingerprint);
        row
    }

    pub(crate) fn set_settings(&mut self, settings: &CollectionSettings) {
        self.language = settings.language.to_string();
        self.strategy = settings.chunking.strategy.as_str().to_owned();
        self.target_tokens = settings.chunking.target_tokens as u64;
        self.overlap_tokens = settings.chunking.overlap_tokens as u64;
        settings
            .duplicates
            .action
            .as_str()
            .clone_into(&mut self.duplicates);
        self.duplicates_min_percent = settings.duplicates.min_percent;
        self.formats = override_rows(&settings.chunking.formats);
    }

    pub(crate) fn set_fingerprint(&mut self, fingerprint: &PipelineFingerprint) {
        self.embedder = fingerprint.embedder.to_string();
        self.chunker = fingerprint.chunker.to_string();
        self.analyzer = fingerprint.analyzer.to_string();
    }

    /// How duplicates are treated.
    pub(crate) fn duplicates(&self) -> Result<DuplicateSettings> {
        Ok(DuplicateSettings {
            action: self.duplicates.parse().map_err(damaged)?,
            min_percent: self.duplicates_min_percent,
        })
    }

    /// The collection numbered `id`.
    pub(crate) fn into_collection(
        self,
        id: CollectionId,
        synonyms: Arc<Synonyms>,
    ) -> Result<Collection> {
        let duplicates = self.duplicates()?;
        Ok(Collection {
            id,
            name: CollectionName::new(self.name).map_err(damaged)?,
            settings: CollectionSettings {
                language: self.language.parse().map_err(damaged)?,
                chunking: ChunkingSettings {
                    strategy: self.strategy.parse().map_err(damaged)?,
                    target_tokens: self.target_tokens as usize,
                    overlap_tokens: self.overlap_tokens as usize,
                    formats: overrides(self.formats)?,
                },
                duplicates,
            },
            synonyms,
            fingerprint: PipelineFingerprint {
                embedder: Fingerprint::new(self.embedder),
                chunker: Fingerprint::new(self.chunker),
                analyzer: Fingerprint::new(self.analyzer),
            },
            dimension: self.dimension as usize,
            generation: Generation(self.generation),
            created_at_ms: self.created_at_ms,
        })
    }
}

fn override_rows(formats: &FormatOverrides) -> Vec<(String, OverrideRow)> {
    let chosen = FormatFamily::ALL.map(|family| (family, formats.of(family)));
    let different = chosen.into_iter().filter(|(_, it)| !it.is_empty());
    let to_row = |(family, chosen): (FormatFamily, ChunkingOverride)| {
        let row = OverrideRow {
            strategy: chosen.strategy.map(|it| it.as_str().to_owned()),
            target_tokens: chosen.target_tokens.map(|it| it as u64),
            overlap_tokens: chosen.overlap_tokens.map(|it| it as u64),
        };
        (family.as_str().to_owned(), row)
    };
    different.map(to_row).collect()
}

fn overrides(rows: Vec<(String, OverrideRow)>) -> Result<FormatOverrides> {
    let mut formats = FormatOverrides::default();
    for (family, row) in rows {
        *formats.of_mut(family.parse().map_err(damaged)?) = ChunkingOverride {
            strategy: row
                .strategy
                .map(|it| it.parse())
                .transpose()
                .map_err(damaged)?,
            target_tokens: row.target_tokens.map(|it| it as usize),
            overlap_tokens: row.overlap_tokens.map(|it| it as usize),
        };
    }
    Ok(formats)
}

impl CountersRow {
    /// The counters as callers see them.
    pub(crate) fn stats(&self) -> CollectionStats {
        CollectionStats {
            documents: self.documents,
            chunks: self.chunks,
            newest: Sequence(self.newest),
            published: Sequence(self.published),
            failed: self.failed,
            retired: self.retired,
        }
    }
}

impl From<Format> for FormatRow {
    fn from(format: Format) -> Self {
        match format {
            Format::Text => Self::Text,
            Format::Markdown => Self::Markdown,
            Format::Html => Self::Html,
            Format::Code(language) => Self::Code(language.into()),
        }
    }
}

impl From<FormatRow> for Format {
    fn from(row: FormatRow) -> Self {
        match row {
            FormatRow::Text => Self::Text,
            FormatRow::Markdown => Self::Markdown,
            FormatRow::Html => Self::Html,
            FormatRow::Code(row) => Self::Code(row.into()),
        }
    }
}

impl From<CodeLanguage> for CodeRow {
    fn from(language: CodeLanguage) -> Self {
        match language {
            CodeLanguage::C => Self::C,
            CodeLanguage::Go => Self::Go,
            CodeLanguage::Java => Self::Java,
            CodeLanguage::JavaScript => Self::JavaScript,
            CodeLanguage::Python => Self::Python,
            CodeLanguage::Rust => Self::Rust,
            CodeLanguage::Tsx => Self::Tsx,
            CodeLanguage::TypeScript => Self::TypeScript,
        }
    }
}

impl From<CodeRow> for CodeLanguage {
    fn from(row: CodeRow) -> Self {
        match row {
            CodeRow::C => Self::C,
            CodeRow::Go => Self::Go,
            CodeRow::Java => Self::Java,
            CodeRow::JavaScript => Self::JavaScript,
            CodeRow::Python => Self::Python,
            CodeRow::Rust => Self::Rust,
            CodeRow::Tsx => Self::Tsx,
            CodeRow::TypeScript => Self::TypeScript,
        }
    }
}

impl From<MetadataValue> for ValueRow {
    fn from(value: MetadataValue) -> Self {
        match value {
            MetadataValue::String(text) => Self::String(text),
            MetadataValue::Number(number) => Self::Number(number),
            MetadataValue::Bool(value) => Self::Bool(value),
            MetadataValue::Strings(texts) => Self::Strings(texts),
        }
    }
}

impl From<ValueRow> for MetadataValue {
    fn from(row: ValueRow) -> Self {
        match row {
            ValueRow::String(text) => Self::String(text),
            ValueRow::Number(number) => Self::Number(number),
            ValueRow::Bool(value) => Self::Bool(value),
            ValueRow::Strings(texts) => Self::Strings(texts),
        }
    }
}

impl From<Origin> for OriginRow {
    fn from(origin: Origin) -> Self {
        Self {
            hash: origin.hash.0,
            parser: origin.parser,
        }
    }
}

impl From<OriginRow> for Origin {
    fn from(row: OriginRow) -> Self {
        Self {
            hash: ContentHash(row.hash),
            parser: row.parser,
        }
    }
}

/// Metadata as stored.
pub(crate) fn metadata_row(metadata: Metadata) -> Vec<(String, ValueRow)> {
    let fields = metadata.into_fields().into_iter();
    fields.map(|(key, value)| (key, value.into())).collect()
}

/// Stored metadata, whatever the limits were when it was handed in.
pub(crate) fn metadata(row: Vec<(String, ValueRow)>) -> Metadata {
    let fields = row.into_iter().map(|(key, value)| (key, value.into()));
    Metadata::stored(fields.collect())
}

impl VersionRow {
    /// The summary of the document whose newest version this is.
    pub(crate) fn into_summary(
        self,
        sequence: Sequence,
        status: DocumentStatus,
    ) -> Result<DocumentSummary> {
        Ok(DocumentSummary {
            id: document_id(self.document)?,
            title: self.title,
            uri: self.uri,
            format: self.format.into(),
            metadata: metadata(self.metadata),
            origin: self.origin.map(Origin::from),
            content_hash: ContentHash(self.content_hash),
            chunks: self.slots.len(),
            sequence,
            status,
            updated_at_ms: self.updated_at_ms,
            duplicate: self
                .duplicate
                .map(DuplicateRow::into_duplicate)
                .transpose()?,
            language: language(self.language)?,
        })
    }
}

impl OperationRow {
    /// The operation at `sequence`.
    pub(crate) fn into_operation(self, sequence: Sequence) -> Result<Operation> {
        let kind = match self {
            Self::Put {
                document,
                slots: staged,
            } => OperationKind::Put {
                document: document_id(document)?,
                slots: slots(&staged),
            },
            Self::Delete { document } => OperationKind::Delete {
                document: document_id(document)?,
            },
            Self::Purge { slots: purged } => OperationKind::Purge {
                slots: slots(&purged),
            },
            Self::Failed { reason } => OperationKind::Failed { reason },
        };
        Ok(Operation { sequence, kind })
    }
}

impl ResponseRow {
    /// The answer.
    pub(crate) fn into_response(self) -> StoredResponse {
        StoredResponse {
            status: self.status,
            body: self.body,
        }
    }
}
