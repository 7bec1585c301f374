//! From settings to the options of each part: the one place that knows both.

use std::sync::Arc;
use std::time::Duration;

use braid_config::{
    ModelEndpoints, QdrantQuantization, QdrantReads, QdrantWrites, RetrieveFusion, RetrieveMode,
    RetrieveTrust, RetrieveTypos, Settings, StorageProfile,
};
use braid_core::{
    ChunkingSettings, CollectionName, CollectionSettings, DuplicateAction, DuplicateSettings,
    FormatOverrides, Result,
};
use braid_indexing::{Breakpoints, IndexingOptions, WorkerOptions};
use braid_ledger::LedgerOptions;
use braid_lexical::LexicalOptions;
use braid_models::{
    ApiKey, EmbedderOptions, Endpoint, LanguageModelTokens, ModelKind, ModelPlace, RemoteOptions,
    RerankerOptions, StoreOptions,
};
use braid_query::cache::semantic::SemanticOptions;
use braid_query::{
    CandidateDepths, ContextExpansion, ContextOptions, FusionMethod, FusionOptions, LegTrust,
    LegWeights, Mode, PageLimits, RerankOptions, RetrieveRequest, Syntax, Thresholds, Tokenizers,
    Typos,
};
use braid_runtime::{BreakerPolicy, CpuPool};
use braid_vector::qdrant::{CollectionOptions, Quantization, ReadConsistency, WriteOrdering};
use braid_vector::{QdrantOptions, Retries, VectorOptions};

use crate::provider::IndexOptions;

const MIB: usize = 1024 * 1024;
const GIB: f64 = 1024.0 * 1024.0 * 1024.0;

/// What a retrieval request is taken to ask where it does not say.
///
/// # Errors
/// `InvalidRequest` when the configured defaults are beyond the limits of a request.
pub fn retrieve_defaults(settings: &Settings) -> Result<RetrieveRequest> {
    let section = &settings.retrieve;
    let request = RetrieveRequest {
        query: "defaults".to_owned(),
        also: Vec::new(),
        syntax: Syntax::default(),
        typos: match section.typos {
            RetrieveTypos::Auto => Typos::Auto,
            RetrieveTypos::Off => Typos::Off,
        },
        collection: CollectionName::new("default")?,
        top_k: section.top_k,
        mode: match section.mode {
            RetrieveMode::Lexical => Mode::Lexical,
            RetrieveMode::Dense => Mode::Dense,
            RetrieveMode::Hybrid => Mode::Hybrid,
        },
        candidates: CandidateDepths {
            lexical: section.candidates_lexical,
            dense: section.candidates_dense,
        },
        fusion: FusionOptions {
            method: match section.fusion_method {
                RetrieveFusion::Rrf => FusionMethod::Rrf,
                RetrieveFusion::MinMax => FusionMethod::MinMax,
                RetrieveFusion::Dbsf => FusionMethod::Dbsf,
            },
            k: section.fusion_k,
            weights: LegWeights {
                lexical: section.weight_lexical,
                dense: section.weight_dense,
            },
            leg_trust: match section.leg_trust {
                RetrieveTrust::Auto => LegTrust::Auto,
                RetrieveTrust::Off => LegTrust::Off,
            },
        },
        rerank: RerankOptions {
            enabled: section.rerank && settings.models.reranker != "none",
            candidates: section.rerank_candidates,
            blend: section.rerank_blend,
            deadline_ms: Some(section.rerank_deadline_ms),
        },
        filter: None,
        context: ContextOptions {
            max_tokens: section.context_max_tokens,
            expand: ContextExpansion::None,
            ..ContextOptions::default()
        },
        thresholds: Thresholds::default(),
        distinct: true,
        explain: false,
        cache: true,
        cursor: None,
    };
    request
        .check()
        .map_err(|error| error.context("bad configuration of [retrieve]"))?;
    Ok(request)
}

/// Settings of collections whose creator chooses none.
pub fn collection_settings(settings: &Settings) -> CollectionSettings {
    let chunking = &settings.chunking;
    CollectionSettings {
        language: settings.lexical.language,
        chunking: ChunkingSettings {
            strategy: chunking.strategy,
            target_tokens: chunking.target_tokens,
            overlap_tokens: chunking.overlap_tokens,
            formats: FormatOverrides {
                text: chunking.text.unwrap_or_default(),
                markdown: chunking.markdown.unwrap_or_default(),
                html: chunking.html.unwrap_or_default(),
                code: chunking.code.unwrap_or_default(),
            },
        },
        duplicates: DuplicateSettings {
            action: match settings.storage.profile {
                StorageProfile::Embedded | StorageProfile::Qdrant => settings.duplicates.action,
                // Nobody sees every document as it is staged.
                StorageProfile::Cluster => DuplicateAction::Ignore,
            },
            min_percent: (settings.duplicates.min_similarity * 100.0).round() as u8,
        },
    }
}

