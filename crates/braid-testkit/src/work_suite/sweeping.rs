//! What is replaced or deleted stays for a while, and then goes.

use std::time::Duration;

use super::{Desk, WorkSubject};

const GRACE: Duration = Duration::from_secs(300);
const GRACE_MS: i64 = 300_000;

pub(super) async fn check(fresh: &impl AsyncFn() -> WorkSubject) {
    a_sweep_respects_the_grace(fresh).await;
    a_sweep_keeps_what_is_served_or_waits(fresh).await;
}

async fn stored(desk: &Desk, id: &str, text: &str) -> bool {
    let staged = crate::ledger_suite::staged_chunks(id, &[text]);
    let found = desk
        .scene
        .ledger
        .find_chunk(desk.scene.collection.id, staged[0].id);
    !found.await.unwrap().is_empty()
}

async fn a_sweep_respects_the_grace(fresh: &impl AsyncFn() -> WorkSubject) {
    let desk = Desk::new(fresh).await;
    desk.put("replaced", &["old"]).await;
    desk.put("deleted", &["gone"]).await;
    desk.drain().await;
    desk.put("replaced", &["new"]).await;
    desk.drain().await;
    desk.scene.delete("deleted").await;
    assert_eq!(desk.queue().sweep(GRACE).await.unwrap(), 0);
    desk.advance_ms(GRACE_MS - 1);
    assert_eq!(desk.queue().sweep(GRACE).await.unwrap(), 0);
    assert!(stored(&desk, "replaced", "old").await, "a query may see it");
    desk.advance_ms(2);
    assert!(desk.queue().sweep(GRACE).await.unwrap() >= 2);
    assert!(!stored(&desk, "replaced", "old").await);
    assert!(!stored(&desk, "deleted", "gone").await);
    assert_eq!(desk.queue().sweep(GRACE).await.unwrap(), 0, "once");
    assert_eq!(desk.shown("replaced").await, ["new"]);
    assert!(desk.shown("deleted").await.is_empty());
}

async fn a_sweep_keeps_what_is_served_or_waits(fresh: &impl AsyncFn() -> WorkSubject) {
    let desk = Desk::new(fresh).await;
    desk.put("served", &["one"]).await;
    desk.drain().await;
    desk.put("served", &["two"]).await;
    desk.put("waits", &["three"]).await;
    desk.advance_ms(10 * GRACE_MS);
    assert_eq!(desk.queue().sweep(GRACE).await.unwrap(), 0);
    assert_eq!(desk.shown("served").await, ["one"]);
    desk.drain().await;
    assert_eq!(desk.shown("served").await, ["two"]);
    assert_eq!(desk.shown("waits").await, ["three"]);
    desk.assert_depth(0, 0, 0).await;
}
