//! Durability of the whole engine: real stores, real processes, real SIGKILL.
//!
//! A child process (this binary again, see [`process`]) runs a seeded [`script`] on a data
//! directory and tells each acknowledgement through a pipe, until it is killed at a named point.
//! The parent then opens what is left and [`check`]s it against the script. With [`disk`] the same
//! happens on a disk that keeps only what was synced. Nothing sleeps: the places of death are
//! counted, and the clock of waits for background work stands still. [`kills`] also kills at seeded
//! times, as many as it is told to.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bounds;
mod cancels;
mod check;
mod disk;
mod embeddings;
mod full;
mod guarantees;
mod kills;
mod paused;
mod points;
mod process;
mod script;
mod soak;
mod state;
mod world;

use process::{Death, Task};

/// Where a child process begins. In the parent, checks that a task arrives as it was given.
#[test]
fn child_process() {
    if let Some(task) = Task::from_environment() {
        process::perform(task);
    }
    for text in ["never", "nth 17", "at after_stage 2", "after 1500"] {
        let death: Death = text.parse().unwrap();
        assert_eq!(death.to_string(), text);
    }
    assert!("at after_lunch 1".parse::<Death>().is_err());
}
