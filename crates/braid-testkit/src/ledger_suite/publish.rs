//! Publishing is compare-and-set; a failed operation is a no-op.

use braid_core::operation::{OperationKind, PublishReceipt};
use braid_core::{DocumentId, DocumentStatus, Sequence};

use super::FreshLedger;
use super::scene::{Scene, put, staged};

pub(super) async fn check(fresh: FreshLedger<'_>) {
    a_replacement_shows_one_version(Scene::new(fresh()).await).await;
    a_late_publish_resurrects_nothing(Scene::new(fresh()).await).await;
    publishing_again_does_nothing(Scene::new(fresh()).await).await;
    a_failed_operation_keeps_the_old_version(Scene::new(fresh()).await).await;
    a_failed_operation_blocks_nobody(Scene::new(fresh()).await).await;
    an_older_staged_version_takes_over(Scene::new(fresh()).await).await;
    failing_never_undoes_a_delete(Scene::new(fresh()).await).await;
    failing_is_final(Scene::new(fresh()).await).await;
}

pub(super) async fn check_shared(fresh: FreshLedger<'_>) {
    failing_never_undoes_a_delete(Scene::new(fresh()).await).await;
}

async fn document_status(scene: &Scene, id: &str) -> Option<DocumentStatus> {
    let id = DocumentId::new(id).unwrap();
    let document = scene.ledger.document(scene.collection.id, &id).await;
    document.unwrap().map(|document| document.summary.status)
}

async fn a_replacement_shows_one_version(scene: Scene) {
    scene.put("d", &["old one", "old two"]).await;
    scene.publish().await;
    scene.put("d", &["new"]).await;
    assert_eq!(scene.visible().await, ["d: old one | old two"]);
    assert_eq!(scene.stats().await.documents, 1);
    let receipt = scene.publish().await;
    let expected = PublishReceipt {
        published: 1,
        superseded: 0,
        watermark: Sequence(2),
    };
    assert_eq!(receipt, expected);
    assert_eq!(scene.visible().await, ["d: new"]);
    let stats = scene.stats().await;
    assert_eq!((stats.documents, stats.chunks, stats.retired), (1, 1, 2));
    scene.check_sound().await;
}

async fn a_late_publish_resurrects_nothing(scene: Scene) {
    scene.put("deleted", &["v1"]).await;
    scene.put("replaced", &["v1"]).await;
    scene.delete("deleted").await;
    scene.put("replaced", &["v2"]).await;
    let receipt = scene.publish_through(Sequence(2)).await;
    assert_eq!((receipt.published, receipt.superseded), (0, 2));
    assert!(scene.visible().await.is_empty());
    assert_eq!(scene.stats().await.retired, 2);
    scene.check_sound().await;
    scene.publish().await;
    assert_eq!(scene.visible().await, ["replaced: v2"]);
    scene.check_sound().await;
}

async fn publishing_again_does_nothing(scene: Scene) {
    let first = scene.put("d", &["one"]).await;
    scene.publish().await;
    let again = PublishReceipt {
        watermark: first,
        ..PublishReceipt::default()
    };
    assert_eq!(scene.publish_through(first).await, again);
    assert_eq!(scene.publish_through(Sequence::ZERO).await, again);
    assert_eq!(scene.publish_through(Sequence(u64::MAX)).await, again);
    scene.put("d", &["two"]).await;
    let receipt = scene.publish_through(Sequence(77)).await;
    assert_eq!(
        receipt.watermark,
        Sequence(2),
        "no further than what there is"
    );
    assert_eq!(scene.stats().await.published, Sequence(2));
}

