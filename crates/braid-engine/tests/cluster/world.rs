//! A Qdrant that engines share.

use std::sync::Arc;

use braid_config::{Settings, StorageProfile};
use braid_core::{
    CollectionName, DocumentId, Embedder, Format, Metadata, MetadataValue, NewDocument, Sequence,
};
use braid_engine::query::{Mode, RetrieveRequest};
use braid_engine::{Engine, IngestRequest, OpenOptions, Until, WorkerProgress};
use braid_qdrant_double::{Leftovers, QdrantDouble};
use braid_testkit::HashEmbedder;

pub(crate) const DIMENSION: usize = 48;

pub(crate) fn name() -> CollectionName {
    CollectionName::new("shared").unwrap()
}

/// A server, and a prefix that no other test has.
#[derive(Debug)]
pub(crate) struct World {
    url: String,
    prefix: String,
    /// `None` where a real server is named.
    pub(crate) double: Option<QdrantDouble>,
    /// Of a server that goes on after the test.
    _leftovers: Option<Leftovers>,
}

impl World {
    pub(crate) fn new() -> Self {
        match std::env::var("BRAID_TEST_QDRANT_URL") {
            Ok(url) => {
                let world = Self::at(url);
                let prefix = format!("{}-", world.prefix);
                Self {
                    _leftovers: Some(Leftovers::of(&world.url, &prefix)),
                    ..world
                }
            }
            Err(_) => {
                let double = QdrantDouble::start();
                let url = double.url();
                Self {
                    double: Some(double),
                    ..Self::at(url)
                }
            }
        }
    }

    /// With a server that somebody else has.
    pub(crate) fn at(url: String) -> Self {
        Self {
            url,
            prefix: format!("engine-{}", uuid::Uuid::new_v4().simple()),
            double: None,
            _leftovers: None,
        }
    }

    pub(crate) fn settings(&self) -> Settings {
        let mut settings = Settings::default();
        settings.storage.profile = StorageProfile::Cluster;
        // Nothing may be made there.
        settings.storage.data_dir = "/nonexistent/braid".into();
        settings.qdrant.url = self.url.clone();
        settings.qdrant.prefix = self.prefix.clone();
        settings.qdrant.retry_first_ms = 1;
        settings.qdrant.retry_longest_ms = 2;
        settings.qdrant.breaker_open_ms = 1;
        settings.worker.poll_ms = 5;
        settings.worker.poll_longest_ms = 20;
        settings
    }

    /// One more process.
    pub(crate) async fn open(&self) -> Engine {
        self.open_with(Arc::new(HashEmbedder::new(DIMENSION))).await
    }

    pub(crate) async fn open_with(&self, embedder: Arc<dyn Embedder>) -> Engine {
        open(&self.settings(), embedder).await
    }

    /// Works in a process of its own until nothing waits.
    pub(crate) async fn work(&self) -> WorkerProgress {
        let engine = self.open().await;
        let done = engine.worker().unwrap().run(Until::Idle).await.unwrap();
        engine.close().await;
        done
    }
}

pub(crate) async fn open(settings: &Settings, embedder: Arc<dyn Embedder>) -> Engine {
    let options = OpenOptions {
        instead_of_models: Some(embedder),
        ..OpenOptions::default()
    };
    Engine::open(settings, options).await.expect("it opens")
}

/// Stages these documents; gives the last operation.
pub(crate) async fn ingest(engine: &Engine, documents: Vec<NewDocument>) -> Sequence {
    let request = IngestRequest {
        documents,
        job: None,
        guard: None,
    };
    let outcome = engine.ingest(&name(), request).await.unwrap();
    assert!(outcome.rejected.is_empty(), "{:?}", outcome.rejected);
    match outcome.staged {
        braid_core::ports::Recorded::Done(receipt) => receipt.newest,
        braid_core::ports::Recorded::Replayed(_) => panic!("staged without an idempotency key"),
    }
}

/// Document `number` in its edition `edition`, which its text says.
pub(crate) fn document(number: usize, edition: usize) -> NewDocument {
    let kind = ["otter", "heron", "badger"][number % 3];
    let metadata = [
        ("kind", MetadataValue::String(kind.to_owned())),
        ("number", MetadataValue::Number(number as f64)),
    ];
    let metadata = metadata.map(|(key, value)| (key.to_owned(), value));
    NewDocument {
        id: id(number),
        text: format!(
            "The {kind} called n{number} lives by the river, as edition e{edition} of its story says."
        ),
        title: Some(format!("Story {number}")),
        uri: Some(format!("file:///stories/{number}")),
        format: Format::Text,
        metadata: Metadata::new(metadata.into()).unwrap(),
        origin: None,
    }
}

pub(crate) fn id(number: usize) -> DocumentId {
    DocumentId::new(format!("doc/{number}")).unwrap()
}

pub(crate) fn request(query: &str, mode: Mode) -> RetrieveRequest {
    let mut request = RetrieveRequest::new(query, name());
    request.mode = mode;
    request.rerank.enabled = false;
    request
}

/// Documents that are found, best first, with their texts.
pub(crate) async fn found(engine: &Engine, query: &str, mode: Mode) -> Vec<(String, String)> {
    let response = engine.retrieve(request(query, mode)).await.unwrap();
    assert!(response.degraded.is_empty(), "{:?}", response.degraded);
    let hits = response.hits.into_iter();
    hits.map(|hit| {
        let record = hit.passage.record;
        (record.document.to_string(), record.chunk.text)
    })
    .collect()
}
