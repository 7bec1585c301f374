//! Deletes bind queries at once, however far behind the indexes are.

use braid_engine::Breakpoints;
use braid_engine::query::{Mode, RetrieveRequest};

use crate::check::{check_stores, listing};
use crate::script::{Step, Version, write};
use crate::state::State;
use crate::world::{self, Life, name, scratch};

const TOP_K: usize = 8;

/// Forty documents say the same; the better half of them is deleted while nothing is applied.
#[test]
fn after_a_bulk_delete_with_paused_appliers_every_mode_returns_top_k_live_hits() {
    let scratch = scratch();
    world::run(async {
        let life = Life::open(scratch.path(), Breakpoints::default()).await;
        let steps = steps();
        write(&life, 0, &steps[0]).await.unwrap();
        life.drain().await;
        let id = life.collection().await.id;
        life.engine.indexer().pause(id).unwrap();
        write(&life, 1, &steps[1]).await.unwrap();
        let stats = life.engine.collection_info(&name()).await.unwrap().stats;
        assert!(stats.lag() > 0, "nothing was applied");
        for mode in [Mode::Lexical, Mode::Dense, Mode::Hybrid] {
            let hits = top(&life, mode).await;
            assert_eq!(hits.len(), TOP_K, "{mode:?}");
            let is_live = |hit: &String| hit.starts_with("kept");
            assert!(hits.iter().all(is_live), "{mode:?}: {hits:?}");
        }
        life.engine.indexer().resume(id).unwrap();
        life.drain().await;
        let state = State::after(&steps, 2);
        assert_eq!(listing(&life).await, state.texts());
        check_stores(&life).await;
        life.close().await;
    });
}

/// Depths of [`TOP_K`] candidates: stale entries would use them up.
async fn top(life: &Life, mode: Mode) -> Vec<String> {
    let mut request = RetrieveRequest::new("otter otter river", name());
    request.mode = mode;
    request.top_k = TOP_K;
    request.candidates.lexical = TOP_K;
    request.candidates.dense = TOP_K;
    request.rerank.enabled = false;
    let response = life.engine.retrieve(request).await.unwrap();
    let hits = response.hits.into_iter();
    hits.map(|hit| hit.passage.record.document.to_string())
        .collect()
}

fn steps() -> [Step; 2] {
    let version = |id: String, text: &str, at: usize| Version {
        marker: String::new(),
        text: format!("{text} number {at}."),
        id,
    };
    let gone = (0..20).map(|at| version(format!("gone/{at}"), "otter otter river", at));
    let kept = (0..20).map(|at| version(format!("kept/{at}"), "an otter beyond", at));
    let ids = (0..20).map(|at| format!("gone/{at}"));
    [
        Step::Put(gone.chain(kept).collect()),
        Step::Delete(ids.collect()),
    ]
}
