//! Entries that are not live stand in front of those that are.

use std::sync::Arc;

use braid_core::{Selection, SlotSet, VectorStore};

use super::corpus::{Oracle, clustered};
use super::{DIMENSION, apply, numbered, search};

const VECTORS: usize = 4500;

/// How many of the nearest are not live, in each of which case the rest must be found.
const STALE: [usize; 3] = [60, 1500, 3200];

/// Checks that the depth is filled with what is live, however much that is not is nearer.
pub(super) async fn uses_up_no_depth(store: &dyn VectorStore) {
    let vectors = clustered(VECTORS, DIMENSION, 16);
    apply(store, 1, numbered(&vectors), &[]).await;
    let oracle = Oracle::new(&vectors);
    let query = &clustered(1, DIMENSION, 17)[0];
    let view = store.pin().await.expect("a view can be pinned");
    for stale in STALE {
        let nearest = oracle.nearest(query, |_| true, stale);
        let stale: SlotSet = nearest.into_iter().map(|(slot, _)| slot).collect();
        let mut live: SlotSet = (0..VECTORS as u32).collect();
        live -= &stale;
        let selection = Selection {
            filter: None,
            slots: Some(Arc::new(live.clone())),
            ..Selection::default()
        };
        let found = search(&*view, query, &selection, 20).await;
        assert_eq!(found.len(), 20, "{} stale entries", stale.len());
        assert!(found.iter().all(|it| live.contains(it.slot.0)));
        // An approximate store may miss one; the best of what it found is near the best there is.
        let exact = oracle.nearest(query, |slot| live.contains(slot), 20);
        assert!(found[0].score >= exact[4].1 - 1e-4);
    }
}
