//! Collections on the wire.

use braid_core::{
    ChunkingSettings, ChunkingStrategy, CollectionSettings, FieldError, Language, Result,
};
use braid_engine::CollectionInfo;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Settings of a collection to be made. What is left out is taken from the server's configuration.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CollectionBody {
    /// Language of the analyzer, such as `english`, `german` or `none`.
    #[schema(example = "english")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// How documents are chunked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunking: Option<ChunkingBody>,
}

/// How documents are chunked; sizes are in tokens of the embedder.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChunkingBody {
    /// `structure` (headings, sentences) or `whole` (one chunk a document).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<String>,
    /// Most tokens in a chunk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_tokens: Option<usize>,
    /// Tokens repeated from the chunk before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap_tokens: Option<usize>,
}

impl CollectionBody {
    /// The settings, with what the body leaves open taken from `defaults`.
    ///
    /// # Errors
    /// `InvalidRequest` naming every bad field.
    pub fn into_settings(self, defaults: CollectionSettings) -> Result<CollectionSettings> {
        let chunking = self.chunking.unwrap_or_default();
        let mut fields = Vec::new();
        let mut note = |pointer: &str, error: braid_core::Error| {
            fields.push(FieldError::new(pointer, error.message()));
        };
        let language = match self.language.map(|name| name.parse::<Language>()) {
            None => defaults.language,
            Some(Ok(language)) => language,
            Some(Err(error)) => {
                note("/language", error);
                defaults.language
            }
        };
        let strategy = match chunking
            .strategy
            .map(|name| name.parse::<ChunkingStrategy>())
        {
            None => defaults.chunking.strategy,
            Some(Ok(strategy)) => strategy,
            Some(Err(error)) => {
                note("/chunking/strategy", error);
                defaults.chunking.strategy
            }
        };
        if let Some(first) = fields.first() {
            let message = format!("{}: {}", first.pointer, first.detail);
            return Err(braid_core::Error::invalid(message).with_fields(fields));
        }
        Ok(CollectionSettings {
            language,
            chunking: ChunkingSettings {
                strategy,
                target_tokens: chunking
                    .target_tokens
                    .unwrap_or(defaults.chunking.target_tokens),
                overlap_tokens: chunking
                    .overlap_tokens
                    .unwrap_or(defaults.chunking.overlap_tokens),
            },
        })
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
            fingerprint: FingerprintAnswer {
                embedder: collection.fingerprint.embedder.to_string(),
                chunker: collection.fingerprint.chunker.to_string(),
                analyzer: collection.fingerprint.analyzer.to_string(),
            },
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
