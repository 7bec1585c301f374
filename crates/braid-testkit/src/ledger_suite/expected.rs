//! Changes that were decided by a look-up are made where it still holds.

use std::sync::Arc;

use braid_core::operation::{Change, ChangeOutcome, Expected, StagedDocument};
use braid_core::ports::{JobChange, JobItemStatus};
use braid_core::{
    Condition, DocumentId, DocumentStatus, Filter, JobId, Language, MetadataValue, Predicate,
    Sequence,
};
use uuid::Uuid;

use super::FreshLedger;
use super::scene::{Scene, metadata, put, staged};

pub(super) async fn check(fresh: FreshLedger<'_>) {
    what_failed_is_put_again(Scene::new(fresh()).await).await;
    what_was_written_meanwhile_is_not_put_over(Scene::new(fresh()).await).await;
    what_still_passes_is_deleted(Scene::new(fresh()).await).await;
    what_passes_no_more_is_not_deleted(Scene::new(fresh()).await).await;
    what_is_missing_is_put(Scene::new(fresh()).await).await;
    what_is_there_is_not_put_over(Scene::new(fresh()).await).await;
    the_changes_before_count(Scene::new(fresh()).await).await;
    a_job_skips_what_is_not_as_expected(Scene::new(fresh()).await).await;
}

fn put_again(id: &str, text: &str, failed: Sequence) -> Change {
    Change::PutIf(Expected::Failed(failed), Box::new(staged(id, &[text])))
}

fn put_missing(id: &str, text: &str) -> Change {
    Change::PutIf(Expected::Missing, Box::new(staged(id, &[text])))
}

fn language_is(language: &str) -> Arc<Filter> {
    let predicate = Predicate::Match(MetadataValue::String(language.to_owned()));
    let key = "language".to_owned();
    Arc::new(Filter {
        must: vec![Condition { key, predicate }],
        ..Filter::default()
    })
}

fn delete_german(id: &str) -> Change {
    let expected = Expected::Passing(language_is("german"));
    Change::DeleteIf(expected, DocumentId::new(id).unwrap())
}

/// A document that says what language it is in.
fn said(id: &str, text: &str, language: &str) -> StagedDocument {
    let mut document = staged(id, &[text]);
    let language = MetadataValue::String(language.to_owned());
    document.document.metadata = metadata(&[("language", language)]);
    document
}

/// A document whose language was detected.
fn detected(id: &str, text: &str, language: Language) -> StagedDocument {
    let mut document = staged(id, &[text]);
    document.language = Some(language);
    document
}

async fn status(scene: &Scene, id: &str) -> Option<DocumentStatus> {
    let id = DocumentId::new(id).unwrap();
    let document = scene.ledger.document(scene.collection.id, &id).await;
    document.unwrap().map(|document| document.summary.status)
}

fn is_staged(outcome: &ChangeOutcome) -> bool {
    matches!(outcome, ChangeOutcome::Staged { replaced: true, .. })
}

async fn what_failed_is_put_again(scene: Scene) {
    let failed = scene.put("d", &["poison"]).await;
    scene.fail(failed, "reason").await;
    let outcome = scene.stage_one(put_again("d", "poison", failed)).await;
    assert!(is_staged(&outcome), "{outcome:?}");
    assert_eq!(status(&scene, "d").await, Some(DocumentStatus::Pending));
    scene.publish().await;
    assert_eq!(scene.visible().await, ["d: poison"]);
    scene.check_sound().await;
}

async fn what_was_written_meanwhile_is_not_put_over(scene: Scene) {
    let pending = scene.put("pending", &["one"]).await;
    let replaced = scene.put("replaced", &["poison"]).await;
    scene.fail(replaced, "reason").await;
    scene.put("replaced", &["cure"]).await;
    let again = scene.put("again", &["poison"]).await;
    scene.fail(again, "reason").await;
    let again_failed = scene.put("again", &["worse"]).await;
    scene.fail(again_failed, "reason").await;
    let deleted = scene.put("deleted", &["poison"]).await;
    scene.fail(deleted, "reason").await;
    scene.delete("deleted").await;
    let changes = vec![
        put_again("pending", "one", pending),
        put_again("replaced", "poison", replaced),
        put_again("again", "poison", again),
        put_again("deleted", "poison", deleted),
        put_again("absent", "poison", deleted),
    ];
    let receipt = scene.stage(changes).await;
    assert_eq!(receipt.outcomes, vec![ChangeOutcome::Unmet; 5]);
    scene.publish().await;
    assert_eq!(scene.visible().await, ["pending: one", "replaced: cure"]);
    assert_eq!(status(&scene, "deleted").await, None);
    assert_eq!(status(&scene, "absent").await, None);
    scene.check_sound().await;
}

