//! Collections on the wire.

use std::str::FromStr;

use braid_core::{
    ChunkingSettings, ChunkingStrategy, CollectionSettings, Error, FieldError, Language,
    PipelineFingerprint, Result,
};
use braid_engine::CollectionInfo;
use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::duplicates::{DuplicatesAnswer, DuplicatesBody};
use super::object::optional_object;

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

/// Name of a language, or `none`.
#[derive(Debug)]
struct LanguageName;

impl PartialSchema for LanguageName {
    fn schema() -> RefOr<Schema> {
        let names = Language::ALL.map(|(_, name)| name);
        let string = ObjectBuilder::new().schema_type(Type::String);
        string.enum_values(Some(names)).into()
    }
}

impl ToSchema for LanguageName {}

/// Name of a chunking strategy.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "only its schema is used")]
enum StrategyName {
    /// By headings and sentences.
    Structure,
    /// One chunk a document.
    Whole,
}

/// How documents are chunked; sizes are in tokens of the embedder.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChunkingBody {
    /// `structure` (headings, sentences) or `whole` (one chunk a document).
    #[schema(value_type = Option<StrategyName>)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<String>,
    /// Most tokens in a chunk; no more than the embedder reads.
    #[schema(minimum = 1)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_tokens: Option<usize>,
    /// Tokens repeated from the chunk before; less than `target_tokens`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap_tokens: Option<usize>,
}

impl CollectionBody {
    /// The settings, with what the body leaves open taken from `defaults`.
    ///
    /// # Errors
    /// `InvalidRequest` naming every bad field.
    pub fn into_settings(self, defaults: CollectionSettings) -> Result<CollectionSettings> {
        let body = self.chunking.unwrap_or_default();
        let mut fields = Vec::new();
        let language = chosen(self.language, "/language", &mut fields);
        let strategy = chosen(body.strategy, "/chunking/strategy", &mut fields);
        let chunking = ChunkingSettings {
            strategy: strategy.unwrap_or(defaults.chunking.strategy),
            target_tokens: body
                .target_tokens
                .unwrap_or(defaults.chunking.target_tokens),
            overlap_tokens: body
                .overlap_tokens
                .unwrap_or(defaults.chunking.overlap_tokens),
        };
        check_sizes(chunking, &mut fields);
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
fn chosen<T: FromStr<Err = Error>>(
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

fn check_sizes(chunking: ChunkingSettings, fields: &mut Vec<FieldError>) {
    let (target, overlap) = (chunking.target_tokens, chunking.overlap_tokens);
    if target == 0 {
        let detail = "must be 1 or more";
        fields.push(FieldError::new("/chunking/target_tokens", detail));
    } else if overlap >= target && chunking.strategy == ChunkingStrategy::Structure {
        let detail = format!("must be less than target_tokens, which is {target}");
        fields.push(FieldError::new("/chunking/overlap_tokens", detail));
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

/// How documents are chunked.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct ChunkingAnswer {
    /// `structure` or `whole`.
    pub strategy: String,
    /// Most tokens in a chunk.
    pub target_tokens: usize,
    /// Tokens repeated from the chunk before.
    pub overlap_tokens: usize,
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
        let chunking = collection.settings.chunking;
        Self {
            name: collection.name.as_str().to_owned(),
            language: collection.settings.language.as_str().to_owned(),
            chunking: ChunkingAnswer {
                strategy: chunking.strategy.as_str().to_owned(),
                target_tokens: chunking.target_tokens,
                overlap_tokens: chunking.overlap_tokens,
            },
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
