//! `--watch`: sources that are followed.
//!
//! Something being written only wakes the follower. It waits until nothing changes any more, so
//! that no file is read half written, and ingests the sources as at first: what did not change
//! costs a hash. So no event can be missed, misread or come in the wrong order; many at once are
//! one wake, and one that was lost is made good by the next.

mod events;
#[cfg(test)]
mod tests;

use std::time::Duration;

use braid_core::{Error, Result};
use braid_engine::file::isolated::Parser;
use braid_engine::source::{Stamp, stamp};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::args::{IngestArgs, Sources};
use crate::report::IngestReport;
use crate::{Target, ingest};

/// The sources must look the same for so long before they are read.
const QUIET: Duration = Duration::from_millis(500);
/// They are read all the same after so long: one file that is written without end must not keep
/// out all others.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// First and longest wait before a pass that failed is tried again.
const RETRY: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));

/// What a caller is told.
#[derive(Clone, Copy, Debug)]
pub enum Told<'a> {
    /// The first ingestion is done, and changes are followed from here.
    First(&'a IngestReport),
    /// A batch of changes was ingested.
    Batch(&'a IngestReport),
    /// Ingesting failed as a whole; it is tried again.
    Failed(&'a Error),
}

/// Ingests what `args` names, and what changes in it, until the future is dropped. What is
/// acknowledged by then is durable.
///
/// # Errors
/// What stops the first ingestion, or keeps the sources from being watched. Later failures are told
/// and tried again.
pub async fn watch(
    args: &IngestArgs,
    parser: Option<Parser>,
    target: Target,
    tell: impl FnMut(Told<'_>),
) -> Result<()> {
    let sources = args.sources(parser)?;
    // Before the first look: nothing that happens after it goes unnoticed.
    let (wakes, _source) = events::begin(&sources.paths, args.watch_poll)?;
    let look = async || look(&sources).await;
    let pass = async || ingest(args, &sources, target.clone()).await;
    Follower {
        wakes,
        tell,
        stamp: None,
        failed: Vec::new(),
    }
    .follow(look, pass)
    .await
}

async fn look(sources: &Sources) -> Result<Stamp> {
    let sources = sources.clone();
    let looked = tokio::task::spawn_blocking(move || stamp(&sources.paths, &sources.options));
    looked
        .await
        .map_err(|error| Error::internal("looking at the sources failed").with_source(error))?
}

/// Turns wakes into passes. `S` tells two states of the sources apart.
struct Follower<S, T> {
    /// Holds one wake at most: more say nothing more.
    wakes: mpsc::Receiver<()>,
    tell: T,
    /// What was ingested last.
    stamp: Option<S>,
    /// Documents that failed then, and why: told once.
    failed: Vec<(String, String)>,
}

impl<S: Copy + PartialEq, T: FnMut(Told<'_>)> Follower<S, T> {
    /// `look` says what the sources look like, `pass` ingests them.
    async fn follow(
        mut self,
        look: impl AsyncFn() -> Result<S>,
        pass: impl AsyncFn() -> Result<IngestReport>,
    ) -> Result<()> {
        self.stamp = Some(look().await?);
        let first = pass().await?;
        self.failed = failures(&first);
        (self.tell)(Told::First(&first));
        let mut retry = None;
        loop {
            if !self.wait(retry).await {
                return Ok(());
            }
            let done = self.take_changes(&look, &pass).await;
            retry = match done {
                Ok(()) => None,
                Err(error) => {
                    (self.tell)(Told::Failed(&error));
                    let twice = |wait: Duration| (wait * 2).min(RETRY.1);
                    Some(retry.map_or(RETRY.0, twice))
                }
            };
        }
    }

    /// Waits for a wake, or for a retry that is due. False when there is nothing to wait for.
    async fn wait(&mut self, retry: Option<Duration>) -> bool {
        let due = async {
            match retry {
                Some(wait) => tokio::time::sleep(wait).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            woken = self.wakes.recv() => woken.is_some(),
            () = due => true,
        }
    }

    async fn take_changes(
        &mut self,
        look: &impl AsyncFn() -> Result<S>,
        pass: &impl AsyncFn() -> Result<IngestReport>,
    ) -> Result<()> {
        let settled = self.settle(look).await?;
        if self.stamp == Some(settled) {
            return Ok(());
        }
        // A pass that fails is not taken for done.
        self.stamp = None;
        let report = pass().await?;
        self.stamp = Some(settled);
        let failed = failures(&report);
        if report.has_changes() || failed != self.failed {
            (self.tell)(Told::Batch(&report));
        }
        self.failed = failed;
        Ok(())
    }

    /// Waits until the sources look the same twice.
    async fn settle(&mut self, look: &impl AsyncFn() -> Result<S>) -> Result<S> {
        let latest = Instant::now() + LONGEST_WAIT;
        let mut before = look().await?;
        loop {
            tokio::time::sleep(QUIET).await;
            // Taken before looking: what is written from here on wakes again.
            let _ = self.wakes.try_recv();
            let now = look().await?;
            if now == before || Instant::now() >= latest {
                return Ok(now);
            }
            before = now;
        }
    }
}

fn failures(report: &IngestReport) -> Vec<(String, String)> {
    let failed = report.failed.iter();
    let failed = failed.map(|it| (it.document.clone(), it.reason.clone()));
    failed.collect()
}
