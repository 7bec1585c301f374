//! Against the double, and where `BRAID_TEST_QDRANT_URL` names one against a real server.

mod faults;
mod server;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use braid_core::{CollectionId, Generation, IndexKey, VectorStore};
use braid_qdrant_double::{QdrantDouble, Strictness};
use braid_runtime::CpuPool;
use braid_testkit::{
    RecallCase, remote_vector_store_suite, vector_durability_suite, vector_recall_suite,
};

use super::*;

/// A site of `url` whose names nobody else has.
fn site(options: QdrantOptions) -> QdrantSite {
    QdrantSite::new(options, CpuPool::new(1).unwrap()).unwrap()
}

fn options(url: String) -> QdrantOptions {
    QdrantOptions {
        url,
        namespace: format!("braid-test-{}", uuid::Uuid::new_v4().simple()),
        // Several requests for most batches.
        upload_points: 100,
        ..QdrantOptions::default()
    }
}

fn key(collection: u32) -> IndexKey {
    IndexKey {
        collection: CollectionId(collection),
        generation: Generation(1),
    }
}

/// Stores of collections that are all different.
fn fresh(site: &QdrantSite) -> impl Fn(usize) -> Arc<dyn VectorStore> {
    let collections = AtomicU32::new(0);
    move |dimension| {
        let collection = collections.fetch_add(1, Relaxed);
        Arc::new(site.store(key(collection), dimension))
    }
}

async fn conforms(options: QdrantOptions) {
    let site = site(options.clone());
    remote_vector_store_suite(&fresh(&site)).await;
    let own = self::site(options);
    let open = || -> Arc<dyn VectorStore> { Arc::new(own.store(key(1_000_000), 16)) };
    vector_durability_suite(&open, 16).await;
    site.retain(&[]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms_against_the_double() {
    let double = QdrantDouble::start();
    conforms(options(double.url())).await;
    assert!(double.collections().is_empty(), "nothing is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms_where_the_server_is_strict() {
    let double = QdrantDouble::start_with(Strictness {
        api_key: Some("secret".to_owned()),
        indexed_filters_only: true,
        max_batch: Some(4096),
        max_limit: None,
    });
    conforms(QdrantOptions {
        api_key: Some(ApiKey::new("secret").unwrap()),
        // A filter asks for fields that no entry has: those have no index.
        collection: CollectionOptions {
            indexed_fields: 64,
            ..CollectionOptions::default()
        },
        ..options(double.url())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn misses_nothing_that_an_exact_server_has() {
    let double = QdrantDouble::start();
    let site = site(options(double.url()));
    let case = RecallCase {
        vectors: 1800,
        floor: 1.0,
        ..RecallCase::default()
    };
    vector_recall_suite(&fresh(&site), case).await;
}

/// A real server, if there is one: its version must be 1.15 or newer.
fn real_server() -> Option<QdrantOptions> {
    let Ok(url) = std::env::var("BRAID_TEST_QDRANT_URL") else {
        eprintln!("skipped: set BRAID_TEST_QDRANT_URL to the gRPC address of a Qdrant server");
        return None;
    };
    let key = std::env::var("BRAID_TEST_QDRANT_API_KEY").ok();
    let copies = std::env::var("BRAID_TEST_QDRANT_REPLICATION").ok();
    let mut options = options(url);
    options.api_key = key.map(|key| ApiKey::new(&key).unwrap());
    options.collection.replication = copies.map_or(1, |copies| copies.parse().unwrap());
    Some(options)
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms_against_a_real_server() {
    let Some(options) = real_server() else { return };
    conforms(options).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn finds_the_nearest_in_a_real_server() {
    let Some(options) = real_server() else { return };
    for quantization in [Quantization::None, Quantization::Scalar] {
        let mut options = options.clone();
        options.collection.quantization = quantization;
        let site = site(options);
        vector_recall_suite(&fresh(&site), RecallCase::default()).await;
        site.retain(&[]).await.unwrap();
    }
}
