//! Ingestion into an engine whose embedder fails on some texts.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[cfg(unix)]
mod unparsed;

use std::sync::Arc;

use async_trait::async_trait;
use braid_config::Settings;
use braid_core::{
    CollectionName, Embedder, Embedding, Error, ErrorCode, Fingerprint, Result, Script,
    TokenCounter,
};
use braid_engine::{Engine, OpenOptions};
use braid_ingest::{IngestArgs, IngestReport, Target};
use braid_testkit::HashEmbedder;

/// Refuses every batch with a text that contains `poison`.
#[derive(Debug)]
struct Picky(HashEmbedder);

#[async_trait]
impl Embedder for Picky {
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
        if texts.iter().any(|text| text.contains("poison")) {
            return Err(Error::new(ErrorCode::Internal, "not finite"));
        }
        self.0.embed_passages(texts).await
    }

    async fn embed_verbatim(&self, texts: Vec<String>) -> Result<Vec<Embedding>> {
        self.0.embed_verbatim(texts).await
    }

    async fn embed_query(&self, text: &str) -> Result<Embedding> {
        self.0.embed_query(text).await
    }
}

async fn ingest(engine: &Engine, path: &std::path::Path) -> IngestReport {
    let args = IngestArgs {
        paths: vec![path.to_owned()],
        collection: CollectionName::new("default").unwrap(),
        format: braid_engine::source::SourceFormat::Auto,
        id_field: None,
        text_field: None,
        rows_per_document: 1,
        metadata: Vec::new(),
        sync: false,
        watch: false,
        watch_poll: None,
        json: false,
    };
    let target = Target::Local(engine.clone());
    braid_ingest::run(&args, None, target).await.unwrap()
}

#[tokio::test]
async fn a_document_that_fails_after_staging_is_listed_once_with_its_reason() {
    let directory = tempfile::tempdir().unwrap();
    let docs = directory.path().join("docs");
    std::fs::create_dir(&docs).unwrap();
    std::fs::write(docs.join("good.md"), "fine words").unwrap();
    std::fs::write(docs.join("bad.md"), "poison here").unwrap();
    let mut settings = Settings::default();
    settings.storage.data_dir = directory.path().join("data");
    let options = OpenOptions {
        instead_of_models: Some(Arc::new(Picky(HashEmbedder::new(16)))),
        ..OpenOptions::default()
    };
    let engine = Engine::open(&settings, options).await.unwrap();
    let report = ingest(&engine, &docs).await;
    assert_eq!((report.added, report.replaced), (1, 0), "{report:?}");
    let failed = &report.failed;
    let place = docs.join("bad.md").display().to_string();
    assert_eq!((failed.len(), &failed[0].document), (1, &place));
    assert_eq!(failed[0].id.as_deref(), Some("bad.md"));
    assert!(failed[0].reason.contains("not finite"), "{failed:?}");
    let mended = docs.join("bad.md");
    std::fs::write(mended, "an antidote").unwrap();
    let report = ingest(&engine, &docs).await;
    assert_eq!(report.unchanged, 1, "{report:?}");
    assert!(report.failed.is_empty(), "{report:?}");
    engine.close().await;
}
