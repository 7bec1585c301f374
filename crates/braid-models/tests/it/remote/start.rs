//! Loading: what is checked at once, what later, and what is refused.

use std::sync::Arc;

use async_trait::async_trait;
use braid_core::{Embedder, Embedding, ErrorCode, Fingerprint, Result, Script, TokenCounter};
use braid_models::{DEFAULT_EMBEDDER, EmbedderOptions, ModelPlace, ModelStatus, ModelStore};
use braid_testkit::model_server::folder::embedder_manifest;
use braid_testkit::{HashEmbedder, ModelServer, ServedModels, ServerFault};

use super::{Folder, nowhere, options, start, texts};
use crate::{EMBEDDER, bundled_folder};

/// Another model of the same dimension.
#[derive(Debug)]
pub(super) struct Reversed(pub(super) HashEmbedder);

#[async_trait]
impl Embedder for Reversed {
    fn fingerprint(&self) -> &Fingerprint {
        self.0.fingerprint()
    }

    fn dimension(&self) -> usize {
        self.0.dimension()
    }

    fn token_counter(&self) -> Arc<dyn TokenCounter> {
        self.0.token_counter()
    }

    fn reads(&self, script: Script) -> bool {
        self.0.reads(script)
    }

    async fn embed_passages(&self, texts: Vec<String>) -> Result<Vec<Embedding>> {
        let vectors = self.0.embed_passages(texts).await?;
        let reversed = vectors.iter().map(|vector| vector.iter().rev().copied());
        Ok(reversed.map(Iterator::collect).collect())
    }

    async fn embed_verbatim(&self, texts: Vec<String>) -> Result<Vec<Embedding>> {
        self.embed_passages(texts).await
    }

    async fn embed_query(&self, text: &str) -> Result<Embedding> {
        self.0.embed_query(text).await
    }
}

#[tokio::test]
async fn another_model_behind_the_address_is_refused_at_start() {
    let (server, folder) = start().await;
    server.serve(|models| models.embedder = Arc::new(Reversed(HashEmbedder::new(256))));
    let urls = [server.url("/embed")];
    let error = folder.embedder(&urls, options()).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::ModelUnavailable);
    for said in [&urls[0], "is not texts@", "cosine"] {
        assert!(error.message().contains(said), "{error}");
    }
    server.serve(|models| models.embedder = Arc::new(HashEmbedder::new(64)));
    let error = folder.embedder(&urls, options()).await.unwrap_err();
    assert!(error.message().contains("64 numbers where"), "{error}");
    let urls = [server.url("/v1/embeddings")];
    server.serve(|models| models.name = "org/other");
    let error = folder.embedder(&urls, options()).await.unwrap_err();
    assert!(error.message().contains("404"), "{error}");
    assert!(error.help().unwrap().contains("remote.model"), "{error}");
}

/// What a collection is compared with does not need the server.
#[tokio::test]
async fn a_server_that_is_not_there_is_checked_before_its_first_use() {
    let (server, folder) = start().await;
    server.fail_always(Some(ServerFault::Status(503, None)));
    let urls = [server.url("/embed")];
    let embedder = folder.embedder(&urls, options()).await.unwrap();
    assert!(embedder.fingerprint().as_str().starts_with("texts@"));
    assert_eq!(embedder.dimension(), 256);
    let error = embedder.embed_passages(texts(1)).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unavailable);
    server.fail_always(None);
    server.serve(|models| models.embedder = Arc::new(Reversed(HashEmbedder::new(256))));
    let error = embedder.embed_passages(texts(1)).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::ModelUnavailable, "{error}");
    server.serve(|models| models.embedder = Arc::new(HashEmbedder::new(256)));
    assert_eq!(embedder.embed_passages(texts(1)).await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_second_address_is_asked_where_nothing_listens_at_the_first() {
    let (server, folder) = start().await;
    let urls = [nowhere().await, server.url("/v1/embeddings")];
    let embedder = folder.embedder(&urls, options()).await.unwrap();
    assert_eq!(embedder.embed_passages(texts(40)).await.unwrap().len(), 40);
    server.fail_always(Some(ServerFault::Status(503, None)));
    let error = embedder.embed_query("fox").await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unavailable);
    for url in &urls {
        assert!(error.message().contains(url.as_str()), "{error}");
    }
}

#[tokio::test]
async fn fingerprints_change_with_the_weights_a_manifest_names() {
    let folder = Folder::new().await;
    let urls = [nowhere().await];
    let fingerprint = async || {
        let embedder = folder.embedder(&urls, options()).await.unwrap();
        embedder.fingerprint().clone()
    };
    let first = fingerprint().await;
    assert_eq!(first, fingerprint().await);
    let mut manifest = embedder_manifest().await;
    manifest["remote"]["revision"] = "2".into();
    folder.write("texts", &manifest);
    assert_ne!(first, fingerprint().await);
}

/// Weights that are here and weights that are elsewhere are the same model.
#[tokio::test]
async fn a_bundled_model_without_its_weights_has_the_same_fingerprint() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join(DEFAULT_EMBEDDER);
    std::fs::create_dir(&dir).unwrap();
    for file in ["manifest.json", "tokenizer.json"] {
        let bundled = bundled_folder().join(DEFAULT_EMBEDDER).join(file);
        std::fs::copy(bundled, dir.join(file)).unwrap();
    }
    let folder = Folder { directory: folder };
    let place = super::places(&[nowhere().await], braid_models::ModelKind::Embedder);
    let store = folder.store();
    let load = move || {
        let local = EmbedderOptions::default();
        store.load_embedder_at(DEFAULT_EMBEDDER, &place, &local, &options())
    };
    let remote = tokio::task::spawn_blocking(load).await.unwrap().unwrap();
    assert_eq!(remote.fingerprint(), EMBEDDER.fingerprint());
    assert_eq!(remote.token_counter().count("a red fox"), 3);
}

#[tokio::test]
async fn a_model_without_weights_is_listed_and_does_not_run_here() {
    let folder = Folder::new().await;
    let store: ModelStore = folder.store();
    let listed = store.list().into_iter().find(|model| model.name == "texts");
    assert_eq!(listed.unwrap().status, ModelStatus::Elsewhere);
    assert!(
        store
            .verify("texts")
            .unwrap()
            .iter()
            .all(|check| check.state.is_good())
    );
    let local = EmbedderOptions::default();
    let error = store.load_embedder("texts", &local).unwrap_err();
    assert_eq!(error.code(), ErrorCode::ModelUnavailable);
    assert!(error.help().unwrap().contains("models.embedder_endpoints"));
    let places = [ModelPlace::Here];
    let error = store.load_embedder_at("texts", &places, &local, &options());
    assert!(error.is_err());
}

#[tokio::test]
async fn a_manifest_that_cannot_tell_models_apart_is_refused() {
    let server = ModelServer::start(ServedModels::default()).await;
    let folder = Folder::new().await;
    let urls = [server.url("/embed")];
    let mut manifest = embedder_manifest().await;
    manifest["embedder"]["probes"] = serde_json::json!([]);
    folder.write("texts", &manifest);
    let error = folder.embedder(&urls, options()).await.unwrap_err();
    assert!(
        error
            .message()
            .contains("lacks embedder.dimension and embedder.probes")
    );
    assert!(server.seen().is_empty(), "nothing was sent");
}
