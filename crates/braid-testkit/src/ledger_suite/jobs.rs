//! Jobs follow their operations; idempotent requests are answered once.

use braid_core::operation::Change;
use braid_core::ports::{
    IdempotencyKey, Job, JobChange, JobItemStatus, NewJob, Recorded, StageReceipt, StageRequest,
    StoredResponse, WriteGuard,
};
use braid_core::{DocumentId, ErrorCode, JobId, Sequence};
use uuid::Uuid;

use super::FreshLedger;
use super::scene::{Scene, hash, put, staged};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

pub(super) async fn check(fresh: FreshLedger<'_>) {
    a_job_follows_its_operations(Scene::new(fresh()).await).await;
    a_job_names_each_change(Scene::new(fresh()).await).await;
    a_job_goes_with_its_collection(Scene::new(fresh()).await).await;
    old_jobs_are_swept(Scene::new(fresh()).await).await;
    a_request_is_done_once(Scene::new(fresh()).await).await;
    a_refused_request_is_not_recorded(Scene::new(fresh()).await).await;
    an_expired_answer_is_forgotten(Scene::new(fresh()).await).await;
}

const JOB: JobId = JobId(Uuid::from_u128(42));

fn delete(id: &str) -> Change {
    Change::Delete(DocumentId::new(id).unwrap())
}

async fn stage_job(scene: &Scene, changes: Vec<Change>) {
    let request = StageRequest {
        changes,
        job: Some(NewJob {
            id: JOB,
            rejected: vec![("bad\nid".to_owned(), "not an id".to_owned())],
        }),
        guard: None,
    };
    let staged = scene.ledger.stage(scene.collection.id, request).await;
    assert!(matches!(staged.unwrap(), Recorded::Done(_)));
}

async fn job(scene: &Scene) -> Option<Job> {
    scene.ledger.job(JOB).await.unwrap()
}

async fn statuses(scene: &Scene) -> Vec<(String, JobItemStatus)> {
    let items = job(scene).await.unwrap().items;
    let items = items.into_iter();
    items.map(|item| (item.document, item.status)).collect()
}

/// Stages a job: operation 3 puts `new`, 4 deletes `old`, 5 puts `poison`.
async fn stage_mixed_job(scene: &Scene) {
    scene.put("same", &["same"]).await;
    scene.put("old", &["old"]).await;
    scene.publish().await;
    scene.advance_ms(77);
    let changes = vec![
        put(staged("new", &["new"])),
        put(staged("same", &["same"])),
        delete("old"),
        delete("absent"),
        put(staged("poison", &["poison"])),
    ];
    stage_job(scene, changes).await;
}

async fn a_job_follows_its_operations(scene: Scene) {
    use JobItemStatus::{Failed, Indexed, Pending, Rejected, Skipped};
    assert_eq!(job(&scene).await, None);
    stage_mixed_job(&scene).await;
    let found = job(&scene).await.unwrap();
    assert_eq!((found.id, found.created_at_ms), (JOB, 77));
    assert_eq!(found.collection, scene.collection.name);
    let expected = |new, old, poison| {
        [
            ("new", new),
            ("same", Skipped),
            ("old", old),
            ("absent", Skipped),
            ("poison", poison),
            ("bad\nid", Rejected("not an id".to_owned())),
        ]
        .map(|(document, status)| (document.to_owned(), status))
    };
    assert_eq!(statuses(&scene).await, expected(Pending, Pending, Pending));
    scene.publish_through(Sequence(3)).await;
    assert_eq!(statuses(&scene).await, expected(Indexed, Pending, Pending));
    scene.fail(Sequence(5), "reason").await;
    let failed = || Failed("reason".to_owned());
    assert_eq!(statuses(&scene).await, expected(Indexed, Pending, failed()));
    scene.publish().await;
    scene.put("poison", &["antidote"]).await;
    scene.publish().await;
    let done = expected(Indexed, Indexed, failed());
    let found = statuses(&scene).await;
    assert_eq!(found, done, "a reason outlives its operation");
}

