//! A data directory, a server that has its vectors, and engines on them.

use std::path::Path;
use std::sync::Arc;

use braid_config::{Settings, StorageProfile};
use braid_core::{
    Collection, CollectionName, DocumentId, Embedder, Format, Metadata, MetadataValue, NewDocument,
};
use braid_engine::query::{Mode, RetrieveRequest, RetrieveResponse};
use braid_engine::{Engine, IngestRequest, OpenOptions};
use braid_testkit::HashEmbedder;
use tempfile::TempDir;

use crate::server::Server;

const DIMENSION: usize = 48;

pub(crate) fn name() -> CollectionName {
    CollectionName::new("remote").unwrap()
}

/// A data directory and the server that has its vectors.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) directory: TempDir,
    pub(crate) server: Server,
}

impl World {
    /// With a double, or with a real node where the environment names the binary of one.
    pub(crate) async fn new() -> Self {
        Self::with(Server::start().await)
    }

    /// With this server.
    pub(crate) fn with(server: impl Into<Server>) -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            server: server.into(),
        }
    }

    pub(crate) fn settings(&self) -> Settings {
        let mut settings = embedded(self.directory.path());
        settings.storage.profile = StorageProfile::Qdrant;
        settings.qdrant.url = self.server.url();
        settings.qdrant.retry_first_ms = 1;
        settings.qdrant.retry_longest_ms = 2;
        settings.qdrant.breaker_open_ms = 1;
        settings
    }

    pub(crate) async fn open(&self) -> Engine {
        open(&self.settings()).await
    }

    /// The one collection of the server.
    pub(crate) async fn remote(&self) -> String {
        let collections = self.server.collections().await;
        assert_eq!(collections.len(), 1, "{collections:?}");
        collections[0].clone()
    }
}

/// Settings of the embedded profile in `directory`.
pub(crate) fn embedded(directory: &Path) -> Settings {
    let mut settings = Settings::default();
    settings.storage.data_dir = directory.to_owned();
    settings.storage.map_size_gib = 0.0625;
    settings.lexical.writer_memory_mib = 16;
    settings.ingest.apply_interval_ms = 1;
    settings
}

pub(crate) async fn open(settings: &Settings) -> Engine {
    let options = OpenOptions {
        instead_of_models: Some(Arc::new(HashEmbedder::new(DIMENSION)) as Arc<dyn Embedder>),
        ..OpenOptions::default()
    };
    let engine = Engine::open(settings, options).await.expect("it opens");
    engine.ensure_collection(&name()).await.expect("it is made");
    engine
}

/// Documents `range`, whose text says their number and what it leaves.
pub(crate) async fn ingest(engine: &Engine, range: std::ops::Range<usize>) {
    let request = IngestRequest {
        documents: range.map(document).collect(),
        job: None,
        guard: None,
    };
    let outcome = engine.ingest(&name(), request).await.unwrap();
    assert!(outcome.rejected.is_empty());
}

fn document(number: usize) -> NewDocument {
    let kind = ["otter", "heron", "badger"][number % 3];
    let metadata = [
        ("kind", MetadataValue::String(kind.to_owned())),
        ("number", MetadataValue::Number(number as f64)),
        ("even", MetadataValue::Bool(number.is_multiple_of(2))),
    ];
    let metadata = metadata.map(|(key, value)| (key.to_owned(), value));
    NewDocument {
        id: id(number),
        text: format!(
            "The {kind} called n{number} lives by the river with {} others.",
            number % 7
        ),
        title: None,
        uri: None,
        format: Format::Text,
        metadata: Metadata::new(metadata.into()).unwrap(),
        origin: None,
    }
}

pub(crate) fn id(number: usize) -> DocumentId {
    DocumentId::new(format!("doc/{number}")).unwrap()
}

pub(crate) async fn delete(engine: &Engine, number: usize) {
    let ids = vec![id(number)];
    engine
        .delete_documents(&name(), ids, None, None)
        .await
        .unwrap();
}

/// Waits until everything is published and purged. A failure that lasts is told to whoever waits,
/// and tried again all the same.
pub(crate) async fn idle(engine: &Engine) {
    let collection = collection(engine).await;
    while let Err(error) = engine.indexer().wait_idle(collection.id).await {
        assert!(
            error.code().is_retryable() || error.message().contains("no room"),
            "{error}"
        );
    }
}

pub(crate) async fn collection(engine: &Engine) -> Collection {
    engine.collection(&name()).await.unwrap()
}

pub(crate) fn request(query: &str) -> RetrieveRequest {
    let mut request = RetrieveRequest::new(query, name());
    request.mode = Mode::Hybrid;
    request.rerank.enabled = false;
    request.cache = false;
    request
}

pub(crate) async fn retrieve(engine: &Engine, query: &str) -> RetrieveResponse {
    engine.retrieve(request(query)).await.unwrap()
}

/// The documents of an answer, best first.
pub(crate) fn documents(response: &RetrieveResponse) -> Vec<String> {
    let hits = response.hits.iter();
    hits.map(|hit| hit.passage.record.document.to_string())
        .collect()
}

/// Whether the dense leg found any of the hits.
pub(crate) fn is_dense(response: &RetrieveResponse) -> bool {
    response.hits.iter().any(|hit| hit.scores.dense.is_some())
}

/// Every live slot is in the vector store, and nothing else is.
pub(crate) async fn check_whole(engine: &Engine, documents: usize) {
    let collection = collection(engine).await;
    let live = engine.ledger().live_slots(collection.id).await.unwrap();
    assert_eq!(live.len(), documents as u64, "one chunk each");
    let held = engine.indexed_slots(&collection).await.unwrap();
    assert_eq!(held.dense, live, "vectors");
    assert_eq!(held.lexical, live, "terms");
    assert!(engine.verify(&name(), false).await.unwrap().is_sound());
}