/// Most bytes of kept answers. None are kept where other processes write: this one does not know when.
pub(crate) fn answer_bytes(settings: &Settings) -> u64 {
    match settings.storage.profile {
        StorageProfile::Embedded | StorageProfile::Qdrant => settings.cache.answers_mib << 20,
        StorageProfile::Cluster => 0,
    }
}

/// How much is kept for next pages.
pub(crate) fn page_limits(settings: &Settings) -> PageLimits {
    PageLimits {
        bytes: settings.cache.pages_mib << 20,
        lifetime: Duration::from_secs(settings.cache.pages_seconds),
    }
}

/// The cache of stored answers, where one is configured.
pub(crate) fn semantic_options(settings: &Settings) -> Option<SemanticOptions> {
    let cache = &settings.cache;
    cache.semantic.then_some(SemanticOptions {
        entries: cache.semantic_entries,
        bytes: cache.semantic_mib as usize * MIB,
        ttl: Duration::from_secs(cache.semantic_ttl_seconds),
        threshold: cache.semantic_threshold,
    })
}

pub(crate) fn ledger_options(settings: &Settings, pool: &CpuPool) -> LedgerOptions {
    LedgerOptions {
        map_size: map_size(settings),
        blocking: pool.blocking().clone(),
        ..LedgerOptions::default()
    }
}

/// Each collection has its own language and dimension: the provider sets them.
pub(crate) fn index_options(settings: &Settings) -> IndexOptions {
    let dense = &settings.dense;
    IndexOptions {
        lexical: LexicalOptions {
            writer_memory_bytes: settings.lexical.writer_memory_mib * MIB,
            ..LexicalOptions::default()
        },
        vector: VectorOptions {
            map_size: map_size(settings),
            ef_construction: dense.ef_construction,
            ef_search: dense.ef_search,
            exact_threshold: dense.exact_threshold,
            ..VectorOptions::default()
        },
    }
}

/// The key and the namespace are the data directory's own.
pub(crate) fn qdrant_options(settings: &Settings) -> QdrantOptions {
    let section = &settings.qdrant;
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    let timeout = Duration::from_millis(section.timeout_ms);
    let leg = Duration::from_millis(settings.retrieve.leg_timeout_ms);
    QdrantOptions {
        url: section.url.clone(),
        timeout,
        search_timeout: timeout.min(leg * 4 / 5),
        connect_timeout: Duration::from_millis(section.connect_timeout_ms),
        collection: CollectionOptions {
            hnsw_links: section.hnsw_links,
            ef_construction: settings.dense.ef_construction,
            quantization: match section.quantization {
                QdrantQuantization::None => Quantization::None,
                QdrantQuantization::Scalar => Quantization::Scalar,
                QdrantQuantization::Binary => Quantization::Binary,
            },
            shards: (section.shards > 0).then(|| number(section.shards)),
            replication: number(section.replication),
            write_consistency: number(section.write_consistency),
            vectors_on_disk: section.vectors_on_disk,
            payload_on_disk: section.payload_on_disk,
            indexed_fields: section.indexed_fields,
        },
        ef_search: settings.dense.ef_search,
        read_consistency: match section.read_consistency {
            QdrantReads::One => None,
            QdrantReads::Majority => Some(ReadConsistency::Majority),
            QdrantReads::Quorum => Some(ReadConsistency::Quorum),
            QdrantReads::All => Some(ReadConsistency::All),
        },
        write_ordering: match section.write_ordering {
            QdrantWrites::Weak => WriteOrdering::Weak,
            QdrantWrites::Medium => WriteOrdering::Medium,
            QdrantWrites::Strong => WriteOrdering::Strong,
        },
        upload_concurrency: section.upload_concurrency,
        upload_points: section.upload_points,
        ..QdrantOptions::default()
    }
}

pub(crate) fn qdrant_retries(settings: &Settings) -> Retries {
    let section = &settings.qdrant;
    Retries {
        attempts: u32::try_from(section.retry_attempts).unwrap_or(u32::MAX),
        first: Duration::from_millis(section.retry_first_ms),
        longest: Duration::from_millis(section.retry_longest_ms),
    }
}

pub(crate) fn qdrant_breaker(settings: &Settings) -> BreakerPolicy {
    let section = &settings.qdrant;
    let failures = u32::try_from(section.breaker_failures).unwrap_or(u32::MAX);
    BreakerPolicy::fixed(failures, Duration::from_millis(section.breaker_open_ms))
}

