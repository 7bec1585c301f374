//! The task that applies embedded operations to both indexes, and decides when.

use std::time::Duration;

use braid_core::{Error, Result};
use tokio::time::Instant;

use super::publish::apply_run;
use super::{Session, Task};
use crate::breakpoints::Breakpoint;
use crate::indexes::Indexes;
use crate::progress::{Health, Progress};
use crate::reconcile;
use crate::retry::Backoff;
use crate::state::Stopped;

/// While a load is in progress, an operation waits this many times the cost of the last apply, so
/// that applying takes a bounded share of the time.
const SHARE: u32 = 4;

/// An apply of so many chunks is part of a load, even one that embedding keeps up with.
const LOAD: u64 = 64;

/// Least time between two looks at whether readers have let go of retired slots.
const SHORTEST_LOOK: Duration = Duration::from_millis(1);

/// Applies and publishes behind the [embedding task](super::embed).
#[derive(Debug)]
pub(crate) struct ApplyingTask {
    session: Session,
    /// When the oldest embedded operation that is not applied was noticed.
    waiting_since: Option<Instant>,
    last_purge: Option<Instant>,
    last_cost: Duration,
    /// Chunks that seemed to wait when nothing did: of operations that were cancelled or failed once
    /// they were embedded.
    settled: u64,
    /// Until when what is embedded waits for more, although embedding has caught up.
    gathers_until: Option<Instant>,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Apply,
    Purge,
}

/// When something is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    Now(Due),
    /// Not before this time, or before something changes.
    Later(Option<Instant>),
}

impl ApplyingTask {
    pub(crate) fn new(session: Session) -> Self {
        Self {
            session,
            waiting_since: None,
            last_purge: None,
            last_cost: Duration::ZERO,
            settled: 0,
            gathers_until: None,
        }
    }

    pub(crate) async fn run(mut self) {
        let mut backoff = Backoff::new(self.session.parts.options.retry);
        loop {
            let ended = match self.follow(&mut backoff).await {
                Err(Ended::Failed(error)) => {
                    self.session
                        .settle(Task::Applying, &error, &mut backoff)
                        .await
                }
                Err(Ended::Stopped) => Err(Stopped),
                Ok(never) => match never {},
            };
            if ended.is_err() {
                return;
            }
        }
    }

    /// Opens the indexes, brings them up to the published state, and follows the log.
    async fn follow(&mut self, backoff: &mut Backoff) -> Result<std::convert::Infallible, Ended> {
        self.session.control.pass().await?;
        let indexes = Indexes::open(&self.session.parts, &self.session.served.collection).await?;
        self.reconcile(&indexes).await?;
        loop {
            match self.wait_until_due(backoff).await? {
                Due::Apply => self.apply(&indexes).await?,
                Due::Purge => self.purge().await?,
            }
            backoff.reset();
        }
    }

    /// What failed has not recovered before it is done, or there is nothing left to do.
    fn note_recovered(&self, when: When, backoff: &mut Backoff) {
        if when == When::Later(None) {
            backoff.reset();
        }
        if backoff.failures() == 0 {
            self.session.note_health(Task::Applying, Health::Working);
        }
    }

    async fn reconcile(&self, indexes: &Indexes) -> Result<(), Ended> {
        let session = &self.session;
        let _applying = session.state.applying.lock().await;
        for index in indexes.both() {
            session.control.pass().await?;
            let ledger = &*session.parts.ledger;
            let Some(change) = reconcile::behind(ledger, session.collection(), index).await? else {
                continue;
            };
            session.note_health(Task::Applying, Health::Reconciling);
            let collection = session.name();
            tracing::warn!(%collection, leg = %index.leg(), add = change.add.len(), delete = change.delete.len(), "an index does not match the published state, bringing it back");
            session.source.write(index, change).await?;
            session
                .parts
                .options
                .breakpoints
                .reach(Breakpoint::AfterReconcile);
        }
        Ok(())
    }