async fn a_failed_operation_keeps_the_old_version(scene: Scene) {
    scene.put("d", &["old"]).await;
    scene.publish().await;
    let failed = scene.put("d", &["poison"]).await;
    scene.fail(failed, "too big").await;
    let reason = "too big".to_owned();
    let kinds = scene.log(Sequence(1), 9).await;
    assert_eq!(
        kinds,
        [OperationKind::Failed {
            reason: reason.clone()
        }]
    );
    scene.check_sound().await;
    scene.publish().await;
    assert_eq!(scene.visible().await, ["d: old"]);
    let status = document_status(&scene, "d").await;
    assert_eq!(status, Some(DocumentStatus::Failed(reason)));
    let stats = scene.stats().await;
    assert_eq!((stats.failed, stats.documents, stats.lag()), (1, 1, 0));
    assert_eq!(stats.retired, 1, "its slots may be in an index");
    scene.check_sound().await;
    scene.put("d", &["new"]).await;
    assert_eq!(scene.stats().await.failed, 0, "it has a newer version");
    scene.publish().await;
    assert_eq!(scene.visible().await, ["d: new"]);
    scene.check_sound().await;
}

async fn a_failed_operation_blocks_nobody(scene: Scene) {
    let failed = scene.put("a", &["poison"]).await;
    scene.put("b", &["fine"]).await;
    scene.fail(failed, "reason").await;
    let receipt = scene.publish().await;
    assert_eq!((receipt.published, receipt.watermark), (1, Sequence(2)));
    assert_eq!(scene.visible().await, ["b: fine"]);
    let stats = scene.stats().await;
    assert_eq!((stats.documents, stats.failed), (1, 1));
    scene.delete("a").await;
    assert_eq!(scene.stats().await.failed, 0);
    assert_eq!(document_status(&scene, "a").await, None);
    scene.check_sound().await;
}

async fn an_older_staged_version_takes_over(scene: Scene) {
    scene.put("d", &["v1"]).await;
    scene.publish().await;
    let second = scene.put("d", &["v2"]).await;
    let third = scene.put("d", &["v3"]).await;
    scene.fail(third, "reason").await;
    scene.publish_through(second).await;
    assert_eq!(scene.visible().await, ["d: v2"]);
    scene.check_sound().await;
    scene.publish().await;
    assert_eq!(scene.visible().await, ["d: v2"]);
    let second = scene.put("d", &["v4"]).await;
    scene.put("d", &["v5"]).await;
    scene.fail(second, "reason").await;
    scene.publish().await;
    assert_eq!(scene.visible().await, ["d: v5"]);
    assert_eq!(scene.stats().await.failed, 0);
    scene.check_sound().await;
}

async fn failing_never_undoes_a_delete(scene: Scene) {
    scene.put("d", &["v1"]).await;
    scene.publish().await;
    scene.put("d", &["v2"]).await;
    scene.delete("d").await;
    let last = scene.put("d", &["v3"]).await;
    scene.fail(last, "reason").await;
    scene.check_sound().await;
    scene.publish().await;
    assert!(scene.visible().await.is_empty());
    assert_eq!(scene.stats().await.documents, 0);
    scene.put("e", &["v1"]).await;
    scene.publish().await;
    scene.delete("e").await;
    let delete = scene.stats().await.newest;
    scene.fail(delete, "reason").await;
    scene.publish().await;
    assert!(
        scene.visible().await.is_empty(),
        "a delete binds once acknowledged"
    );
    scene.check_sound().await;
}

async fn failing_is_final(scene: Scene) {
    let published = scene.put("d", &["one"]).await;
    scene.publish().await;
    scene.fail(published, "too late").await;
    scene.fail(Sequence(99), "unknown").await;
    assert_eq!(scene.visible().await, ["d: one"]);
    assert_eq!(
        document_status(&scene, "d").await,
        Some(DocumentStatus::Published)
    );
    let failed = scene.put("d", &["two"]).await;
    scene.fail(failed, "first").await;
    scene.fail(failed, "second").await;
    let status = DocumentStatus::Failed("first".to_owned());
    assert_eq!(document_status(&scene, "d").await, Some(status));
    assert_eq!(scene.stats().await.retired, 1);
    let changes = vec![put(staged("d", &["two"]))];
    let receipt = scene.stage(changes).await;
    assert_eq!(
        receipt.newest,
        Sequence(3),
        "a failed version is tried again"
    );
}
