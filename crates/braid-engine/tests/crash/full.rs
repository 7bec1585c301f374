//! A disk that is full for a while.

use std::path::{Path, PathBuf};

use braid_core::ErrorCode;
use braid_engine::{Breakpoints, Health};

use crate::check::{check_state, listing};
use crate::disk::Disk;
use crate::process::{Role, Task, tell};
use crate::script::{Step, script, write};
use crate::state::State;
use crate::world::{self, Life, scratch};

#[test]
fn a_full_disk_is_refused_waited_out_and_loses_nothing() {
    let scratch = scratch();
    let disk = Disk::new(&scratch.path().join("disk"));
    let data = scratch.path().join("data");
    let ended = Task::new(Role::FullDisk, &data).run(Some(&disk));
    assert!(!ended.was_killed);
    assert_eq!(ended.lines, ["refused", "waiting", "served", "caught up"]);
    assert!(!disk.full.exists());
}

/// The child: its disk is full while a certain file exists.
pub(crate) fn fill_the_disk(directory: &Path) {
    let full = PathBuf::from(std::env::var("DROPSYNC_FULL").unwrap());
    let writes = script(0).into_iter().filter(|s| matches!(s, Step::Put(_)));
    let steps: Vec<_> = writes.take(3).collect();
    world::run(async {
        let life = Life::open(directory, Breakpoints::default()).await;
        write(&life, 0, &steps[0]).await.unwrap();
        life.drain().await;
        std::fs::write(&full, "").unwrap();
        let refused = write(&life, 1, &steps[1]).await.unwrap_err();
        assert_eq!(refused.code(), ErrorCode::StorageFull, "{refused}");
        check_state(&life, &State::after(&steps, 1)).await;
        tell("refused");
        acknowledge_then_fill(&life, &full, &steps[1]).await;
        tell("waiting");
        let acknowledged = State::after(&steps, 2).texts();
        assert_eq!(listing(&life).await, acknowledged);
        tell("served");
        std::fs::remove_file(&full).unwrap();
        write(&life, 2, &steps[2]).await.unwrap();
        life.drain().await;
        check_state(&life, &State::after(&steps, 3)).await;
        tell("caught up");
    });
}

/// A write is acknowledged; before it is applied the disk fills up.
async fn acknowledge_then_fill(life: &Life, full: &Path, step: &Step) {
    let id = life.collection().await.id;
    let indexer = life.engine.indexer();
    std::fs::remove_file(full).unwrap();
    indexer.pause(id).unwrap();
    write(life, 1, step).await.unwrap();
    std::fs::write(full, "").unwrap();
    indexer.resume(id).unwrap();
    let mut progress = indexer.progress(id);
    let is_waiting = |health: &Health| matches!(health, Health::Retrying { .. });
    progress
        .wait_for(|now| is_waiting(now.health()))
        .await
        .unwrap();
}
