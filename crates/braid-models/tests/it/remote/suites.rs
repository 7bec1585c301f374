//! The ports' suites, through every shape.

use braid_testkit::{ModelServer, ServedModels, embedder_suite, reranker_suite};

use super::{Folder, options, start};

async fn embedder_passes(path: &str) {
    let (server, folder) = start().await;
    let embedder = folder.embedder(&[server.url(path)], options()).await;
    embedder_suite(&*embedder.unwrap(), 1.0 - 1e-6).await;
}

#[tokio::test]
async fn tei_embed_passes_the_suite() {
    embedder_passes("/embed").await;
}

#[tokio::test]
async fn openai_embeddings_pass_the_suite() {
    embedder_passes("/v1/embeddings").await;
}

#[tokio::test]
async fn vectors_that_are_not_normalised_are() {
    let models = ServedModels {
        unnormalised: true,
        ..ServedModels::default()
    };
    let (server, folder) = (ModelServer::start(models).await, Folder::new().await);
    let urls = [server.url("/v1/embeddings")];
    let embedder = folder.embedder(&urls, options()).await.unwrap();
    embedder_suite(&*embedder, 1.0 - 1e-6).await;
}

async fn reranker_passes(path: &str, tolerance: f32) {
    let (server, folder) = start().await;
    let reranker = folder.reranker(&[server.url(path)], options()).await;
    reranker_suite(&*reranker.unwrap(), tolerance).await;
}

#[tokio::test]
async fn tei_rerank_passes_the_suite() {
    reranker_passes("/rerank", 0.0).await;
}

#[tokio::test]
async fn cohere_rerank_passes_the_suite() {
    reranker_passes("/v2/rerank", 1e-6).await;
    reranker_passes("/v1/rerank", 1e-6).await;
}