/// How a worker works. Its embedder is called, and its failures are retried, as in the other profiles.
pub(crate) fn worker_options(settings: &Settings) -> WorkerOptions {
    let section = &settings.worker;
    WorkerOptions {
        concurrency: section.concurrency,
        documents: section.documents,
        batch_chunks: section.batch_chunks,
        embed_batch_chunks: settings.ingest.embed_batch_chunks,
        lease: Duration::from_secs(section.lease_seconds),
        attempts: u32::try_from(section.attempts).unwrap_or(u32::MAX),
        poll: Duration::from_millis(section.poll_ms),
        poll_longest: Duration::from_millis(section.poll_longest_ms),
        sweep_interval: Duration::from_secs(section.sweep_seconds),
        sweep_grace: Duration::from_secs(section.grace_seconds),
        ..WorkerOptions::default()
    }
}

pub(crate) fn indexing_options(settings: &Settings, breakpoints: Breakpoints) -> IndexingOptions {
    let ingest = &settings.ingest;
    let parts = IndexingOptions::default();
    // A request that began under the old generation may open its indexes as long as it runs.
    let requests = Duration::from_millis(settings.server.request_timeout_ms).saturating_mul(2);
    IndexingOptions {
        embed_batch_chunks: ingest.embed_batch_chunks,
        apply_batch_chunks: ingest.apply_batch_chunks,
        apply_interval: Duration::from_millis(ingest.apply_interval_ms),
        generation_grace: parts.generation_grace.max(requests),
        most_writes: settings.server.max_concurrent_requests,
        breakpoints,
        ..parts
    }
}

/// Where models are and how they run.
#[derive(Clone, Debug)]
pub(crate) struct ModelOptions {
    pub(crate) store: StoreOptions,
    pub(crate) embedder: EmbedderOptions,
    pub(crate) reranker: RerankerOptions,
}

pub(crate) fn model_options(settings: &Settings) -> ModelOptions {
    let models = &settings.models;
    let (mut embedder, mut reranker) = (EmbedderOptions::default(), RerankerOptions::default());
    if models.threads > 0 {
        embedder.threads = models.threads;
        reranker.threads = models.threads;
    }
    let store = StoreOptions {
        folder: models.dir.clone(),
        library: models.ort_library.clone(),
    };
    ModelOptions {
        store,
        embedder,
        reranker,
    }
}

/// Where the embedder runs.
pub(crate) fn embedder_places(settings: &Settings) -> Result<Vec<ModelPlace>> {
    let places = &settings.models.embedder_endpoints;
    model_places(places, ModelKind::Embedder)
        .map_err(|error| error.context("models.embedder_endpoints"))
}

/// Where the re-ranker runs.
pub(crate) fn reranker_places(settings: &Settings) -> Result<Vec<ModelPlace>> {
    let places = &settings.models.reranker_endpoints;
    model_places(places, ModelKind::Reranker)
        .map_err(|error| error.context("models.reranker_endpoints"))
}

fn model_places(places: &ModelEndpoints, kind: ModelKind) -> Result<Vec<ModelPlace>> {
    let places = places.0.iter().map(|place| match place.as_str() {
        ModelEndpoints::LOCAL => Ok(ModelPlace::Here),
        url => Endpoint::new(url, kind).map(ModelPlace::At),
    });
    places.collect()
}

/// How the embedder's servers are called. A query's embedding takes at most three quarters of its
/// leg's time: a server that hangs is then known to, and is left out, instead of the leg giving up.
pub(crate) fn embedder_calls(settings: &Settings) -> Result<RemoteOptions> {
    let models = &settings.models;
    let leg = Duration::from_millis(settings.retrieve.leg_timeout_ms);
    Ok(RemoteOptions {
        key: ApiKey::find("BRAID_EMBEDDER_KEY", models.embedder_key_file.as_deref())?,
        query_timeout: leg.mul_f64(0.75),
        ..remote_options(settings)
    })
}

/// How the re-ranker's servers are called.
pub(crate) fn reranker_calls(settings: &Settings) -> Result<RemoteOptions> {
    let models = &settings.models;
    Ok(RemoteOptions {
        key: ApiKey::find("BRAID_RERANKER_KEY", models.reranker_key_file.as_deref())?,
        ..remote_options(settings)
    })
}

fn remote_options(settings: &Settings) -> RemoteOptions {
    let models = &settings.models;
    let timeout = Duration::from_millis(models.remote_timeout_ms);
    RemoteOptions {
        timeout,
        query_timeout: timeout,
        batch_texts: models.remote_batch_texts,
        concurrency: models.remote_concurrency,
        ..RemoteOptions::default()
    }
}

