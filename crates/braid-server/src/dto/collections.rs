//! Collections on the wire.

use std::str::FromStr;

use braid_core::{
    CollectionSettings, Error, FieldError, LanguageSetting, PipelineFingerprint, Result,
};
use braid_engine::CollectionInfo;
use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::duplicates::{DuplicatesAnswer, DuplicatesBody};
use super::object::optional_object;

pub use super::chunking::{ChunkingAnswer, ChunkingBody, FormatChunking, FormatsChunking};

/// Settings of a collection to be made. What is left out is taken from the server's configuration.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CollectionBody {
    /// Language of the analyzer.
    #[schema(value_type = Option<LanguageName>, example = "english")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// How documents are chunked.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "optional_object"
    )]
    pub chunking: Option<ChunkingBody>,
    /// What is done about documents that say the same as another.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "optional_object"
    )]
    pub duplicates: Option<DuplicatesBody>,
}

/// Name of a language, `none`, or `auto` for the one detected in each document.
#[derive(Debug)]
struct LanguageName;

impl PartialSchema for LanguageName {
    fn schema() -> RefOr<Schema> {
        let names: Vec<&str> = LanguageSetting::names().collect();
        let string = ObjectBuilder::new().schema_type(Type::String);
        string.enum_values(Some(names)).into()
    }
}

impl ToSchema for LanguageName {}

impl CollectionBody {
    /// The settings, with what the body leaves open taken from `defaults`.
    ///
    /// # Errors
    /// `InvalidRequest` naming every bad field.
    pub fn into_settings(self, defaults: CollectionSettings) -> Result<CollectionSettings> {
        let body = self.chunking.unwrap_or_default();
        let mut fields = Vec::new();
        let language = chosen(self.language, "/language", &mut fields);
        let chunking = body.into_settings(defaults.chunking, &mut fields);
        let duplicates = self.duplicates.unwrap_or_default();
        let duplicates = duplicates.into_settings(defaults.duplicates, &mut fields);
        match fields.first() {
            None => Ok(CollectionSettings {
                language: language.unwrap_or(defaults.language),
                chunking,
                duplicates,
            }),
            Some(first) => {
                let message = format!("{}: {}", first.pointer, first.detail);
                Err(Error::invalid(message).with_fields(fields))
            }
        }
    }
}

/// What `name` names; a bad name is noted.
pub(super) fn chosen<T: FromStr<Err = Error>>(
    name: Option<String>,
    pointer: &str,
    fields: &mut Vec<FieldError>,
) -> Option<T> {
    match name?.parse() {
        Ok(value) => Some(value),
        Err(error) => {
            fields.push(FieldError::new(pointer, error.message()));
            None
        }
    }
}

/// A collection with its counters.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct CollectionAnswer {
    /// Its name.
    pub name: String,
    /// Language of the analyzer.
    pub language: String,
    /// How documents are chunked.
    pub chunking: ChunkingAnswer,
    /// What is done about documents that say the same as another.
    pub duplicates: DuplicatesAnswer,
    /// Fingerprints of what wrote it.
    pub fingerprint: FingerprintAnswer,
    /// Dimension of its embeddings.
    pub dimension: usize,
    /// Number of the index build that is served.
    pub generation: u32,
    /// When it was made, Unix milliseconds.
    pub created_at_ms: i64,
    /// Documents that are retrievable.
    pub documents: u64,
    /// Chunks that are retrievable.
    pub chunks: u64,
    /// Documents whose newest version could not be indexed.
    pub failed: u64,
    /// Acknowledged writes that are not retrievable yet.
    pub lag: u64,
}

/// Fingerprints of the pipeline that wrote a collection.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct FingerprintAnswer {
    /// Embedder.
    pub embedder: String,
    /// Reader and chunker.
    pub chunker: String,
    /// Analyzer.
    pub analyzer: String,
}

/// Every collection.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct CollectionsAnswer {
    /// By name.
    pub collections: Vec<CollectionAnswer>,
}

/// What a deletion did.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
pub struct DeletedAnswer {
    /// Whether there was something to delete.
    pub deleted: bool,
}

impl From<&PipelineFingerprint> for FingerprintAnswer {
    fn from(fingerprint: &PipelineFingerprint) -> Self {
        Self {
            embedder: fingerprint.embedder.to_string(),
            chunker: fingerprint.chunker.to_string(),
            analyzer: fingerprint.analyzer.to_string(),
        }
    }
}

impl From<CollectionInfo> for CollectionAnswer {
    fn from(info: CollectionInfo) -> Self {
        let lag = info.stats.lag();
        let collection = info.collection;
        Self {
            name: collection.name.as_str().to_owned(),
            language: collection.settings.language.as_str().to_owned(),
            chunking: collection.settings.chunking.into(),
            duplicates: collection.settings.duplicates.into(),
            fingerprint: (&collection.fingerprint).into(),
            dimension: collection.dimension,
            generation: collection.generation.0,
            created_at_ms: collection.created_at_ms,
            documents: info.stats.documents,
            chunks: info.stats.chunks,
            failed: info.stats.failed,
            lag,
        }
    }
}
