//! What is sent, how much of it, and how much at once.

use std::sync::Arc;

use braid_models::{ApiKey, RemoteOptions};
use braid_testkit::model_server::folder::{PROBES, embedder_manifest};
use braid_testkit::{Gate, ModelServer, ServedModels, ServerFault};
use serde_json::json;

use super::{Folder, QUERY, options, start, texts};

#[tokio::test]
async fn calls_are_cut_into_requests_a_bounded_number_at_once() {
    let (server, folder) = start().await;
    let limits = RemoteOptions {
        batch_texts: 10,
        concurrency: 3,
        ..options()
    };
    let url = server.url("/v1/embeddings");
    let embedder = folder.embedder(&[url], limits).await.unwrap();
    let before = server.seen().len();
    let gate = Gate::new();
    server.fail_always(Some(ServerFault::Hold(gate.clone())));
    let call = tokio::spawn(async move { embedder.embed_passages(texts(75)).await });
    for _ in 0..3 {
        gate.arrived().await;
    }
    assert_eq!(server.seen().len() - before, 3, "the fourth waits");
    gate.open();
    assert_eq!(call.await.unwrap().unwrap().len(), 75);
    let sizes = server.seen().split_off(before);
    let mut sizes: Vec<usize> = sizes
        .iter()
        .map(|request| request.body["input"].as_array().unwrap().len())
        .collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [5, 10, 10, 10, 10, 10, 10, 10]);
    assert_eq!(server.most_running(), 3);
}

#[tokio::test]
async fn requests_are_no_longer_than_their_limit() {
    let (server, folder) = start().await;
    let limits = RemoteOptions {
        batch_bytes: 100,
        ..options()
    };
    let embedder = folder.embedder(&[server.url("/embed")], limits).await;
    let before = server.seen().len();
    let long = vec!["den ".repeat(20), "fox".to_owned(), "owl".repeat(40)];
    assert_eq!(
        embedder.unwrap().embed_passages(long).await.unwrap().len(),
        3
    );
    assert_eq!(server.seen().len() - before, 2, "83 bytes, and 120 alone");
}

/// A server that takes fewer texts than it is sent says 413 or 422.
#[tokio::test]
async fn a_request_too_large_for_the_server_is_halved() {
    for path in ["/embed", "/v1/embeddings"] {
        let (server, folder) = start().await;
        server.serve(|models| models.most_texts = 3);
        let urls = [server.url(path)];
        let embedder = folder.embedder(&urls, options()).await.unwrap();
        let whole = embedder.embed_passages(texts(20)).await.unwrap();
        server.serve(|models| models.most_texts = 32);
        assert_eq!(whole, embedder.embed_passages(texts(20)).await.unwrap());
    }
}

/// No server sees more than the window has room for, so none truncates in its own way.
#[tokio::test]
async fn texts_are_cut_to_the_window_before_they_are_sent() {
    let (server, folder) = start().await;
    let urls = [server.url("/embed")];
    let embedder = folder.embedder(&urls, options()).await.unwrap();
    let long = "fox ".repeat(999);
    embedder.embed_query(&long).await.unwrap();
    let sent = server.seen().pop().unwrap().body;
    let words = |text: &serde_json::Value| text.as_str().unwrap().split_whitespace().count();
    assert_eq!(words(&sent["inputs"][0]), 254, "two tokens are special");
    let urls = [server.url("/rerank")];
    let reranker = folder.reranker(&urls, options()).await.unwrap();
    reranker.score(QUERY, &[long]).await.unwrap();
    let sent = server.seen().pop().unwrap().body;
    assert_eq!(sent["query"], QUERY);
    assert_eq!(words(&sent["texts"][0]), 128 - 3 - 5);
}

#[tokio::test]
async fn prefixes_are_put_before_what_is_sent() {
    let (server, folder) = start().await;
    let mut manifest = embedder_manifest().await;
    manifest["embedder"]["query_prefix"] = json!("query: ");
    manifest["embedder"]["passage_prefix"] = json!("passage: ");
    folder.write("texts", &manifest);
    let urls = [server.url("/v1/embeddings")];
    let embedder = folder.embedder(&urls, options()).await.unwrap();
    let probes = server.seen().pop().unwrap().body;
    assert_eq!(probes["input"][0], PROBES[0], "probes have none");
    embedder.embed_query("fox").await.unwrap();
    embedder.embed_passages(texts(1)).await.unwrap();
    embedder.embed_verbatim(texts(1)).await.unwrap();
    let sent: Vec<_> = server.seen().split_off(1);
    let sent: Vec<_> = sent
        .iter()
        .map(|seen| seen.body["input"][0].as_str())
        .collect();
    let expected = ["query: fox", "passage: fox number 0", "fox number 0"];
    assert_eq!(sent, expected.map(Some));
}

#[tokio::test]
async fn the_key_is_sent_and_its_lack_is_told() {
    let models = ServedModels {
        key: Some("sk-hush"),
        ..ServedModels::default()
    };
    let (server, folder) = (ModelServer::start(models).await, Folder::new().await);
    let urls = [server.url("/v2/rerank")];
    let error = folder.reranker(&urls, options()).await.unwrap_err();
    assert!(error.message().contains("401"), "{error}");
    assert!(error.help().unwrap().contains("key"), "{error}");
    let limits = RemoteOptions {
        key: Some(ApiKey::new("sk-hush", "the test").unwrap()),
        ..options()
    };
    assert!(!format!("{limits:?}").contains("hush"));
    let reranker = folder.reranker(&urls, limits).await.unwrap();
    assert!(!format!("{reranker:?}").contains("hush"));
    let scores = reranker.score(QUERY, &texts(2)).await.unwrap();
    assert_eq!(scores.len(), 2);
}

#[tokio::test]
async fn too_many_queries_at_once_are_refused() {
    let (server, folder) = start().await;
    let urls = [server.url("/embed")];
    let embedder = folder.embedder(&urls, options()).await.unwrap();
    let gate = Gate::new();
    server.fail_always(Some(ServerFault::Hold(gate.clone())));
    let ask = |n: usize| {
        let embedder = Arc::clone(&embedder);
        tokio::spawn(async move { embedder.embed_query(&format!("query {n}")).await })
    };
    let asked: Vec<_> = (0..128).map(ask).collect();
    for _ in 0..128 {
        gate.arrived().await;
    }
    let refused = embedder.embed_query("one more").await.unwrap_err();
    assert_eq!(refused.code(), braid_core::ErrorCode::Overloaded);
    gate.open();
    for call in asked {
        call.await.unwrap().unwrap();
    }
}
