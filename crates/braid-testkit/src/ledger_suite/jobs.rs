//! Jobs follow their operations; idempotent requests are answered once.

use braid_core::operation::Change;
use braid_core::ports::{
    CancelReceipt, IdempotencyKey, Job, JobChange, JobItemStatus, NewJob, Recorded, StageReceipt,
    StageRequest, StoredResponse, WriteGuard,
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
    jobs_are_listed_newest_first(Scene::new(fresh()).await).await;
    a_cancelled_job_leaves_documents_as_they_were(Scene::new(fresh()).await).await;
    a_cancelled_put_that_was_overtaken_leaves_no_trace(Scene::new(fresh()).await).await;
    a_put_whose_predecessor_is_gone_is_not_taken_back(Scene::new(fresh()).await).await;
    what_others_rely_on_is_not_taken_back(Scene::new(fresh()).await).await;
    pending_puts_are_taken_back_in_any_order(Scene::new(fresh()).await).await;
    a_cancellation_is_done_once(Scene::new(fresh()).await).await;
    dead_letters_are_the_newest_failures(Scene::new(fresh()).await).await;
    a_request_is_done_once(Scene::new(fresh()).await).await;
    an_answer_is_recorded_once(Scene::new(fresh()).await).await;
    a_refused_request_is_not_recorded(Scene::new(fresh()).await).await;
    an_expired_answer_is_forgotten(Scene::new(fresh()).await).await;
}