pub(crate) fn leg_timeout(settings: &Settings) -> Option<Duration> {
    Some(Duration::from_millis(settings.retrieve.leg_timeout_ms))
}

/// Tokenizers of language models; each is made when it is first asked.
pub(crate) fn tokenizers() -> Tokenizers {
    Tokenizers {
        cl100k: Arc::new(LanguageModelTokens::cl100k()),
        o200k: Arc::new(LanguageModelTokens::o200k()),
    }
}

/// LMDB maps are whole pages.
fn map_size(settings: &Settings) -> usize {
    let bytes = (settings.storage.map_size_gib * GIB) as usize;
    bytes.next_multiple_of(64 * 1024)
}

/// The models of `settings`, for listing and verifying them without an engine.
pub fn model_store(settings: &Settings) -> Arc<braid_models::ModelStore> {
    Arc::new(braid_models::ModelStore::new(model_options(settings).store))
}

#[cfg(test)]
mod tests {
    use braid_core::LanguageSetting;
    use braid_vector::BREAKER;

    use super::*;

    #[test]
    fn the_shipped_defaults_are_a_valid_request_and_the_documented_one() {
        let defaults = retrieve_defaults(&Settings::default()).unwrap();
        let bare = RetrieveRequest::new("defaults", CollectionName::new("default").unwrap());
        assert_eq!(defaults, bare);
    }

    #[test]
    fn defaults_beyond_the_limits_are_refused() {
        let mut settings = Settings::default();
        settings.retrieve.top_k = 100_000;
        let error = retrieve_defaults(&settings).unwrap_err();
        assert!(error.to_string().contains("/top_k"), "{error}");
    }

    #[test]
    fn indexes_of_a_replaced_generation_outlast_every_request() {
        let grace = |request_timeout_ms| {
            let mut settings = Settings::default();
            settings.server.request_timeout_ms = request_timeout_ms;
            indexing_options(&settings, Breakpoints::default()).generation_grace
        };
        assert_eq!(grace(30_000), Duration::from_secs(60));
        assert_eq!(grace(1), Duration::from_secs(60));
        assert_eq!(grace(600_000), Duration::from_secs(1200));
    }

    #[test]
    fn places_of_models_are_read_and_mistakes_name_their_setting() {
        let mut settings = Settings::default();
        assert_eq!(embedder_places(&settings).unwrap(), [ModelPlace::Here]);
        let place = |text: &str| ModelEndpoints(vec![text.to_owned(), "local".to_owned()]);
        settings.models.embedder_endpoints = place("http://gpu:1/embed");
        let places = embedder_places(&settings).unwrap();
        assert!(matches!(places[..], [ModelPlace::At(_), ModelPlace::Here]));
        settings.models.reranker_endpoints = place("http://gpu:1/embed");
        let error = reranker_places(&settings).unwrap_err();
        assert!(error.message().starts_with("models.reranker_endpoints: "));
        assert_eq!(
            embedder_calls(&settings).unwrap().query_timeout.as_millis(),
            3750
        );
    }

    #[test]
    fn defaults_of_the_parts_and_of_the_settings_agree() {
        let settings = Settings::default();
        let indexing = indexing_options(&settings, Breakpoints::default());
        let parts = IndexingOptions::default();
        assert_eq!(indexing.embed_batch_chunks, parts.embed_batch_chunks);
        assert_eq!(indexing.apply_batch_chunks, parts.apply_batch_chunks);
        assert_eq!(indexing.apply_interval, parts.apply_interval);
        let (vector, parts) = (index_options(&settings).vector, VectorOptions::default());
        assert_eq!(vector.ef_search, parts.ef_search);
        assert_eq!(vector.ef_construction, parts.ef_construction);
        assert_eq!(vector.exact_threshold, parts.exact_threshold);
        let (calls, parts) = (remote_options(&settings), RemoteOptions::default());
        assert_eq!(calls.timeout, parts.timeout);
        assert_eq!(calls.batch_texts, parts.batch_texts);
        assert_eq!(calls.concurrency, parts.concurrency);
        assert_eq!(qdrant_options(&settings), QdrantOptions::default());
        assert_eq!(qdrant_retries(&settings), Retries::default());
        assert_eq!(qdrant_breaker(&settings), BREAKER);
        assert_eq!(worker_options(&settings), WorkerOptions::default());
        // Of the parts, only the configuration has languages detected.
        let detected = CollectionSettings {
            language: LanguageSetting::Auto,
            ..CollectionSettings::default()
        };
        assert_eq!(collection_settings(&settings), detected);
    }
}
