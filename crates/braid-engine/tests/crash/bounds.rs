//! One owner, one format, and a map that is full.

use std::path::Path;

use braid_core::ErrorCode;
use braid_engine::query::Mode;
use braid_engine::{Breakpoints, Engine, OpenOptions};

use crate::check::{check_stores, listing, retrieve};
use crate::process::{Role, Task, tell};
use crate::script::{Step, Version, write, writes};
use crate::world::{self, Life, Model, name, scratch, settings};

/// Says what comes of opening a directory.
async fn try_open(directory: &Path) -> braid_core::Result<Engine> {
    let options = OpenOptions {
        instead_of_models: Some(Model::new()),
        ..OpenOptions::default()
    };
    Engine::open(&settings(directory), options).await
}

/// The child of the test below.
pub(crate) fn try_to_open(directory: &Path) {
    match world::run(try_open(directory)) {
        Ok(_) => tell("opened"),
        Err(error) => tell(&format!("{}: {error}", error.code().as_str())),
    }
}

#[test]
fn a_second_process_is_refused_and_told_the_owners_pid() {
    let scratch = scratch();
    let second = Task::new(Role::SecondOwner, scratch.path());
    world::run(async {
        let life = Life::open(scratch.path(), Breakpoints::default()).await;
        let said = second.run(None).lines;
        assert!(said[0].starts_with("DATA_DIR_LOCKED: "), "{said:?}");
        let pid = format!("process {}", std::process::id());
        assert!(said[0].contains(&pid), "{said:?}");
        write(&life, 0, &writes(1, 1)[0])
            .await
            .expect("the first goes on");
        life.close().await;
    });
    assert_eq!(second.run(None).lines, ["opened"], "once the first is gone");
}

/// A caller that loses interest leaves work behind, which has the ledger and the indexes open.
#[test]
fn a_closed_directory_is_opened_again_at_once_whatever_was_abandoned() {
    let scratch = scratch();
    world::run(async {
        for round in 0..20 {
            let life = Life::open(scratch.path(), Breakpoints::default()).await;
            let step = writes(round, 8).swap_remove(0);
            begin(write(&life, 0, &step)).await;
            begin(life.engine.ledger().pin(&name())).await;
            begin(retrieve(&life, Mode::Hybrid, "otter")).await;
            life.close().await;
        }
    });
}

/// Polls `work` until it waits for something, then drops it.
async fn begin(work: impl Future) {
    let mut work = std::pin::pin!(work);
    std::future::poll_fn(|context| {
        let _ = work.as_mut().poll(context);
        std::task::Poll::Ready(())
    })
    .await;
}

#[test]
fn a_directory_of_a_newer_version_is_refused_and_left_as_it_is() {
    let scratch = scratch();
    let file = scratch.path().join("ledger/data.mdb");
    world::run(async {
        Life::open(scratch.path(), Breakpoints::default())
            .await
            .close()
            .await
    });
    let mut bytes = std::fs::read(&file).unwrap();
    const FORMAT: u8 = braid_ledger::FORMAT_VERSION as u8;
    let version = |number: u8| [b"format".as_slice(), &[0; 7], &[number]].concat();
    let places: Vec<_> = (0..bytes.len())
        .filter(|at| bytes[*at..].starts_with(&version(FORMAT)))
        .collect();
    assert!(!places.is_empty(), "the format is stored");
    for at in &places {
        bytes[*at..*at + 14].copy_from_slice(&version(FORMAT + 1));
    }
    std::fs::write(&file, &bytes).unwrap();
    let error = world::run(try_open(scratch.path())).unwrap_err();
    assert_eq!(error.code(), ErrorCode::UnsupportedVersion, "{error}");
    assert!(
        std::fs::read(&file).unwrap() == bytes,
        "nothing was written"
    );
}

/// Documents of a few kilobytes, in one chunk each.
fn long_documents(batch: usize) -> Step {
    let document = |at: usize| {
        let marker = format!("batch{batch}entry{at}");
        Version {
            id: format!("{batch}/{at}"),
            text: format!("{marker} {}", "padding ".repeat(300)),
            marker,
        }
    };
    Step::Put((0..10).map(document).collect())
}

#[test]
fn a_full_map_refuses_a_batch_whole_and_loses_nothing() {
    let scratch = scratch();
    let mut settings = settings(scratch.path());
    settings.chunking.target_tokens = 400;
    settings.storage.map_size_gib = 1.0 / 1024.0;
    world::run(async {
        let life = Life::with_settings(&settings, Breakpoints::default()).await;
        let mut stored = 0;
        let error = loop {
            match write(&life, stored, &long_documents(stored)).await {
                Ok(_) => stored += 1,
                Err(error) => break error,
            }
            assert!(stored < 100, "the map never fills");
        };
        assert!(stored > 1, "the first batches fit");
        assert_eq!(error.code(), ErrorCode::StorageFull, "{error}");
        life.drain().await;
        let before = listing(&life).await;
        assert_eq!(before.len(), stored * 10, "nothing of the refused batch");
        assert_eq!(
            retrieve(&life, Mode::Lexical, "batch0entry3").await.len(),
            1
        );
        life.close().await;
        settings.storage.map_size_gib = 0.0625;
        let life = Life::with_settings(&settings, Breakpoints::default()).await;
        assert_eq!(listing(&life).await, before);
        let answer = write(&life, stored, &long_documents(stored)).await.unwrap();
        assert!(!answer.unwrap().is_replay, "its key was not used up");
        life.drain().await;
        assert_eq!(listing(&life).await.len(), stored * 10 + 10);
        check_stores(&life).await;
        life.close().await;
    });
}
