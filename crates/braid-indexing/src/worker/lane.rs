//! One lane: claims a few documents at a time and indexes them.

use std::collections::HashSet;
use std::time::Duration;

use braid_core::ports::{Claim, WorkItem};
use braid_core::{Error, ErrorCode, Result};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{Until, Worker};
use crate::embeddings::probe;
use crate::progress::Health;
use crate::retry::{Backoff, Remedy, remedy};

/// Claims of a lane that it still has, as far as is known.
#[derive(Debug, Default)]
pub(super) struct Held(Mutex<Vec<Claim>>);

impl Held {
    fn new(items: &[WorkItem]) -> Self {
        let claims = items.iter().map(|item| item.claim.clone());
        Self(Mutex::new(claims.collect()))
    }

    pub(super) fn claims(&self) -> Vec<Claim> {
        self.0.lock().clone()
    }

    pub(super) fn has(&self, claim: &Claim) -> bool {
        self.0.lock().iter().any(|held| held.token == claim.token)
    }

    /// Forgets claims that are settled or lost.
    pub(super) fn forget<'c>(&self, claims: impl IntoIterator<Item = &'c Claim>) {
        let gone: HashSet<u128> = claims.into_iter().map(|claim| claim.token).collect();
        self.0.lock().retain(|held| !gone.contains(&held.token));
    }
}

/// What waits.
enum Waiting {
    None,
    /// Something that this worker may get, or that somebody works on.
    Some,
    /// So many documents, all of them of other embedders.
    ForOthers(u64),
}

impl Worker {
    /// Works until told to stop, or until nothing waits.
    pub(super) async fn lane(&self, until: Until) -> Result<()> {
        let mut idle = Backoff::new(self.parts.options.polling());
        let mut trouble = Backoff::new(self.parts.options.retry);
        while !self.is_stopped() {
            match self.step(trouble.failures() > 0).await {
                Ok(true) => {
                    idle.reset();
                    trouble.reset();
                    self.note_health(Health::Working);
                }
                Ok(false) => {
                    trouble.reset();
                    if until == Until::Idle && self.is_drained().await? {
                        break;
                    }
                    self.pause(idle.wait()).await;
                }
                Err(error) => {
                    let wait = wait_out(error, &mut trouble, |error, failures| {
                        self.note_trouble(error, failures);
                    });
                    self.pause(wait?).await;
                }
            }
        }
        Ok(())
    }

    /// Claims and indexes once; whether there was anything to do. After a failure the model is tried
    /// first: what cannot be embedded now is not claimed, and so not counted against its documents.
    async fn step(&self, failed_before: bool) -> Result<bool> {
        let options = &self.parts.options;
        if failed_before {
            probe(&*self.parts.embedder).await?;
        }
        let company = self.company.read().await;
        let embedder = self.parts.embedder.fingerprint();
        let claiming = self
            .parts
            .queue
            .claim(embedder, options.documents.max(1), options.lease);
        let items = claiming.await?;
        if items.is_empty() {
            return Ok(false);
        }
        *self.worked_at.lock() = Instant::now();
        self.note(|progress| progress.claimed += items.len() as u64);
        let held = Held::new(&items);
        if items.iter().all(|item| !item.claim.is_suspect()) {
            return self.keep_while(&held, self.index(items, &held)).await;
        }
        // Another lane is about to try one too.
        let Ok(_mine) = self.suspect.try_lock() else {
            self.give_back(&held, None).await;
            return Ok(true);
        };
        drop(company);
        let index_alone = async {
            let _alone = self.company.write().await;
            self.index(items, &held).await
        };
        self.keep_while(&held, index_alone).await
    }

    /// Renews the leases of `held` while `work` goes on, and gives back what is left of it.
    async fn keep_while(
        &self,
        held: &Held,
        work: impl Future<Output = Result<()>>,
    ) -> Result<bool> {
        let done = tokio::select! {
            biased;
            done = work => done,
            never = self.renew(held) => match never {},
        };
        self.give_back(held, done.as_ref().err()).await;
        done.map(|()| true)
    }

    /// Keeps the leases of `held` from ending.
    async fn renew(&self, held: &Held) -> std::convert::Infallible {
        let lease = self.parts.options.lease;
        loop {
            tokio::time::sleep(lease / 3).await;
            let claims = held.claims();
            match self.parts.queue.renew(&claims, lease).await {
                Ok(good) => {
                    let lost = claims.iter().zip(good).filter(|(_, good)| !good);
                    held.forget(lost.map(|(claim, _)| claim));
                }
                // The next try may still be in time; if not, publishing finds the claims lost.
                Err(error) => {
                    tracing::warn!(error = %error.chain(), "leases could not be renewed");
                }
            }
        }
    }

    /// Whether nothing waits any more, not even with other workers.
    async fn is_drained(&self) -> Result<bool> {
        let waiting = match self.count_waiting().await {
            Ok(waiting) => waiting,
            Err(error) if error.code().is_retryable() => return Ok(false),
            Err(error) => return Err(error),
        };
        match waiting {
            Waiting::None => Ok(true),
            Waiting::Some => Ok(false),
            Waiting::ForOthers(waiting) => Err(self.waits_for_others(waiting)),
        }
    }

    async fn count_waiting(&self) -> Result<Waiting> {
        let depth = self.parts.queue.depth().await?;
        self.note(|progress| progress.depth = depth);
        if depth.waiting == 0 {
            return Ok(Waiting::None);
        }
        // Workers of another embedder may be between two claims.
        let longest = self.parts.options.retry.longest + self.parts.options.poll_longest;
        if depth.claimed > 0 || self.worked_at.lock().elapsed() <= longest {
            return Ok(Waiting::Some);
        }
        // What is given back waits, however long, and clocks differ: that is no other embedder's.
        let embedder = self.parts.embedder.fingerprint();
        match self.parts.queue.waiting(embedder).await? {
            0 => Ok(Waiting::ForOthers(depth.waiting)),
            _ => Ok(Waiting::Some),
        }
    }

    fn waits_for_others(&self, waiting: u64) -> Error {
        let embedder = self.parts.embedder.fingerprint();
        let message = format!(
            "{waiting} documents wait for another embedder than {embedder}, which runs here"
        );
        Error::new(ErrorCode::FingerprintMismatch, message)
            .with_help("run a worker with the embedder that their collections were made with")
    }
}

/// How long to wait after `error`.
///
/// # Errors
/// The error itself where waiting does not help.
fn wait_out(
    error: Error,
    trouble: &mut Backoff,
    note: impl FnOnce(&Error, u32),
) -> Result<Duration> {
    let wait = match remedy(&error, trouble) {
        Remedy::Wait(wait) => wait,
        // Deleted while it was worked on.
        Remedy::Stop => trouble.wait(),
        Remedy::Stall => return Err(error),
    };
    note(&error, trouble.failures());
    Ok(wait)
}
