use braid_core::{ChunkId, Slot};

use super::*;
use crate::{HashEmbedder, OverlapReranker, RamVectorStore};

fn batch(slot: u32) -> IndexBatch<VectorEntry> {
    IndexBatch {
        add: vec![VectorEntry {
            slot: Slot(slot),
            chunk: ChunkId(uuid::Uuid::nil()),
            embedding: vec![1.0, 0.0].into(),
            metadata: Arc::default(),
            language: None,
        }],
        delete: SlotSet::new(),
        watermark: Sequence(u64::from(slot)),
    }
}

#[tokio::test]
async fn calls_fail_before_or_after_the_work() {
    let store = Faulty::new(RamVectorStore::new(2))
        .on(Call::Apply, 1, Fault::FailBefore(ErrorCode::StorageFull))
        .on(Call::Apply, 2, Fault::FailAfter(ErrorCode::Timeout));
    let refused = store.apply(batch(1)).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::StorageFull);
    assert_eq!(store.watermark().await.unwrap(), Sequence::ZERO);
    let lost = store.apply(batch(2)).await.unwrap_err();
    assert_eq!(lost.code(), ErrorCode::Timeout);
    assert_eq!(store.watermark().await.unwrap(), Sequence(2));
    store.apply(batch(3)).await.unwrap();
    assert_eq!(store.count(Call::Apply), 3);
}

#[tokio::test]
async fn a_gate_holds_a_call_until_it_is_opened() {
    let gate = Gate::new();
    let store = Faulty::new(RamVectorStore::new(2))
        .on(Call::Apply, 1, Fault::HoldBefore(gate.clone()))
        .on(Call::Apply, 2, Fault::HoldAfter(gate.clone()));
    let store = Arc::new(store);
    let first = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.apply(batch(1)).await }
    });
    gate.arrived().await;
    assert_eq!(store.watermark().await.unwrap(), Sequence::ZERO);
    let second = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.apply(batch(2)).await }
    });
    gate.arrived().await;
    assert_eq!(store.watermark().await.unwrap(), Sequence(2));
    assert!(!first.is_finished() && !second.is_finished());
    gate.open();
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
    assert_eq!(store.slots().await.unwrap().len(), 2);
}

#[tokio::test]
async fn searches_are_counted_over_all_views_until_healed() {
    let store = Faulty::shared(Arc::new(RamVectorStore::new(2)) as Arc<dyn VectorStore>).on_from(
        Call::Search,
        2,
        Fault::FailBefore(ErrorCode::Unavailable),
    );
    let query: Embedding = vec![1.0, 0.0].into();
    let everything = Selection::default();
    let search = async || {
        let view = store.pin().await?;
        view.search(&query, &everything, 1).await
    };
    assert!(search().await.is_ok());
    assert!(search().await.is_err());
    assert!(search().await.is_err());
    store.heal();
    assert!(search().await.is_ok());
    assert_eq!((store.count(Call::Search), store.count(Call::Pin)), (4, 4));
}

#[tokio::test]
async fn models_are_wrapped_too() {
    let embedder = Faulty::new(HashEmbedder::new(4)).on(
        Call::EmbedPassages,
        1,
        Fault::FailBefore(ErrorCode::ModelUnavailable),
    );
    assert!(embedder.embed_passages(vec!["a".to_owned()]).await.is_err());
    assert_eq!(embedder.inner().passages_embedded(), 0);
    assert!(embedder.embed_query("a").await.is_ok());
    let reranker = Faulty::new(OverlapReranker::new()).on(
        Call::Score,
        1,
        Fault::FailAfter(ErrorCode::Overloaded),
    );
    let error = reranker.score("a", &["a".to_owned()]).await.unwrap_err();
    assert_eq!(error.message(), "scripted fault on Score call 1");
    assert_eq!(reranker.inner().calls(), 1);
}
