//! An engine whose models other servers run: what works without them, and what waits.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use braid_config::{ModelEndpoints, Settings};
use braid_core::{CollectionName, DocumentId, ErrorCode, Format, Metadata, NewDocument, Sequence};
use braid_engine::query::{RetrieveRequest, RetrieveResponse};
use braid_engine::{
    Engine, IngestRequest, OpenOptions, check_model_servers, load_embedder, runs_models_here,
};
use braid_testkit::model_server::folder::{
    SERVED_EMBEDDER, SERVED_RERANKER, embedder_manifest, write_served, write_served_folders,
};
use braid_testkit::{ModelServer, ServedModels, ServerFault};

/// Model folders, a data directory and the server that both name.
struct World {
    server: ModelServer,
    scratch: tempfile::TempDir,
    settings: Settings,
}

impl World {
    async fn new() -> Self {
        let server = ModelServer::start(ServedModels::default()).await;
        let scratch = tempfile::tempdir().unwrap();
        write_served_folders(&scratch.path().join("models")).await;
        let mut settings = Settings::default();
        settings.storage.data_dir = scratch.path().join("data");
        settings.storage.map_size_gib = 0.25;
        settings.retrieve.rerank_deadline_ms = 60_000;
        let models = &mut settings.models;
        models.dir = Some(scratch.path().join("models"));
        SERVED_EMBEDDER.clone_into(&mut models.embedder);
        SERVED_RERANKER.clone_into(&mut models.reranker);
        models.embedder_endpoints = at(server.url("/v1/embeddings"));
        models.reranker_endpoints = at(server.url("/v2/rerank"));
        Self {
            server,
            scratch,
            settings,
        }
    }

    fn models(&self) -> std::path::PathBuf {
        self.scratch.path().join("models")
    }

    async fn open(&self) -> Engine {
        let opened = Engine::open(&self.settings, OpenOptions::default()).await;
        opened.unwrap()
    }

    fn is_down(&self, down: bool) {
        let fault = ServerFault::Status(503, None);
        self.server.fail_always(down.then_some(fault));
    }
}

fn at(url: String) -> ModelEndpoints {
    ModelEndpoints(vec![url])
}

fn name() -> CollectionName {
    CollectionName::new("animals").unwrap()
}

/// Acknowledged when this returns.
async fn ingest(engine: &Engine, id: &str, text: &str) -> Sequence {
    engine.ensure_collection(&name()).await.unwrap();
    let document = NewDocument {
        id: DocumentId::new(id).unwrap(),
        text: text.to_owned(),
        title: None,
        uri: None,
        format: Format::Text,
        metadata: Metadata::default(),
        origin: None,
    };
    let request = IngestRequest {
        documents: vec![document],
        ..IngestRequest::default()
    };
    engine.ingest(&name(), request).await.unwrap();
    engine.collection_info(&name()).await.unwrap().stats.newest
}

async fn published(engine: &Engine, newest: Sequence) {
    engine.wait_published(&name(), newest).await.unwrap();
}

async fn ask(engine: &Engine, query: &str) -> RetrieveResponse {
    let mut request = RetrieveRequest::new(query, name());
    request.rerank.deadline_ms = Some(60_000);
    engine.retrieve(request).await.unwrap()
}

fn degraded(response: &RetrieveResponse) -> Vec<String> {
    let stages = response.degraded.iter().map(|one| one.stage.to_string());
    stages.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn retrieval_goes_on_without_the_servers_and_says_so() {
    let world = World::new().await;
    let engine = world.open().await;
    let newest = ingest(&engine, "fox", "the red fox sleeps in its den").await;
    published(&engine, newest).await;
    let answer = ask(&engine, "where does the fox sleep").await;
    assert!(degraded(&answer).is_empty(), "{:?}", answer.degraded);
    assert_eq!(answer.rerank.unwrap().scored, 1);
    world.is_down(true);
    let answer = ask(&engine, "where is the fox").await;
    assert_eq!(answer.hits.len(), 1, "the lexical leg serves");
    assert_eq!(degraded(&answer), ["dense", "rerank"]);
    for one in &answer.degraded {
        assert!(one.reason.contains("http://127.0.0.1"), "{}", one.reason);
    }
    world.is_down(false);
    let answer = ask(&engine, "is there a fox").await;
    assert!(degraded(&answer).is_empty(), "{:?}", answer.degraded);
    engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ingestion_acknowledges_without_the_server_and_catches_up() {
    let world = World::new().await;
    world.is_down(true);
    let engine = world.open().await;
    let newest = ingest(&engine, "fox", "the red fox sleeps in its den").await;
    let readiness = engine.readiness().await.unwrap();
    assert_eq!(readiness.lag, [(name(), 1)], "acknowledged, and waits");
    world.is_down(false);
    published(&engine, newest).await;
    let stats = engine.collection_info(&name()).await.unwrap().stats;
    assert_eq!((stats.documents, stats.lag()), (1, 0));
    engine.close().await;
}

/// What a collection was embedded with is known without any server.
#[tokio::test(flavor = "multi_thread")]
async fn another_model_is_refused_while_its_server_is_down() {
    let mut world = World::new().await;
    let engine = world.open().await;
    let newest = ingest(&engine, "fox", "the red fox sleeps in its den").await;
    published(&engine, newest).await;
    engine.close().await;
    drop(engine);
    let mut manifest = embedder_manifest().await;
    manifest["remote"]["revision"] = "2".into();
    write_served(&world.models(), SERVED_EMBEDDER, &manifest);
    world.is_down(true);
    "none".clone_into(&mut world.settings.models.reranker);
    let engine = world.open().await;
    let request = IngestRequest::default();
    let collection = engine.collection(&name()).await.unwrap();
    let mismatches = engine.fingerprint_mismatches(&collection).unwrap();
    assert!(mismatches.iter().any(|one| one.part == "embedder"));
    let error = engine.ingest(&name(), request).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::FingerprintMismatch);
    engine.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_are_checked_for_a_person_and_at_start() {
    let world = World::new().await;
    let checked = |settings: &Settings| {
        let settings = settings.clone();
        tokio::task::spawn_blocking(move || check_model_servers(&settings).unwrap())
    };
    assert!(!runs_models_here(&world.settings).unwrap());
    let checks = checked(&world.settings).await.unwrap();
    let models: Vec<_> = checks.iter().map(|check| check.model).collect();
    assert_eq!(models, ["embedder", "reranker"]);
    assert!(
        checks.iter().all(|check| check.outcome.is_ok()),
        "{checks:?}"
    );
    world.is_down(true);
    for check in checked(&world.settings).await.unwrap() {
        let error = check.outcome.unwrap_err();
        assert!(error.code().is_retryable(), "{error}");
    }
    world.is_down(false);
    world.server.serve(|models| models.name = "org/other");
    let opened = Engine::open(&world.settings, OpenOptions::default()).await;
    let error = opened.unwrap_err();
    assert_eq!(error.code(), ErrorCode::ModelUnavailable, "{error}");
    let mut settings = world.settings.clone();
    settings.models.embedder_key_file = Some(Path::new("/absent/key").to_owned());
    let loading = tokio::task::spawn_blocking(move || load_embedder(&settings).map(drop));
    let error = loading.await.unwrap().unwrap_err();
    assert!(error.message().contains("/absent/key"), "{error}");
}