pub(super) async fn check_shared(fresh: FreshLedger<'_>) {
    a_job_names_each_change(Scene::new(fresh()).await).await;
    a_job_goes_with_its_collection(Scene::new(fresh()).await).await;
    old_jobs_are_swept(Scene::new(fresh()).await).await;
    jobs_are_listed_newest_first(Scene::new(fresh()).await).await;
    a_put_whose_predecessor_is_gone_is_not_taken_back(Scene::new(fresh()).await).await;
    what_others_rely_on_is_not_taken_back(Scene::new(fresh()).await).await;
    a_cancellation_is_done_once(Scene::new(fresh()).await).await;
    an_answer_is_recorded_once(Scene::new(fresh()).await).await;
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

async fn an_answer_is_recorded_once(scene: Scene) {
    let ledger = &scene.ledger;
    let response = |body: &[u8]| StoredResponse {
        status: 200,
        body: body.to_vec(),
    };
    let record = async |request: &str, body: &[u8]| {
        ledger.record_response(key(request), response(body)).await
    };
    assert_eq!(record("r", b"first").await.unwrap(), None);
    let kept = Some(response(b"first"));
    assert_eq!(record("r", b"second").await.unwrap(), kept);
    assert_eq!(ledger.recorded_response(&key("r")).await.unwrap(), kept);
    let conflict = record("other", b"third").await.unwrap_err();
    assert_eq!(conflict.code(), ErrorCode::IdempotencyConflict);
    scene.advance_ms(DAY_MS);
    let later = IdempotencyKey {
        expires_at_ms: 2 * DAY_MS,
        ..key("other")
    };
    let recorded = ledger.record_response(later, response(b"fourth")).await;
    assert_eq!(recorded.unwrap(), None, "the first has expired");
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

const fn numbered(number: u128) -> JobId {
    JobId(Uuid::from_u128(number))
}

async fn jobs_are_listed_newest_first(scene: Scene) {
    for number in 1..=3 {
        let changes = vec![put(staged(&format!("d{number}"), &["text"]))];
        scene.stage_as(numbered(number), changes).await;
    }
    scene.publish_through(Sequence(1)).await;
    let (ledger, id) = (&scene.ledger, Some(scene.collection.id));
    let first = ledger.jobs(id, None, 2).await.unwrap();
    let ids: Vec<_> = first.items.iter().map(|job| job.id).collect();
    assert_eq!(ids, [numbered(3), numbered(2)]);
    let rest = ledger.jobs(id, first.next.as_deref(), 2).await.unwrap();
    assert_eq!((rest.items.len(), rest.next), (1, None));
    let counts = (first.items[0].counts, rest.items[0].counts);
    assert_eq!((counts.0.pending, counts.1.indexed), (1, 1));
    assert_eq!(ledger.jobs(None, None, 9).await.unwrap().items.len(), 3);
    let other = Some(braid_core::CollectionId(999));
    assert_eq!(ledger.jobs(other, None, 9).await.unwrap().items, []);
    let bad = ledger.jobs(None, Some("?"), 9).await.unwrap_err();
    assert_eq!(bad.code(), ErrorCode::InvalidRequest);
}

async fn cancel(scene: &Scene) -> usize {
    match scene.ledger.cancel_job(JOB, None).await.unwrap() {
        Recorded::Done(receipt) => receipt.cancelled,
        Recorded::Replayed(_) => panic!("cancelled without an idempotency key"),
    }
}

async fn a_cancelled_job_leaves_documents_as_they_were(scene: Scene) {
    use JobItemStatus::{Cancelled, Indexed, Pending};
    scene.put("there", &["first"]).await;
    scene.put("hidden", &["gone"]).await;
    scene.publish().await;
    let changes = vec![
        put(staged("done", &["done"])),
        put(staged("new", &["new"])),
        put(staged("there", &["second"])),
        delete("hidden"),
    ];
    stage_job(&scene, changes).await;
    scene.publish_through(Sequence(3)).await;
    assert_eq!(cancel(&scene).await, 2);
    let found: Vec<_> = statuses(&scene).await.into_iter().collect();
    let found: Vec<_> = found.into_iter().map(|(_, status)| status).collect();
    assert_eq!(found[..4], [Indexed, Cancelled, Cancelled, Pending]);
    scene.publish().await;
    assert_eq!(scene.visible().await, ["done: done", "there: first"]);
    let page = scene.ledger.documents(scene.collection.id, None, 9).await;
    let documents = page.unwrap().items;
    let known: Vec<_> = documents.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(known, ["done", "there"], "a new document was never there");
    assert_eq!(scene.stats().await.failed, 0);
    scene.check_sound().await;
    assert_eq!(cancel(&scene).await, 0, "nothing is left to take back");
    scene.put("there", &["second"]).await;
    scene.publish().await;
    assert_eq!(scene.visible().await[1], "there: second", "put anew");
    let unknown = scene.ledger.cancel_job(numbered(7), None).await;
    assert_eq!(unknown.unwrap_err().code(), ErrorCode::JobNotFound);
}

async fn a_cancelled_put_that_was_overtaken_leaves_no_trace(scene: Scene) {
    stage_job(&scene, vec![put(staged("d", &["of the job"]))]).await;
    scene.put("d", &["newer"]).await;
    assert_eq!(cancel(&scene).await, 1);
    scene.publish().await;
    assert_eq!(scene.visible().await, ["d: newer"]);
    let newer = scene.put("d", &["newest"]).await;
    stage_job(&scene, vec![put(staged("d", &["of another job"]))]).await;
    cancel(&scene).await;
    let id = DocumentId::new("d").unwrap();
    let read = scene.ledger.document(scene.collection.id, &id);
    let document = read.await.unwrap().unwrap();
    assert_eq!(document.text, "newest");
    assert_eq!(document.summary.sequence, newer);
    scene.publish().await;
    assert_eq!(scene.visible().await, ["d: newest"]);
    scene.check_sound().await;
}

async fn a_put_whose_predecessor_is_gone_is_not_taken_back(scene: Scene) {
    scene.put("d", &["one"]).await;
    stage_job(&scene, vec![put(staged("d", &["two"]))]).await;
    scene.publish_through(Sequence(1)).await;
    assert_eq!(scene.visible().await, [""; 0], "one was overtaken");
    assert_eq!(cancel(&scene).await, 0, "one was acknowledged, and is gone");
    scene.publish().await;
    assert_eq!(scene.visible().await, ["d: two"]);
    scene.check_sound().await;
}

async fn what_others_rely_on_is_not_taken_back(scene: Scene) {
    let failed = scene.put("failed", &["poison"]).await;
    scene.fail(failed, "bad").await;
    scene.publish().await;
    let names = ["failed", "shared", "own"];
    let changes = names.map(|id| put(staged(id, &[id])));
    stage_job(&scene, changes.into()).await;
    scene.stage(vec![put(staged("shared", &["shared"]))]).await;
    assert_eq!(cancel(&scene).await, 1, "only what nobody else knows of");
    scene.publish().await;
    assert_eq!(scene.visible().await, ["failed: failed", "shared: shared"]);
    scene.check_sound().await;
}

async fn pending_puts_are_taken_back_in_any_order(scene: Scene) {
    scene.put("d", &["kept"]).await;
    scene.publish().await;
    stage_job(&scene, vec![put(staged("d", &["one"]))]).await;
    let changes = vec![put(staged("d", &["two"]))];
    scene.stage_as(numbered(7), changes).await;
    assert_eq!(cancel(&scene).await, 1);
    let second = scene.ledger.cancel_job(numbered(7), None).await.unwrap();
    assert_eq!(second, Recorded::Done(CancelReceipt { cancelled: 1 }));
    scene.publish().await;
    assert_eq!(scene.visible().await, ["d: kept"]);
    scene.check_sound().await;
}

async fn a_cancellation_is_done_once(scene: Scene) {
    stage_job(&scene, vec![put(staged("d", &["one"]))]).await;
    let guard = |request| {
        Some(WriteGuard {
            key: key(request),
            respond: Box::new(|receipt: &CancelReceipt| StoredResponse {
                status: 200,
                body: vec![u8::try_from(receipt.cancelled).unwrap()],
            }),
        })
    };
    let ledger = &scene.ledger;
    let first = ledger.cancel_job(JOB, guard("cancel")).await.unwrap();
    assert!(matches!(
        first,
        Recorded::Done(CancelReceipt { cancelled: 1 })
    ));
    let again = ledger.cancel_job(JOB, guard("cancel")).await.unwrap();
    assert!(matches!(again, Recorded::Replayed(answer) if answer.body == [1]));
    let other = ledger.cancel_job(JOB, guard("other")).await;
    let code = other.unwrap_err().code();
    assert_eq!(code, ErrorCode::IdempotencyConflict);
}

async fn dead_letters_are_the_newest_failures(scene: Scene) {
    scene.advance_ms(5);
    for id in ["mended", "first", "second", "deleted"] {
        let failed = scene.put(id, &["poison"]).await;
        scene.fail(failed, &format!("{id} is bad")).await;
    }
    scene.put("mended", &["antidote"]).await;
    scene.delete("deleted").await;
    stage_job(&scene, vec![put(staged("cancelled", &["x"]))]).await;
    cancel(&scene).await;
    scene.publish().await;
    let (ledger, id) = (&scene.ledger, scene.collection.id);
    let page = ledger.failed_documents(id, None, 1).await.unwrap();
    let failed = &page.items[0];
    assert_eq!((failed.id.as_str(), failed.failed_at_ms), ("first", 5));
    assert_eq!(failed.reason, "first is bad");
    let next = page.next.as_deref();
    let page = ledger.failed_documents(id, next, 1).await.unwrap();
    assert_eq!(page.items[0].id.as_str(), "second");
    assert_eq!(page.next, None);
    let bad = ledger.failed_documents(id, Some("?"), 1).await;
    assert_eq!(bad.unwrap_err().code(), ErrorCode::InvalidRequest);
}
