//! Documents that are claimed by name.

use braid_core::DocumentId;
use braid_core::ports::{Asked, GiveBack, Settled, WorkItem};

use super::{Desk, LEASE, LEASE_MS, WorkSubject, claims};

pub(super) async fn check(fresh: &impl AsyncFn() -> WorkSubject) {
    what_is_named_is_claimed_and_nothing_else(fresh).await;
    what_is_not_free_is_said(fresh).await;
}

async fn ask(desk: &Desk, documents: &[&str]) -> Vec<Asked> {
    let documents: Vec<DocumentId> = documents
        .iter()
        .map(|it| DocumentId::new(*it).unwrap())
        .collect();
    let collection = desk.scene.collection.id;
    let asked = desk.queue().claim_documents(collection, &documents, LEASE);
    asked.await.unwrap()
}

fn item(asked: &Asked) -> WorkItem {
    match asked {
        Asked::Claimed(item) => WorkItem::clone(item),
        Asked::Waits | Asked::Idle => panic!("not claimed: {asked:?}"),
    }
}

async fn what_is_named_is_claimed_and_nothing_else(fresh: &impl AsyncFn() -> WorkSubject) {
    let desk = Desk::new(fresh).await;
    desk.put("published", &["old"]).await;
    desk.drain().await;
    for id in ["a", "b", "c"] {
        desk.put(id, &[id]).await;
    }
    let asked = ask(&desk, &["c", "published", "a", "unknown"]).await;
    let (c, a) = (item(&asked[0]), item(&asked[2]));
    assert_eq!((&asked[1], &asked[3]), (&Asked::Idle, &Asked::Idle));
    assert_eq!((c.claim.document.as_str(), c.claim.attempt), ("c", 1));
    desk.assert_depth(3, 2, 0).await;
    assert_eq!(desk.claim_one().await.claim.document.as_str(), "b");
    assert_eq!(desk.publish(c).await, Settled::Done);
    assert_eq!(desk.publish(a).await, Settled::Done);
    assert_eq!(desk.shown("a").await, ["a"]);
    assert_eq!(ask(&desk, &["a"]).await, [Asked::Idle]);
    assert!(ask(&desk, &[]).await.is_empty());
}

async fn what_is_not_free_is_said(fresh: &impl AsyncFn() -> WorkSubject) {
    let desk = Desk::new(fresh).await;
    desk.put("a", &["one"]).await;
    let first = desk.claim_one().await;
    assert_eq!(ask(&desk, &["a"]).await, [Asked::Waits]);
    desk.advance_ms(LEASE_MS + 1);
    let second = item(&ask(&desk, &["a"]).await[0]);
    assert_eq!(second.claim.attempt, 2);
    assert_eq!(desk.publish(first).await, Settled::Lost);
    let held = claims(&[second]);
    let given_back = desk.queue().give_back(&held, GiveBack::Untouched).await;
    assert_eq!(given_back.unwrap(), [Settled::Done]);
    let third = item(&ask(&desk, &["a"]).await[0]);
    assert_eq!(desk.publish(third).await, Settled::Done);
    // What was replaced is claimed as it is now.
    desk.put("a", &["two"]).await;
    desk.put("a", &["three"]).await;
    let newest = item(&ask(&desk, &["a"]).await[0]);
    assert_eq!(desk.publish(newest).await, Settled::Done);
    assert_eq!(desk.shown("a").await, ["three"]);
}