async fn what_still_passes_is_deleted(scene: Scene) {
    scene.stage_one(put(said("said", "eins", "german"))).await;
    let found = detected("detected", "eins", Language::German);
    scene.stage_one(put(found)).await;
    scene.publish().await;
    scene.stage_one(put(said("said", "zwei", "german"))).await;
    let outcomes = scene.stage(vec![delete_german("said"), delete_german("detected")]);
    for outcome in outcomes.await.outcomes {
        assert!(matches!(outcome, ChangeOutcome::Deleted { .. }));
    }
    assert!(scene.visible().await.is_empty());
    scene.check_sound().await;
}

async fn what_passes_no_more_is_not_deleted(scene: Scene) {
    scene.stage_one(put(said("said", "eins", "german"))).await;
    let found = detected("detected", "eins", Language::German);
    scene.stage_one(put(found)).await;
    scene.publish().await;
    scene.stage_one(put(said("said", "one", "english"))).await;
    let found = detected("detected", "one", Language::English);
    scene.stage_one(put(found)).await;
    let changes = ["said", "detected", "absent"].map(delete_german);
    let receipt = scene.stage(changes.to_vec()).await;
    assert_eq!(receipt.outcomes, vec![ChangeOutcome::Unmet; 3]);
    scene.publish().await;
    assert_eq!(scene.visible().await, ["detected: one", "said: one"]);
    scene.check_sound().await;
}

async fn what_is_missing_is_put(scene: Scene) {
    scene.put("deleted", &["one"]).await;
    scene.publish().await;
    scene.delete("deleted").await;
    scene.put("deleted now", &["one"]).await;
    let changes = vec![
        put_missing("absent", "new"),
        put_missing("deleted", "again"),
        Change::Delete(DocumentId::new("deleted now").unwrap()),
        put_missing("deleted now", "again"),
    ];
    let outcomes = scene.stage(changes).await.outcomes;
    let is_staged = |outcome: &ChangeOutcome| matches!(outcome, ChangeOutcome::Staged { .. });
    for at in [0, 1, 3] {
        assert!(is_staged(&outcomes[at]), "{at}: {outcomes:?}");
    }
    scene.publish().await;
    let there = ["absent: new", "deleted: again", "deleted now: again"];
    assert_eq!(scene.visible().await, there);
    scene.check_sound().await;
}

async fn what_is_there_is_not_put_over(scene: Scene) {
    scene.put("published", &["one"]).await;
    scene.publish().await;
    scene.put("pending", &["one"]).await;
    let failed = scene.put("failed", &["poison"]).await;
    scene.fail(failed, "reason").await;
    let changes = vec![
        put_missing("published", "two"),
        put_missing("published", "one"),
        put_missing("pending", "two"),
        put_missing("failed", "two"),
        put_missing("absent", "one"),
        put_missing("absent", "two"),
    ];
    let outcomes = scene.stage(changes).await.outcomes;
    for at in [0, 1, 2, 3, 5] {
        assert_eq!(outcomes[at], ChangeOutcome::Unmet, "{at}");
    }
    scene.publish().await;
    let there = ["absent: one", "pending: one", "published: one"];
    assert_eq!(scene.visible().await, there);
    scene.check_sound().await;
}

async fn the_changes_before_count(scene: Scene) {
    let failed = scene.put("failed", &["poison"]).await;
    scene.fail(failed, "reason").await;
    let changes = vec![
        put(staged("failed", &["cure"])),
        put_again("failed", "poison", failed),
        put(said("german", "eins", "german")),
        delete_german("german"),
        delete_german("german"),
        put(said("english", "one", "english")),
        delete_german("english"),
    ];
    let outcomes = scene.stage(changes).await.outcomes;
    assert!(is_staged(&outcomes[0]));
    assert_eq!(outcomes[1], ChangeOutcome::Unmet);
    assert!(matches!(outcomes[3], ChangeOutcome::Deleted { .. }));
    assert_eq!(outcomes[4], ChangeOutcome::Unmet);
    assert_eq!(outcomes[6], ChangeOutcome::Unmet);
    scene.publish().await;
    assert_eq!(scene.visible().await, ["english: one", "failed: cure"]);
    scene.check_sound().await;
}

async fn a_job_skips_what_is_not_as_expected(scene: Scene) {
    let job = JobId(Uuid::from_u128(7));
    scene.stage_as(job, vec![delete_german("absent")]).await;
    let job = scene.ledger.job(job).await.unwrap().unwrap();
    assert_eq!(job.items.len(), 1);
    assert_eq!(job.items[0].change, Some(JobChange::Unchanged));
    assert_eq!(job.items[0].status, JobItemStatus::Skipped);
}
