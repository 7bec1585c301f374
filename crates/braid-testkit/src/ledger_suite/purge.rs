//! Retired slots are purged once, when no pin can see them, and their chunks go with them.

use braid_core::{Sequence, Slot, SlotSet};

use super::FreshLedger;
use super::scene::Scene;

pub(super) async fn check(fresh: FreshLedger<'_>) {
    every_retired_slot_is_purged_once(Scene::new(fresh()).await).await;
    pins_hold_purges_back(Scene::new(fresh()).await).await;
    a_failed_purge_is_made_again(Scene::new(fresh()).await).await;
    expected_slots_bound_the_indexes(Scene::new(fresh()).await).await;
}

async fn every_retired_slot_is_purged_once(scene: Scene) {
    assert_eq!(scene.purge().await, None);
    scene.put("replaced", &["a", "b"]).await; // slots 0, 1
    scene.put("deleted", &["c"]).await; // slot 2
    scene.publish().await;
    scene.put("replaced", &["d"]).await; // slot 3
    scene.put("superseded", &["e"]).await; // slot 4
    scene.put("superseded", &["f"]).await; // slot 5
    let failed = scene.put("failed", &["g"]).await; // slot 6
    scene.fail(failed, "reason").await;
    scene.delete("deleted").await;
    scene.publish().await;
    assert_eq!(scene.stats().await.retired, 5);
    let slots = scene.purge().await.expect("slots to purge");
    assert_eq!(slots, [0, 1, 2, 4, 6].map(Slot));
    assert_eq!(scene.purge().await, None, "logged once");
    assert_eq!(scene.stats().await.retired, 5, "still in the indexes");
    scene.check_sound().await;
    scene.publish().await;
    assert_eq!(scene.stats().await.retired, 0);
    let chunks = scene.ledger.chunks(scene.collection.id, &slots).await;
    assert!(chunks.unwrap().is_empty(), "their chunks are dropped");
    assert_eq!(scene.visible().await, ["replaced: d", "superseded: f"]);
    scene.check_sound().await;
}

async fn pins_hold_purges_back(scene: Scene) {
    scene.put("a", &["a1"]).await; // slot 0
    scene.put("b", &["b1"]).await; // slot 1
    scene.publish().await;
    let first = scene.pin().await;
    let twin = scene.pin().await;
    scene.put("a", &["a2"]).await; // slot 2
    scene.publish().await;
    assert_eq!(scene.purge().await, None, "the first pin sees slot 0");
    let second = scene.pin().await;
    scene.delete("b").await;
    assert_eq!(scene.purge().await, None);
    drop(first);
    assert_eq!(scene.purge().await, None, "its twin is held");
    drop(twin);
    assert_eq!(scene.purge().await, Some(vec![Slot(0)]));
    let third = scene.pin().await;
    drop(second);
    let slots = scene.purge().await;
    assert_eq!(slots, Some(vec![Slot(1)]), "the third pin never saw slot 1");
    drop(third);
    scene.publish().await;
    assert_eq!(scene.stats().await.retired, 0);
    scene.check_sound().await;
}

async fn a_failed_purge_is_made_again(scene: Scene) {
    scene.put("d", &["one", "two"]).await;
    scene.publish().await;
    scene.delete("d").await;
    let slots = scene.purge().await;
    assert_eq!(slots.as_ref().map(Vec::len), Some(2));
    scene.fail(scene.stats().await.newest, "reason").await;
    assert_eq!(scene.stats().await.retired, 2);
    scene.check_sound().await;
    assert_eq!(scene.purge().await, slots);
    scene.publish().await;
    assert_eq!(scene.stats().await.retired, 0);
    scene.check_sound().await;
}

async fn expected_slots_bound_the_indexes(scene: Scene) {
    let expected = |slots: &[u32]| slots.iter().collect::<SlotSet>();
    scene.put("a", &["a1"]).await;
    assert_eq!(scene.expected().await, expected(&[0]), "staged");
    scene.publish().await;
    assert_eq!(scene.expected().await, expected(&[0]), "live");
    scene.put("a", &["a2"]).await;
    assert_eq!(scene.expected().await, expected(&[0, 1]));
    scene.publish().await;
    assert_eq!(scene.expected().await, expected(&[0, 1]), "retired");
    let live = scene.ledger.live_slots(scene.collection.id).await.unwrap();
    assert_eq!(live, expected(&[1]));
    scene.purge().await;
    assert_eq!(scene.expected().await, expected(&[0, 1]), "being purged");
    scene.publish_through(Sequence(3)).await;
    assert_eq!(scene.expected().await, expected(&[1]), "purged");
}
