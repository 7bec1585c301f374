//! Claims that are given back: none of them counts.

use std::time::Duration;

use braid_core::ports::{GiveBack, Settled};

use super::{Desk, LEASE_MS, WorkSubject, claims};

pub(super) async fn check(fresh: &impl AsyncFn() -> WorkSubject) {
    what_is_given_back_is_not_counted(fresh).await;
    what_ended_without_a_word_stays_counted(fresh).await;
    only_what_is_held_is_given_back(fresh).await;
}

fn hindered() -> GiveBack {
    GiveBack::Hindered {
        reason: "the store is away".to_owned(),
        wait: Duration::from_secs(10),
    }
}

async fn what_is_given_back_is_not_counted(fresh: &impl AsyncFn() -> WorkSubject) {
    let desk = Desk::new(fresh).await;
    desk.put("a", &["one"]).await;
    for returned in 0..12 {
        let item = desk.claim_one().await;
        assert_eq!((item.claim.attempt, item.claim.returned), (1, returned));
        let given_back = desk.queue().give_back(&claims(&[item]), hindered()).await;
        assert_eq!(given_back.unwrap(), [Settled::Done]);
        desk.assert_depth(1, 0, 0).await;
        desk.advance_ms(9_999);
        assert!(desk.claim(10).await.is_empty(), "it waits");
        desk.advance_ms(2);
    }
    let item = desk.claim_one().await;
    let held = claims(std::slice::from_ref(&item));
    let given_back = desk.queue().give_back(&held, GiveBack::Untouched).await;
    assert_eq!(given_back.unwrap(), [Settled::Done]);
    let again = desk.claim_one().await;
    assert_eq!((again.claim.attempt, again.claim.returned), (1, 12));
    assert_eq!(desk.publish(item).await, Settled::Lost);
    assert_eq!(desk.publish(again).await, Settled::Done);
    // Another version has a count of its own.
    desk.put("a", &["two"]).await;
    let newer = desk.claim_one().await.claim;
    assert_eq!((newer.attempt, newer.returned), (1, 0));
}

async fn what_ended_without_a_word_stays_counted(fresh: &impl AsyncFn() -> WorkSubject) {
    let desk = Desk::new(fresh).await;
    desk.put("a", &["one"]).await;
    desk.claim_one().await;
    desk.advance_ms(LEASE_MS + 1);
    for _ in 0..3 {
        let item = desk.claim_one().await;
        assert_eq!(item.claim.attempt, 2);
        let held = claims(&[item]);
        let given_back = desk.queue().give_back(&held, GiveBack::Untouched).await;
        assert_eq!(given_back.unwrap(), [Settled::Done]);
    }
}

async fn only_what_is_held_is_given_back(fresh: &impl AsyncFn() -> WorkSubject) {
    let desk = Desk::new(fresh).await;
    desk.put("a", &["one"]).await;
    desk.put("b", &["two"]).await;
    let lost = desk.claim(10).await;
    desk.advance_ms(LEASE_MS + 1);
    let held = desk.claim(10).await;
    let late = desk.queue().give_back(&claims(&lost), hindered()).await;
    assert_eq!(late.unwrap(), [Settled::Lost, Settled::Lost]);
    assert!(
        desk.queue()
            .give_back(&[], hindered())
            .await
            .unwrap()
            .is_empty()
    );
    desk.assert_depth(2, 2, 0).await;
    for item in held {
        assert_eq!(item.claim.attempt, 2);
        assert_eq!(desk.publish(item).await, Settled::Done);
    }
}
