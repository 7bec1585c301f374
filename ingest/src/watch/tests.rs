//! Following, with a script for the sources and a clock that stands still.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use braid_core::ErrorCode;

use super::*;

/// Sources that change when they are told to.
#[derive(Default)]
struct World {
    /// What a look sees; a script for the next looks goes first.
    now: Cell<u64>,
    looks: RefCell<Vec<u64>>,
    /// What each pass saw.
    passes: RefCell<Vec<u64>>,
    /// Passes that fail, from the next.
    failing: Cell<u32>,
    told: RefCell<Vec<String>>,
    refused: RefCell<Vec<&'static str>>,
}

impl World {
    fn look(&self) -> Result<u64> {
        let mut looks = self.looks.borrow_mut();
        if !looks.is_empty() {
            self.now.set(looks.remove(0));
        }
        Ok(self.now.get())
    }

    fn pass(&self) -> Result<IngestReport> {
        if self.failing.get() > 0 {
            self.failing.set(self.failing.get() - 1);
            return Err(Error::new(ErrorCode::Unavailable, "no server"));
        }
        let mut passes = self.passes.borrow_mut();
        let mut report = IngestReport {
            replaced: usize::from(passes.last() != Some(&self.now.get())),
            ..IngestReport::default()
        };
        passes.push(self.now.get());
        for name in &*self.refused.borrow() {
            report.fail(name, None, "not valid UTF-8");
        }
        Ok(report)
    }

    fn tell(&self, told: Told<'_>) {
        self.told.borrow_mut().push(match told {
            Told::First(report) => format!("first {}", report.failed.len()),
            Told::Batch(report) => format!("batch {}", report.failed.len()),
            Told::Failed(error) => error.message().to_owned(),
        });
    }
}

/// Runs `script`, which wakes the follower through a channel, and gives what became of the world.
async fn follow(script: impl AsyncFnOnce(Rc<World>, mpsc::Sender<()>)) -> Rc<World> {
    let world = Rc::new(World::default());
    let (sender, wakes) = mpsc::channel(1);
    let (telling, looking, passing) = (world.clone(), world.clone(), world.clone());
    let follower = Follower {
        wakes,
        tell: move |told: Told<'_>| telling.tell(told),
        stamp: None,
        failed: Vec::new(),
    };
    let following = follower.follow(async || looking.look(), async || passing.pass());
    let (followed, ()) = tokio::join!(following, script(world.clone(), sender));
    followed.unwrap();
    world
}

/// Everything that is due by then has happened.
async fn in_a_while() {
    tokio::time::sleep(Duration::from_secs(2)).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_written_is_ingested_once_however_often_it_woke() {
    let world = follow(async |world, wake| {
        in_a_while().await;
        world.now.set(1);
        for _ in 0..100 {
            let _ = wake.try_send(());
        }
        in_a_while().await;
        // A wake without a change.
        let _ = wake.try_send(());
        in_a_while().await;
    })
    .await;
    assert_eq!(*world.passes.borrow(), [0, 1]);
    assert_eq!(*world.told.borrow(), ["first 0", "batch 0"]);
}

#[tokio::test(start_paused = true)]
async fn a_file_is_not_read_while_it_is_written() {
    let world = follow(async |world, wake| {
        in_a_while().await;
        *world.looks.borrow_mut() = vec![1, 2, 3, 4, 4];
        wake.try_send(()).unwrap();
        tokio::time::sleep(QUIET * 3).await;
        assert_eq!(*world.passes.borrow(), [0], "it is still written to");
        in_a_while().await;
    })
    .await;
    assert_eq!(*world.passes.borrow(), [0, 4]);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_written_without_end_does_not_keep_out_the_others() {
    let world = follow(async |world, wake| {
        in_a_while().await;
        *world.looks.borrow_mut() = (1..1000).collect();
        wake.try_send(()).unwrap();
        tokio::time::sleep(LONGEST_WAIT + QUIET * 2).await;
    })
    .await;
    assert_eq!(world.passes.borrow().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_failed_pass_is_told_and_tried_again_without_a_wake() {
    let world = follow(async |world, wake| {
        in_a_while().await;
        world.now.set(1);
        world.failing.set(2);
        wake.try_send(()).unwrap();
        tokio::time::sleep(RETRY.0 * 4).await;
    })
    .await;
    assert_eq!(*world.passes.borrow(), [0, 1]);
    let told = ["first 0", "no server", "no server", "batch 0"];
    assert_eq!(*world.told.borrow(), told);
}

#[tokio::test(start_paused = true)]
async fn a_document_that_still_fails_is_told_once() {
    let world = follow(async |world, wake| {
        in_a_while().await;
        world.refused.borrow_mut().push("a.md");
        for state in [1, 1, 2] {
            world.now.set(state);
            wake.try_send(()).unwrap();
            in_a_while().await;
        }
    })
    .await;
    // The second wake came of nothing, the third of another document.
    assert_eq!(*world.told.borrow(), ["first 0", "batch 1", "batch 1"]);
}
