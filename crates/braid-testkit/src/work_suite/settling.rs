//! What becomes of claims.

use braid_core::ports::Settled;
use braid_core::{DocumentId, DocumentStatus, ErrorCode};

use super::{Desk, WorkSubject, embedder, embedding, embeddings, texts};

pub(super) async fn check(fresh: &impl AsyncFn() -> WorkSubject) {
    what_is_published_is_retrievable(fresh).await;
    publishing_again_changes_nothing(fresh).await;
    a_late_publish_does_not_resurrect(fresh).await;
    a_replaced_version_is_never_published(fresh).await;
    embeddings_that_do_not_fit_are_refused(fresh).await;
}

async fn what_is_published_is_retrievable(fresh: &impl AsyncFn() -> WorkSubject) {
    let desk = Desk::new(fresh).await;
    desk.put("a", &["one", "two"]).await;
    desk.put("b", &["three"]).await;
    desk.put("empty", &[]).await;
    assert!(desk.shown("a").await.is_empty());
    let work = desk.claim(10).await;
    let keys = work.iter().flat_map(|item| item.chunks.iter());
    let keys: Vec<_> = keys.map(|chunk| chunk.record.embedding_key).collect();
    let found = desk.scene.ledger.embeddings(&embedder(), &keys).await;
    assert!(found.unwrap().iter().all(Option::is_none));
    let asked: Vec<_> = work.iter().flat_map(embeddings).collect();
    let work = work.into_iter().map(|item| {
        let embeddings = embeddings(&item);
        (item, embeddings)
    });
    let settled = desk.queue().publish(work.collect()).await.unwrap();
    assert_eq!(settled, [Settled::Done; 3]);
    desk.assert_depth(0, 0, 0).await;
    assert_eq!(desk.shown("a").await, ["one", "two"]);
    assert_eq!(desk.shown("b").await, ["three"]);
    for id in ["a", "b", "empty"] {
        let id = DocumentId::new(id).unwrap();
        let document = desk.scene.ledger.document(desk.scene.collection.id, &id);
        let summary = document.await.unwrap().unwrap().summary;
        assert_eq!(summary.status, DocumentStatus::Published, "{id}");
    }
    let found = desk.scene.ledger.embeddings(&embedder(), &keys).await;
    for (found, asked) in found.unwrap().into_iter().zip(asked) {
        let found = found.expect("the embeddings of what is published are stored");
        let product: f32 = found.iter().zip(asked.iter()).map(|(a, b)| a * b).sum();
        assert!(product > 0.999, "{found:?} is not {asked:?}");
    }
}

async fn publishing_again_changes_nothing(fresh: &impl AsyncFn() -> WorkSubject) {
    let desk = Desk::new(fresh).await;
    desk.put("a", &["one"]).await;
    let item = desk.claim_one().await;
    assert_eq!(desk.publish(item.clone()).await, Settled::Done);
    assert_eq!(desk.publish(item).await, Settled::Done);
    assert_eq!(desk.shown("a").await, ["one"]);
    assert_eq!(desk.scene.stats().await.documents, 1);
}

async fn a_late_publish_does_not_resurrect(fresh: &impl AsyncFn() -> WorkSubject) {
    let desk = Desk::new(fresh).await;
    desk.put("a", &["old"]).await;
    desk.drain().await;
    desk.put("a", &["new"]).await;
    let late = desk.claim_one().await;
    desk.scene.delete("a").await;
    assert!(desk.shown("a").await.is_empty(), "a delete hides at once");
    desk.assert_depth(0, 0, 0).await;
    let claim = late.claim.clone();
    let renewed = desk
        .queue()
        .renew(std::slice::from_ref(&claim), super::LEASE);
    assert_eq!(renewed.await.unwrap(), [false]);
    assert_eq!(desk.publish(late).await, Settled::Superseded);
    assert!(desk.shown("a").await.is_empty());
    assert!(desk.claim(10).await.is_empty());
    desk.put("a", &["again"]).await;
    desk.drain().await;
    assert_eq!(desk.shown("a").await, ["again"]);
}

async fn a_replaced_version_is_never_published(fresh: &impl AsyncFn() -> WorkSubject) {
    let desk = Desk::new(fresh).await;
    desk.put("a", &["first"]).await;
    desk.drain().await;
    desk.put("a", &["second"]).await;
    let late = desk.claim_one().await;
    desk.put("a", &["third"]).await;
    assert_eq!(desk.shown("a").await, ["first"], "still served");
    desk.assert_depth(1, 0, 0).await;
    let newest = desk.claim_one().await;
    assert_eq!(texts(&newest), ["third"]);
    assert_eq!(newest.claim.attempt, 1, "of this version");
    assert_eq!(desk.publish(late.clone()).await, Settled::Superseded);
    assert_eq!(desk.shown("a").await, ["first"]);
    assert_eq!(desk.publish(newest).await, Settled::Done);
    assert_eq!(desk.publish(late).await, Settled::Superseded);
    assert_eq!(desk.shown("a").await, ["third"]);
    desk.assert_depth(0, 0, 0).await;
}

async fn embeddings_that_do_not_fit_are_refused(fresh: &impl AsyncFn() -> WorkSubject) {
    let desk = Desk::new(fresh).await;
    desk.put("a", &["one", "two"]).await;
    let item = desk.claim_one().await;
    let wrong = [
        vec![embedding("one")],
        vec![embedding("one"), vec![1.0, 0.0, 0.0].into()],
    ];
    for embeddings in wrong {
        let refused = desk.queue().publish(vec![(item.clone(), embeddings)]).await;
        assert_eq!(refused.unwrap_err().code(), ErrorCode::InvalidRequest);
    }
    assert!(desk.shown("a").await.is_empty());
    assert_eq!(desk.publish(item).await, Settled::Done);
    assert_eq!(desk.shown("a").await, ["one", "two"]);
}
