//! What goes wrong, and what is left then.

use braid_core::{
    ChunkId, Embedding, ErrorCode, IndexBatch, Metadata, MetadataValue, Selection, Sequence, Slot,
    SlotSet, VectorEntry,
};
use braid_qdrant_double::{Fault, Kind, Link, Wire};
use braid_runtime::BreakerPolicy;

use super::*;
use crate::resilient::{BREAKER, Breaker, Resilient, Retries};

const SOON: std::time::Duration = std::time::Duration::from_secs(5);

fn entry(slot: u32) -> VectorEntry {
    let angle = slot as f32 * 0.001;
    VectorEntry {
        slot: Slot(slot),
        chunk: ChunkId(uuid::Uuid::from_u128(u128::from(slot))),
        embedding: vec![angle.cos(), angle.sin()].into(),
        metadata: Arc::default(),
        language: None,
    }
}

fn batch(watermark: u64, slots: std::ops::Range<u32>) -> IndexBatch<VectorEntry> {
    IndexBatch {
        add: slots.map(entry).collect(),
        delete: SlotSet::new(),
        watermark: Sequence(watermark),
    }
}

fn nothing() -> IndexBatch<VectorEntry> {
    batch(1, 0..0)
}

async fn nearest(store: &QdrantVectors, selection: &Selection) -> braid_core::Result<Vec<u32>> {
    let query = Embedding::from(vec![1.0, 0.0]);
    let found = store.pin().await?.search(&query, selection, 3).await?;
    Ok(found.iter().map(|candidate| candidate.slot.0).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_gone_is_unavailable_and_what_it_had_is_found_when_it_is_back() {
    let double = QdrantDouble::start();
    let site = site(options(double.url()));
    let store = site.store(key(1), 2);
    store.apply(batch(4, 0..5)).await.unwrap();
    assert_eq!(site.version(SOON).await.unwrap(), "1.18.0-double");
    double.stop();
    let all = Selection::default();
    for error in [
        store.apply(batch(5, 5..6)).await.unwrap_err(),
        store.watermark().await.unwrap_err(),
        store.slots().await.unwrap_err(),
        nearest(&store, &all).await.unwrap_err(),
        site.version(SOON).await.unwrap_err(),
        site.retain(&[]).await.unwrap_err(),
    ] {
        assert_eq!(error.code(), ErrorCode::Unavailable, "{error}");
        assert!(error.to_string().contains("qdrant.url"), "{error}");
    }
    double.start_again();
    assert_eq!(store.watermark().await.unwrap(), Sequence(4));
    assert_eq!(nearest(&store, &all).await.unwrap(), [0, 1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_watermark_is_never_ahead_of_the_entries() {
    let double = QdrantDouble::start();
    let site = site(QdrantOptions {
        upload_points: 10,
        upload_concurrency: 2,
        ..options(double.url())
    });
    let store = site.store(key(1), 2);
    store.apply(batch(1, 0..10)).await.unwrap();
    // A write of the batch fails: one of four uploads, or the one of the watermark itself.
    for (fault, code) in [
        (Fault::DiskFull, ErrorCode::StorageFull),
        (Fault::NotAppliedYet, ErrorCode::Timeout),
        (Fault::RateLimited, ErrorCode::Overloaded),
    ] {
        for good in 0..5_usize {
            double.inject(Kind::Write, Fault::Nothing, good);
            double.inject(Kind::Write, fault, 8);
            let error = store.apply(batch(2, 0..40)).await.unwrap_err();
            assert_eq!(error.code(), code, "{error}");
            double.heal();
            assert_eq!(store.watermark().await.unwrap(), Sequence(1), "{fault:?}");
        }
    }
    store.apply(batch(2, 0..40)).await.unwrap();
    assert_eq!(store.watermark().await.unwrap(), Sequence(2));
    assert_eq!(store.slots().await.unwrap(), (0..40).collect());
    assert_eq!(double.points(&double.collections()[0]), 41);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_answer_is_lost_is_there_once() {
    let double = QdrantDouble::start();
    let store = site(options(double.url())).store(key(1), 2);
    store.apply(batch(1, 0..5)).await.unwrap();
    double.inject(Kind::Write, Fault::LostAnswer, 1);
    store.apply(batch(2, 5..9)).await.unwrap();
    assert_eq!(store.slots().await.unwrap(), (0..9).collect());
    assert_eq!(double.points(&double.collections()[0]), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_that_was_deleted_is_not_made_again_quietly() {
    let double = QdrantDouble::start();
    let store = site(options(double.url())).store(key(1), 2);
    store.apply(batch(3, 0..5)).await.unwrap();
    let name = double.collections().remove(0);
    double.drop_collection(&name);
    let error = store.apply(batch(4, 5..9)).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unavailable);
    assert!(error.to_string().contains(&name) && error.to_string().contains("ledger"));
    let live = Selection {
        filter: None,
        slots: Some(Arc::new((0..5).collect())),
        ..Selection::default()
    };
    let error = nearest(&store, &live).await.unwrap_err();
    assert_eq!(
        error.code(),
        ErrorCode::Corrupt,
        "the server answers: {error}"
    );
    assert!(store.slots().await.unwrap().is_empty());
    assert!(double.collections().is_empty());
    // Who asks for the watermark learns that everything is missing.
    assert_eq!(store.watermark().await.unwrap(), Sequence::ZERO);
    store.apply(batch(4, 0..9)).await.unwrap();
    assert_eq!(store.slots().await.unwrap().len(), 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_of_another_shape_is_refused() {
    let double = QdrantDouble::start();
    let options = options(double.url());
    let store = site(options.clone()).store(key(1), 2);
    store.apply(batch(1, 0..1)).await.unwrap();
    let store = site(options).store(key(1), 3);
    let error = store.apply(nothing()).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Corrupt);
    assert!(error.message().contains("dimension 2, not 3"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_qdrant_wants_at_least_it_gets() {
    let double = QdrantDouble::start();
    let mut options = options(double.url());
    options.collection.ef_construction = 1;
    let store = site(options).store(key(1), 2);
    store.apply(nothing()).await.unwrap();
}

/// A search over a connection that has gone silent fails, and the next takes another.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_connection_is_replaced() {
    let double = QdrantDouble::start();
    let wire = Wire::to(vec![double.address()]);
    let store = site(QdrantOptions {
        search_timeout: std::time::Duration::from_millis(100),
        upload_concurrency: 1,
        ..options(wire.url())
    })
    .store(key(1), 2);
    store.apply(batch(1, 0..5)).await.unwrap();
    let everything = Selection::default();
    wire.set(Link::Silent);
    let error = nearest(&store, &everything).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Timeout, "{error}");
    wire.set(Link::Whole);
    assert_eq!(nearest(&store, &everything).await.unwrap(), [0, 1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_is_told_without_the_key() {
    let double = QdrantDouble::start_with(Strictness {
        api_key: Some("right".to_owned()),
        ..Strictness::default()
    });
    for api_key in [None, Some(ApiKey::new("wrong-secret").unwrap())] {
        let site = site(QdrantOptions {
            api_key,
            ..options(double.url())
        });
        let error = site.store(key(1), 2).watermark().await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::Unavailable);
        let said = format!("{error} {error:?} {} {site:?}", error.chain());
        assert!(said.contains("qdrant.api_key_env"), "{said}");
        assert!(!said.contains("wrong-secret"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_beyond_the_limit_have_no_index_and_are_filtered_all_the_same() {
    let double = QdrantDouble::start_with(Strictness {
        indexed_filters_only: true,
        ..Strictness::default()
    });
    let mut options = options(double.url());
    options.collection.indexed_fields = 2;
    let store = site(options).store(key(1), 2);
    let mut batch = batch(1, 0..1200);
    for entry in &mut batch.add {
        let field = |name: &str| {
            (
                name.to_owned(),
                MetadataValue::Number(f64::from(entry.slot.0)),
            )
        };
        let fields = ["a", "b", "c", "d"].map(field);
        entry.metadata = Arc::new(Metadata::new(fields.into()).unwrap());
    }
    store.apply(batch).await.unwrap();
    let name = double.collections().remove(0);
    assert_eq!(double.indexes(&name), ["keys", "num_a", "num_b", "slot"]);
    for field in ["a", "d"] {
        let condition = braid_core::Condition {
            key: field.to_owned(),
            predicate: braid_core::Predicate::Range(braid_core::Range {
                gte: Some(100.0),
                ..braid_core::Range::default()
            }),
        };
        let filter = braid_core::Filter {
            must: vec![condition],
            ..braid_core::Filter::default()
        };
        let selection = Selection {
            filter: Some(Arc::new(filter)),
            slots: Some(Arc::new((100..1200).collect())),
            ..Selection::default()
        };
        assert_eq!(nearest(&store, &selection).await.unwrap(), [100, 101, 102]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_get_over_what_passes() {
    let double = QdrantDouble::start();
    let store = site(options(double.url())).store(key(1), 2);
    store.apply(batch(1, 0..5)).await.unwrap();
    let retries = Retries {
        first: std::time::Duration::from_millis(1),
        ..Retries::default()
    };
    let breaker = Arc::new(Breaker::new(BREAKER));
    let store = Resilient::new(store, retries, breaker, 1);
    double.inject(Kind::Query, Fault::RateLimited, 2);
    let query = Embedding::from(vec![1.0, 0.0]);
    let view = store.pin().await.unwrap();
    let found = view.search(&query, &Selection::default(), 2).await.unwrap();
    assert_eq!(found.len(), 2);
    double.inject(Kind::Write, Fault::RateLimited, 2);
    store.apply(batch(2, 5..7)).await.unwrap();
    assert_eq!(store.watermark().await.unwrap(), Sequence(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_that_hangs_ends_and_counts_as_a_failure() {
    let double = QdrantDouble::start();
    let store = site(QdrantOptions {
        search_timeout: std::time::Duration::from_millis(20),
        ..options(double.url())
    })
    .store(key(1), 2);
    store.apply(batch(1, 0..5)).await.unwrap();
    double.inject(Kind::Query, Fault::Held, 1);
    let retries = Retries {
        attempts: 1,
        ..Retries::default()
    };
    let breaker = Arc::new(Breaker::new(BreakerPolicy {
        failures: 1,
        ..BREAKER
    }));
    let store = Resilient::new(store, retries, Arc::clone(&breaker), 1);
    let view = store.pin().await.unwrap();
    let query = Embedding::from(vec![1.0, 0.0]);
    let hung = view.search(&query, &Selection::default(), 2).await;
    assert_eq!(hung.unwrap_err().code(), ErrorCode::Timeout);
    assert!(breaker.is_open().is_some());
}
