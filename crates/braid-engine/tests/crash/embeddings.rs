//! What was embedded once is never embedded again, whatever happens in between.

use braid_engine::{Breakpoint, Breakpoints};

use crate::process::{Death, Role, Task};
use crate::script::{chunks_of, script};
use crate::state::State;
use crate::world::{self, Life, name, scratch};

/// A process dies after storing embeddings; the next one, a replay of everything and a rebuild
/// need the model for nothing but what came later.
#[test]
fn stored_embeddings_survive_a_crash_and_are_used_by_replay_and_rebuild() {
    let scratch = scratch();
    let directory = scratch.path().join("data");
    let task = Task {
        seed: 1,
        death: Death::At(Breakpoint::AfterPutEmbeddings, 1),
        ..Task::new(Role::Script, &directory)
    };
    let ended = task.run(None);
    assert!(ended.was_killed);
    let steps = script(1);
    let first = State::after(&steps, 1);
    world::run(async {
        let life = Life::open(&directory, Breakpoints::default()).await;
        life.drain().await;
        assert_eq!(life.model.inner.passages_embedded(), 0, "by the replay");
        let stats = life.engine.collection_info(&name()).await.unwrap().stats;
        assert_eq!(stats.documents, first.newest().len() as u64);
        life.close().await;
        for index in ["lexical", "vector"] {
            crate::process::lose_index(&directory, index);
        }
        let life = Life::open(&directory, Breakpoints::default()).await;
        let settings = Some(chunks_of(6));
        life.engine
            .rebuild(&name(), settings, |_| {})
            .await
            .unwrap();
        life.drain().await;
        assert_eq!(life.model.inner.passages_embedded(), 0, "by the rebuild");
        crate::check::check_state(&life, &first).await;
        let settings = Some(chunks_of(12));
        life.engine
            .rebuild(&name(), settings, |_| {})
            .await
            .unwrap();
        assert!(
            life.model.inner.passages_embedded() > 0,
            "other chunks are other texts"
        );
        life.close().await;
    });
}
