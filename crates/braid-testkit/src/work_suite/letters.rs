//! What could not be indexed: tried again later, or a dead letter.

use std::time::Duration;

use braid_core::ports::{Settled, WorkFailure};

use super::{Desk, LEASE_MS, WorkSubject};

pub(super) async fn check(fresh: &impl AsyncFn() -> WorkSubject) {
    a_dead_letter_waits_no_more(fresh).await;
    a_failure_is_tried_again_later(fresh).await;
    a_lost_claim_fails_nothing(fresh).await;
}

fn failure(reason: &str, retry_after: Option<Duration>) -> WorkFailure {
    WorkFailure {
        reason: reason.to_owned(),
        retry_after,
    }
}

async fn a_dead_letter_waits_no_more(fresh: &impl AsyncFn() -> WorkSubject) {
    let desk = Desk::new(fresh).await;
    desk.put("a", &["sound"]).await;
    desk.drain().await;
    desk.put("a", &["poison"]).await;
    let claim = desk.claim_one().await.claim;
    let failed = desk.queue().fail(&claim, failure("it is poison", None));
    assert_eq!(failed.await.unwrap(), Settled::Done);
    desk.assert_depth(0, 0, 1).await;
    desk.advance_ms(100 * LEASE_MS);
    assert!(desk.claim(10).await.is_empty());
    assert_eq!(desk.shown("a").await, ["sound"], "still served");
    let letters = desk
        .scene
        .ledger
        .failed_documents(desk.scene.collection.id, None, 10);
    let letters = letters.await.unwrap().items;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].id.as_str(), "a");
    assert_eq!(letters[0].reason, "it is poison");
    // Staged again as it is: what failed is not unchanged.
    desk.put("a", &["poison"]).await;
    desk.assert_depth(1, 0, 0).await;
    let again = desk.claim_one().await;
    assert_eq!(again.claim.attempt, 1);
    assert_eq!(desk.publish(again).await, Settled::Done);
    assert_eq!(desk.shown("a").await, ["poison"]);
}

async fn a_failure_is_tried_again_later(fresh: &impl AsyncFn() -> WorkSubject) {
    let desk = Desk::new(fresh).await;
    desk.put("a", &["one"]).await;
    let claim = desk.claim_one().await.claim;
    let later = failure("the model is away", Some(Duration::from_secs(10)));
    let failed = desk.queue().fail(&claim, later).await;
    assert_eq!(failed.unwrap(), Settled::Done);
    desk.assert_depth(1, 0, 0).await;
    desk.advance_ms(9_999);
    assert!(desk.claim(10).await.is_empty());
    desk.advance_ms(2);
    let again = desk.claim_one().await;
    assert_eq!(again.claim.attempt, 2);
    // Given back: anyone may have it at once.
    let at_once = failure("the worker stops", Some(Duration::ZERO));
    let failed = desk.queue().fail(&again.claim, at_once).await;
    assert_eq!(failed.unwrap(), Settled::Done);
    let third = desk.claim_one().await;
    assert_eq!(third.claim.attempt, 3);
    assert_eq!(desk.publish(again).await, Settled::Lost);
    assert_eq!(desk.publish(third).await, Settled::Done);
    assert_eq!(desk.shown("a").await, ["one"]);
}

async fn a_lost_claim_fails_nothing(fresh: &impl AsyncFn() -> WorkSubject) {
    let desk = Desk::new(fresh).await;
    desk.put("a", &["one"]).await;
    let first = desk.claim_one().await.claim;
    desk.advance_ms(LEASE_MS + 1);
    let second = desk.claim_one().await;
    let failed = desk.queue().fail(&first, failure("late", None)).await;
    assert_eq!(failed.unwrap(), Settled::Lost);
    desk.assert_depth(1, 1, 0).await;
    assert_eq!(desk.publish(second).await, Settled::Done);
    // Of a version that was replaced meanwhile there is nothing to fail either.
    desk.put("a", &["two"]).await;
    let late = desk.claim_one().await.claim;
    desk.put("a", &["three"]).await;
    let failed = desk.queue().fail(&late, failure("late", None)).await;
    assert_eq!(failed.unwrap(), Settled::Superseded);
    desk.assert_depth(1, 0, 0).await;
    desk.drain().await;
    assert_eq!(desk.shown("a").await, ["three"]);
}