    async fn wait_until_due(&mut self, backoff: &mut Backoff) -> Result<Due, Stopped> {
        let mut progress = self.session.state.progress.subscribe();
        loop {
            self.session.control.pass().await?;
            let when = self.when(&progress.borrow_and_update());
            self.note_recovered(when, backoff);
            let at = match when {
                When::Now(due) => return Ok(due),
                When::Later(at) => at,
            };
            let timer = async {
                match at {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let woken = async {
                tokio::select! {
                    changed = progress.changed() => changed.is_ok(),
                    () = timer => true,
                }
            };
            if !self.session.control.until(woken).await? {
                return Err(Stopped);
            }
        }
    }

    /// Applies are batched while a load is in progress, and done at once when the embedding task
    /// has caught up; within a load, not before as much time has passed as the last one took. A purge that is due goes first, so that it shares the next apply.
    fn when(&mut self, progress: &Progress) -> When {
        let now = Instant::now();
        let purge = progress.purgeable.then(|| self.next_purge(now));
        if purge.is_some_and(|at| at <= now) {
            return When::Now(Due::Purge);
        }
        if progress.embedded <= progress.published {
            self.waiting_since = None;
            self.settled = progress.chunks_waiting();
            return When::Later(purge);
        }
        let full = self.session.parts.options.apply_batch_chunks as u64;
        let caught_up = progress.embedded >= progress.newest;
        let mut at = *self.waiting_since.get_or_insert(now) + self.interval();
        let gathered = self.gathers_until.is_none_or(|until| until <= now);
        if let Some(until) = self.gathers_until.filter(|_| caught_up && !gathered) {
            at = at.min(until);
        }
        let caught_up = caught_up && gathered;
        let waiting = progress.chunks_waiting().saturating_sub(self.settled);
        if caught_up || waiting >= full || at <= now {
            return When::Now(Due::Apply);
        }
        When::Later(Some(purge.map_or(at, |purge| purge.min(at))))
    }

    /// How long an embedded operation waits for others.
    fn interval(&self) -> Duration {
        let options = &self.session.parts.options;
        let share = (self.last_cost * SHARE).min(options.apply_interval_max);
        share.max(options.apply_interval)
    }

    fn next_purge(&self, now: Instant) -> Instant {
        let interval = self.session.parts.options.purge_interval.max(SHORTEST_LOOK);
        self.last_purge.map_or(now, |last| last + interval)
    }

    async fn apply(&mut self, indexes: &Indexes) -> Result<()> {
        let started = Instant::now();
        let chunks = apply_run(&self.session, indexes).await?;
        self.last_cost = started.elapsed();
        self.gathers_until = (chunks >= LOAD).then(|| Instant::now() + self.last_cost);
        self.waiting_since = None;
        Ok(())
    }

    /// Logs the purge of retired slots that no reader sees any more.
    async fn purge(&mut self) -> Result<()> {
        let session = &self.session;
        let _applying = session.state.applying.lock().await;
        if session.control.is_stopped() {
            return Ok(());
        }
        self.last_purge = Some(Instant::now());
        let ledger = &session.parts.ledger;
        if let Some(operation) = ledger.stage_purge(session.collection()).await? {
            session
                .parts
                .options
                .breakpoints
                .reach(Breakpoint::AfterStagePurge);
            session.state.note_staged(operation.sequence);
            return Ok(());
        }
        // Either nothing is retired, or readers still see it: then it is tried again later.
        let retired = ledger.stats(session.collection()).await?.retired;
        session
            .state
            .progress
            .send_modify(|progress| progress.purgeable = retired > 0);
        Ok(())
    }
}

/// Why following the log ended.
#[derive(Debug)]
enum Ended {
    Stopped,
    Failed(Error),
}

impl From<Stopped> for Ended {
    fn from(Stopped: Stopped) -> Self {
        Self::Stopped
    }
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}
