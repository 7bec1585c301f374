//! Who may work on what.

use std::collections::HashSet;

use braid_core::Fingerprint;
use braid_core::ports::{SUSPECT_AFTER, Settled};

use super::{Desk, LEASE, LEASE_MS, WorkSubject, claims, embedder, names, texts};

pub(super) async fn check(fresh: &impl AsyncFn() -> WorkSubject) {
    a_claim_is_exclusive(fresh).await;
    many_workers_share_what_waits(fresh).await;
    only_what_the_embedder_is_for_is_claimed(fresh).await;
    an_expired_lease_can_be_claimed(fresh).await;
    a_renewed_lease_holds(fresh).await;
    what_may_end_workers_is_claimed_alone(fresh).await;
}

async fn a_claim_is_exclusive(fresh: &impl AsyncFn() -> WorkSubject) {
    let desk = Desk::new(fresh).await;
    assert!(desk.claim(10).await.is_empty());
    desk.assert_depth(0, 0, 0).await;
    let sequence = desk.put("a", &["one", "two", "three"]).await;
    let item = desk.claim_one().await;
    assert_eq!(texts(&item), ["one", "two", "three"]);
    assert_eq!(item.claim.sequence, sequence);
    assert_eq!(item.claim.attempt, 1);
    assert_eq!(item.collection, desk.scene.collection);
    assert_eq!(item.claim.collection, item.collection.id);
    desk.put("b", &["four"]).await;
    desk.put("c", &[]).await;
    desk.assert_depth(3, 1, 0).await;
    let mut others = desk.claim(1).await;
    assert_eq!(others.len(), 1, "no more than was asked for");
    others.extend(desk.claim(10).await);
    assert_eq!(names(&others), ["b", "c"]);
    assert!(desk.claim(10).await.is_empty());
    let tokens: HashSet<u128> = claims(&others).iter().map(|claim| claim.token).collect();
    assert!(tokens.len() == 2 && !tokens.contains(&item.claim.token));
    desk.assert_depth(3, 3, 0).await;
}

async fn many_workers_share_what_waits(fresh: &impl AsyncFn() -> WorkSubject) {
    let desk = Desk::new(fresh).await;
    let mut expected = Vec::new();
    for number in 10..40 {
        let id = format!("d{number}");
        desk.put(&id, &[&format!("text {number}")]).await;
        expected.push(id);
    }
    let mut claimed = Vec::new();
    // Another may be first everywhere: those who got nothing ask again.
    for _ in 0..20 {
        let workers = (0..4).map(|_| desk.claim(5));
        let found = futures::future::join_all(workers).await;
        claimed.extend(found.into_iter().flatten());
        if claimed.len() >= expected.len() {
            break;
        }
    }
    assert_eq!(names(&claimed), expected, "each once");
    assert!(desk.claim(10).await.is_empty());
    for item in claimed {
        assert_eq!(desk.publish(item).await, Settled::Done);
    }
    desk.assert_depth(0, 0, 0).await;
    assert_eq!(desk.scene.stats().await.documents, 30);
}

async fn only_what_the_embedder_is_for_is_claimed(fresh: &impl AsyncFn() -> WorkSubject) {
    let desk = Desk::new(fresh).await;
    desk.put("a", &["one"]).await;
    let other = Fingerprint::new("another embedder");
    let claimed = desk.queue().claim(&other, 10, LEASE).await.unwrap();
    assert!(claimed.is_empty());
    desk.assert_depth(1, 0, 0).await;
    assert_eq!(desk.queue().waiting(&other).await.unwrap(), 0);
    assert_eq!(desk.queue().waiting(&embedder()).await.unwrap(), 1);
    let item = desk.claim_one().await;
    assert_eq!(desk.queue().waiting(&embedder()).await.unwrap(), 1);
    assert_eq!(desk.publish(item).await, Settled::Done);
    assert_eq!(desk.queue().waiting(&embedder()).await.unwrap(), 0);
}

async fn an_expired_lease_can_be_claimed(fresh: &impl AsyncFn() -> WorkSubject) {
    let desk = Desk::new(fresh).await;
    desk.put("a", &["one"]).await;
    let first = desk.claim_one().await;
    desk.advance_ms(LEASE_MS - 1);
    assert!(desk.claim(10).await.is_empty());
    desk.advance_ms(2);
    desk.assert_depth(1, 0, 0).await;
    let second = desk.claim_one().await;
    assert_eq!(second.claim.attempt, 2);
    assert_ne!(first.claim.token, second.claim.token);
    let claims = [first.claim.clone(), second.claim.clone()];
    let renewed = desk.queue().renew(&claims, LEASE).await.unwrap();
    assert_eq!(renewed, [false, true]);
    assert_eq!(desk.publish(first).await, Settled::Lost);
    assert!(desk.shown("a").await.is_empty(), "a lost claim published");
    assert_eq!(desk.publish(second).await, Settled::Done);
    assert_eq!(desk.shown("a").await, ["one"]);
}

async fn a_renewed_lease_holds(fresh: &impl AsyncFn() -> WorkSubject) {
    let desk = Desk::new(fresh).await;
    desk.put("a", &["one"]).await;
    desk.put("b", &["two"]).await;
    let claimed = desk.claim(10).await;
    let claims = claims(&claimed);
    desk.advance_ms(LEASE_MS * 6 / 10);
    let renewed = desk.queue().renew(&claims, LEASE).await.unwrap();
    assert_eq!(renewed, [true, true]);
    assert!(desk.queue().renew(&[], LEASE).await.unwrap().is_empty());
    desk.advance_ms(LEASE_MS * 6 / 10);
    assert!(desk.claim(10).await.is_empty());
    desk.assert_depth(2, 2, 0).await;
    desk.advance_ms(LEASE_MS);
    assert_eq!(names(&desk.claim(10).await), ["a", "b"]);
}

async fn what_may_end_workers_is_claimed_alone(fresh: &impl AsyncFn() -> WorkSubject) {
    let desk = Desk::new(fresh).await;
    for id in ["a", "b", "c"] {
        desk.put(id, &[id]).await;
    }
    for _ in 0..SUSPECT_AFTER {
        assert_eq!(desk.claim(10).await.len(), 3);
        desk.advance_ms(LEASE_MS + 1);
    }
    for id in ["d", "e"] {
        desk.put(id, &[id]).await;
    }
    let mut claimed = Vec::new();
    loop {
        let items = desk.claim(10).await;
        if items.is_empty() {
            break;
        }
        if items.iter().any(|item| item.claim.is_suspect()) {
            assert_eq!(items.len(), 1, "{:?}", names(&items));
        }
        claimed.extend(items);
    }
    assert_eq!(names(&claimed), ["a", "b", "c", "d", "e"], "each once");
    let suspects = claimed.iter().filter(|item| item.claim.is_suspect());
    assert_eq!(suspects.count(), 3);
    // Where it was not to blame it is as any other.
    for item in claimed {
        assert_eq!(desk.publish(item).await, Settled::Done);
    }
}