async fn a_job_names_each_change(scene: Scene) {
    stage_mixed_job(&scene).await;
    let items = job(&scene).await.unwrap().items;
    let changes: Vec<_> = items.iter().map(|item| item.change).collect();
    let expected = [
        Some(JobChange::Created),
        Some(JobChange::Unchanged),
        Some(JobChange::Deleted),
        Some(JobChange::Unchanged),
        Some(JobChange::Created),
        None,
    ];
    assert_eq!(changes, expected);
    stage_job(&scene, vec![put(staged("new", &["newer"]))]).await;
    let items = job(&scene).await.unwrap().items;
    assert_eq!(items[0].change, Some(JobChange::Replaced));
}

async fn a_job_goes_with_its_collection(scene: Scene) {
    stage_job(&scene, vec![put(staged("d", &["one"]))]).await;
    let deleted = scene.ledger.delete_collection(&scene.collection.name, None);
    deleted.await.unwrap();
    assert_eq!(job(&scene).await, None);
}

async fn old_jobs_are_swept(scene: Scene) {
    stage_job(&scene, vec![put(staged("d", &["one"]))]).await;
    scene.advance_ms(6 * DAY_MS);
    assert_eq!(scene.ledger.sweep().await.unwrap(), 0);
    assert!(job(&scene).await.is_some());
    scene.advance_ms(DAY_MS);
    assert_eq!(scene.ledger.sweep().await.unwrap(), 1);
    assert_eq!(job(&scene).await, None);
}

fn key(request: &str) -> IdempotencyKey {
    IdempotencyKey {
        key: format!("tenant/{}", "k".repeat(600)),
        request: hash(request),
        expires_at_ms: DAY_MS,
    }
}

fn guarded(id: &str, request: IdempotencyKey) -> StageRequest {
    StageRequest {
        changes: vec![put(staged(id, &[id]))],
        job: None,
        guard: Some(WriteGuard {
            key: request,
            respond: Box::new(|receipt: &StageReceipt| StoredResponse {
                status: 202,
                body: receipt.newest.to_string().into_bytes(),
            }),
        }),
    }
}

async fn a_request_is_done_once(scene: Scene) {
    let (ledger, id) = (&scene.ledger, scene.collection.id);
    assert_eq!(ledger.recorded_response(&key("r")).await.unwrap(), None);
    let first = ledger.stage(id, guarded("d", key("r"))).await.unwrap();
    assert!(matches!(first, Recorded::Done(_)));
    let response = StoredResponse {
        status: 202,
        body: b"1".to_vec(),
    };
    let again = ledger.stage(id, guarded("d", key("r"))).await.unwrap();
    assert_eq!(again, Recorded::Replayed(response.clone()));
    let recorded = ledger.recorded_response(&key("r")).await.unwrap();
    assert_eq!(recorded, Some(response));
    assert_eq!(scene.stats().await.newest, Sequence(1));
    let conflict = |code| assert_eq!(code, ErrorCode::IdempotencyConflict);
    let other = ledger.stage(id, guarded("e", key("other"))).await;
    conflict(other.unwrap_err().code());
    let other = ledger.recorded_response(&key("other")).await;
    conflict(other.unwrap_err().code());
    assert_eq!(
        scene.stats().await.newest,
        Sequence(1),
        "nothing was staged"
    );
}

async fn a_refused_request_is_not_recorded(scene: Scene) {
    let ledger = &scene.ledger;
    let absent = braid_core::CollectionId(999);
    let refused = ledger.stage(absent, guarded("d", key("r"))).await;
    let code = refused.unwrap_err().code();
    assert_eq!(code, ErrorCode::CollectionNotFound);
    assert_eq!(ledger.recorded_response(&key("r")).await.unwrap(), None);
}

async fn an_expired_answer_is_forgotten(scene: Scene) {
    let (ledger, id) = (&scene.ledger, scene.collection.id);
    ledger.stage(id, guarded("d", key("r"))).await.unwrap();
    scene.advance_ms(DAY_MS - 1);
    assert_eq!(ledger.sweep().await.unwrap(), 0);
    assert!(ledger.recorded_response(&key("r")).await.unwrap().is_some());
    scene.advance_ms(1);
    assert_eq!(ledger.recorded_response(&key("other")).await.unwrap(), None);
    assert_eq!(ledger.sweep().await.unwrap(), 1);
    let later = IdempotencyKey {
        expires_at_ms: 2 * DAY_MS,
        ..key("other")
    };
    let anew = ledger.stage(id, guarded("e", later)).await.unwrap();
    assert!(matches!(anew, Recorded::Done(_)), "the key is free again");
}
