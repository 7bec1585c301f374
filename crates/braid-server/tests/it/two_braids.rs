//! One Braid as another's model server, with the bundled models over a real socket.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use braid_config::{ModelEndpoints, Settings};
use braid_core::{CollectionName, DocumentId, Embedder, Format, Metadata, NewDocument, Reranker};
use braid_engine::query::{Mode, RetrieveRequest};
use braid_engine::{
    Engine, IngestRequest, OpenOptions, load_embedder, load_reranker, retrieve_defaults,
};
use braid_server::{App, ServerOptions};
use braid_testkit::{embedder_suite, reranker_suite};

use crate::shutdown::Listening;

/// Settings over a fresh data directory in `scratch`.
fn settings(scratch: &Path, data: &str) -> Settings {
    let mut settings = Settings::default();
    settings.storage.data_dir = scratch.join(data);
    settings.storage.map_size_gib = 0.25;
    settings.retrieve.leg_timeout_ms = 60_000;
    settings.retrieve.rerank_deadline_ms = 60_000;
    settings.models.dir = Some(bundled());
    settings
}

fn bundled() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models")
}

/// A Braid that runs the bundled models.
async fn model_server(scratch: &Path) -> Listening {
    let settings = settings(scratch, "server");
    let engine = Engine::open(&settings, OpenOptions::default()).await;
    let options = ServerOptions {
        max_body_bytes: 8 << 20,
        request_timeout: Duration::from_secs(60),
        max_concurrent_requests: 8,
        max_waiting_requests: 64,
        shutdown_grace: Duration::from_secs(10),
        max_batch_requests: 5,
        batch_concurrency: 2,
    };
    let defaults = retrieve_defaults(&settings).unwrap();
    Listening::start(App::new(engine.unwrap(), options, defaults, None)).await
}

/// Settings of a Braid without weights, whose models are the server's, at these paths.
fn elsewhere(scratch: &Path, data: &str, server: &Listening, paths: [&str; 2]) -> Settings {
    let folder = scratch.join("models");
    let mut settings = settings(scratch, data);
    for model in [&settings.models.embedder, &settings.models.reranker] {
        let dir = folder.join(model);
        std::fs::create_dir_all(&dir).unwrap();
        for file in ["manifest.json", "tokenizer.json"] {
            std::fs::copy(bundled().join(model).join(file), dir.join(file)).unwrap();
        }
    }
    let at = |path: &str| ModelEndpoints(vec![format!("http://{}{path}", server.address)]);
    settings.models.dir = Some(folder);
    settings.models.embedder_endpoints = at(paths[0]);
    settings.models.reranker_endpoints = at(paths[1]);
    settings
}

/// Where OpenAI's and Cohere's clients ask.
const COMMON: [&str; 2] = ["/v1/embeddings", "/v1/rerank"];
/// Where those of text-embeddings-inference ask.
const TEI: [&str; 2] = ["/embed", "/rerank"];

type Loaded = (Arc<dyn Embedder>, Arc<dyn Reranker>);

async fn load(settings: &Settings) -> Loaded {
    let settings = settings.clone();
    let loading = tokio::task::spawn_blocking(move || {
        let embedder = load_embedder(&settings).unwrap();
        (embedder, load_reranker(&settings).unwrap().unwrap())
    });
    loading.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn models_of_another_braid_pass_the_suites_and_give_the_same() {
    let scratch = tempfile::tempdir().unwrap();
    let server = model_server(scratch.path()).await;
    let local = load(&settings(scratch.path(), "local")).await;
    for paths in [COMMON, TEI] {
        let remote = load(&elsewhere(scratch.path(), "client", &server, paths)).await;
        assert_same(&remote, &local).await;
    }
    server.stop().await;
}

async fn assert_same((embedder, reranker): &Loaded, (local_embedder, local_reranker): &Loaded) {
    assert_eq!(embedder.fingerprint(), local_embedder.fingerprint());
    assert_eq!(reranker.fingerprint(), local_reranker.fingerprint());
    embedder_suite(&**embedder, 0.999).await;
    reranker_suite(&**reranker, 1e-4).await;
    let long = "a text beyond the window of the model ".repeat(200);
    let texts = [
        "a red fox".to_owned(),
        "Größere Füchse — 狐狸".to_owned(),
        long,
    ];
    let served = embedder.embed_passages(texts.to_vec()).await.unwrap();
    let local = local_embedder.embed_passages(texts.to_vec()).await.unwrap();
    assert_eq!(served, local, "every bit");
    let query = embedder.embed_query(&texts[0]).await.unwrap();
    assert_eq!(query, local_embedder.embed_query(&texts[0]).await.unwrap());
    let served = reranker.score("red fox", &texts).await.unwrap();
    let local = local_reranker.score("red fox", &texts).await.unwrap();
    for (served, local) in served.iter().zip(local) {
        assert!((served - local).abs() < 1e-5, "{served} {local}");
    }
}

fn document(id: &str, text: &str) -> NewDocument {
    NewDocument {
        id: DocumentId::new(id).unwrap(),
        text: text.to_owned(),
        title: None,
        uri: None,
        format: Format::Text,
        metadata: Metadata::default(),
        origin: None,
    }
}

/// Ids and scores of dense retrieval.
async fn dense(engine: &Engine, name: &CollectionName) -> Vec<(String, f64)> {
    let mut request = RetrieveRequest::new("a kitty asleep on a carpet", name.clone());
    request.mode = Mode::Dense;
    request.rerank.deadline_ms = Some(60_000);
    let response = engine.retrieve(request).await.unwrap();
    assert!(response.degraded.is_empty(), "{:?}", response.degraded);
    let hits = response.hits.iter();
    hits.map(|hit| (hit.passage.record.document.to_string(), hit.score))
        .collect()
}

/// The same collection, first with the models in the process and then with another Braid's.
#[tokio::test(flavor = "multi_thread")]
async fn a_collection_that_was_ingested_here_is_queried_through_the_server() {
    let scratch = tempfile::tempdir().unwrap();
    let name = CollectionName::new("animals").unwrap();
    let local = settings(scratch.path(), "data");
    let engine = Engine::open(&local, OpenOptions::default()).await.unwrap();
    engine.ensure_collection(&name).await.unwrap();
    let documents = vec![
        document("cat", "The feline rested on the rug."),
        document("command", "The cat command prints files."),
        document("bank", "Interest rates were raised by the central bank."),
    ];
    let request = IngestRequest {
        documents,
        ..IngestRequest::default()
    };
    engine.ingest(&name, request).await.unwrap();
    let newest = engine.collection_info(&name).await.unwrap().stats.newest;
    engine.wait_published(&name, newest).await.unwrap();
    let here = dense(&engine, &name).await;
    assert_eq!(here[0].0, "cat");
    engine.close().await;
    drop(engine);
    let server = model_server(scratch.path()).await;
    let remote = elsewhere(scratch.path(), "data", &server, COMMON);
    let engine = Engine::open(&remote, OpenOptions::default()).await.unwrap();
    let collection = engine.collection(&name).await.unwrap();
    assert_eq!(engine.fingerprint_mismatches(&collection).unwrap(), []);
    let there = dense(&engine, &name).await;
    for ((id, score), (other, same)) in here.iter().zip(&there) {
        assert_eq!(id, other);
        assert!((score - same).abs() < 1e-5, "{id}: {score} {same}");
    }
    engine.close().await;
    server.stop().await;
}
