//! Readers and writers at once: a pin never sees half a publish, and a purge never overtakes a pin.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use braid_core::{LedgerPin, Slot, SlotSet};
use braid_testkit::ledger_suite::Scene;
use parking_lot::Mutex;

use crate::open;

const DOCUMENTS: usize = 3;
const ROUNDS: usize = 60;

/// Slots of purges that were logged, and whether writing is over.
#[derive(Default)]
struct Board {
    purged: Mutex<SlotSet>,
    done: AtomicBool,
}

/// Replaces two documents at once in every round, then purges.
async fn write(scene: Arc<Scene>, board: Arc<Board>) {
    for round in 0..ROUNDS {
        for document in 0..DOCUMENTS {
            let text = format!("round {round}");
            scene.put(&format!("d{document}"), &[&text, &text]).await;
        }
        scene.publish().await;
        if let Some(slots) = scene.purge().await {
            board.purged.lock().extend(slots.iter().map(|slot| slot.0));
        }
    }
    board.done.store(true, Ordering::SeqCst);
}

/// Pins again and again and checks each pin for a while. Returns how many there were.
async fn read(scene: Arc<Scene>, board: Arc<Board>) -> usize {
    let mut pins = 0;
    while !board.done.load(Ordering::SeqCst) {
        let pin = scene.pin().await;
        for _ in 0..3 {
            check(&*pin, &board).await;
        }
        pins += 1;
    }
    pins
}

async fn check(pin: &dyn LedgerPin, board: &Board) {
    let live = pin.select(None).await.unwrap().slots.unwrap();
    let slots: Vec<Slot> = live.iter().map(Slot).collect();
    let passages = pin.hydrate(&slots).await.unwrap();
    let mut rounds: Vec<_> = passages.iter().map(|it| &it.record.chunk.text).collect();
    rounds.dedup();
    assert!(rounds.len() <= 1, "one publish, one round: {rounds:?}");
    assert!([0, 2 * DOCUMENTS].contains(&passages.len()));
    let overtaken = &*board.purged.lock() & &*live;
    assert!(overtaken.is_empty(), "purged under a pin: {overtaken:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn pins_are_consistent_under_load() {
    let dir = tempfile::tempdir().unwrap();
    let scene = Arc::new(Scene::of(Arc::new(open(dir.path()))).await);
    let board = Arc::new(Board::default());
    let readers: Vec<_> = (0..2)
        .map(|_| tokio::spawn(read(scene.clone(), board.clone())))
        .collect();
    write(scene.clone(), board.clone()).await;
    for reader in readers {
        assert!(reader.await.unwrap() > 0);
    }
    assert!(!board.purged.lock().is_empty());
    scene.publish().await;
    scene.purge().await;
    scene.publish().await;
    assert_eq!(
        scene.stats().await.retired,
        0,
        "everything is purged in the end"
    );
    scene.check_sound().await;
}
