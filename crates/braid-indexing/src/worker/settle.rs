//! From claimed to published, to tried again, or to a dead letter.

use std::collections::BTreeMap;

use braid_core::ports::{Claim, GiveBack, SUSPECT_AFTER, Settled, WorkFailure, WorkItem};
use braid_core::{Embedding, Error, ErrorCode, Result};

use super::Worker;
use super::embed::Embedded;
use super::lane::Held;
use crate::retry::Backoff;

/// What was given back so often is tried by itself, after everything else.
const OFTEN: u32 = 2;
/// After so many of those that fail something must be in the way of all.
const MOST_FAILURES: usize = 3;

type Work = Vec<(WorkItem, Vec<Embedding>)>;

impl Worker {
    /// Indexes claimed documents. What is still in `held` afterwards was not settled.
    ///
    /// # Errors
    /// What no document is to blame for.
    pub(super) async fn index(&self, items: Vec<WorkItem>, held: &Held) -> Result<()> {
        let (items, worn) = self.leave_out_worn(items);
        for item in worn {
            self.bury(&item.claim, worn_out(&item.claim), held).await?;
        }
        // Whatever it is that they meet with again and again, it does not hold up the others.
        let (often, others): (Vec<_>, Vec<_>) = items
            .into_iter()
            .partition(|item| item.claim.returned >= OFTEN);
        for group in groups(others, self.parts.options.batch_chunks) {
            if !self.index_group(group, held).await? {
                return Ok(());
            }
        }
        self.index_each(often, held).await
    }

    /// Indexes documents of one collection together; `false` where the worker was told to stop.
    async fn index_group(&self, group: Vec<WorkItem>, held: &Held) -> Result<bool> {
        if self.is_stopped() {
            return Ok(false);
        }
        let Some(embedded) = self.embed_items(group).await? else {
            return Ok(false);
        };
        let work = self.take_embedded(embedded, held).await?;
        self.publish(work, held).await?;
        Ok(true)
    }

    /// Indexes documents one by one, and goes on past a few that fail.
    async fn index_each(&self, items: Vec<WorkItem>, held: &Held) -> Result<()> {
        let mut failures = Vec::new();
        for item in items {
            let claim = item.claim.clone();
            match self.index_group(vec![item], held).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) if !error.code().is_retryable() => return Err(error),
                Err(error) => {
                    self.return_all(std::slice::from_ref(&claim), Some(&error))
                        .await?;
                    held.forget([&claim]);
                    failures.push(error);
                }
            }
            if failures.len() == MOST_FAILURES {
                break;
            }
        }
        failures.pop().map_or(Ok(()), Err)
    }

    /// Documents that were claimed so often without an end are not tried again: whatever ended their
    /// workers would end this one. The last times they were tried alone.
    fn leave_out_worn(&self, items: Vec<WorkItem>) -> (Vec<WorkItem>, Vec<WorkItem>) {
        let attempts = self.parts.options.attempts.max(SUSPECT_AFTER + 1);
        let may_go_on = |item: &WorkItem| item.claim.attempt <= attempts;
        items.into_iter().partition(may_go_on)
    }

    /// What was embedded; the others are dead letters.
    async fn take_embedded(&self, embedded: Vec<Embedded>, held: &Held) -> Result<Work> {
        let mut work = Work::with_capacity(embedded.len());
        for (item, made) in embedded {
            match made {
                Ok(embeddings) if held.has(&item.claim) => work.push((item, embeddings)),
                Ok(_) => self.count(Settled::Lost, &item),
                Err(error) => self.bury(&item.claim, error.chain(), held).await?,
            }
        }
        Ok(work)
    }

    async fn publish(&self, work: Work, held: &Held) -> Result<()> {
        let mut parts = vec![work];
        while let Some(part) = parts.pop() {
            let error = match self.publish_retrying(&part).await {
                Ok(settled) => {
                    held.forget(part.iter().map(|(item, _)| &item.claim));
                    for ((item, _), settled) in part.iter().zip(settled) {
                        self.count(settled, item);
                    }
                    continue;
                }
                Err(error) => error,
            };
            match part.as_slice() {
                [(item, _)] if is_to_blame(&error) => {
                    self.bury(&item.claim, error.chain(), held).await?;
                }
                [_, _, ..] if is_to_blame(&error) => {
                    let mut first = part;
                    let second = first.split_off(first.len() / 2);
                    parts.extend([second, first]);
                }
                _ => return Err(error),
            }
        }
        Ok(())
    }

    /// Publishing again is a no-op for what was published.
    async fn publish_retrying(&self, work: &Work) -> Result<Vec<Settled>> {
        let mut backoff = Backoff::new(self.parts.options.retry);
        loop {
            let error = match self.parts.queue.publish(work.clone()).await {
                Ok(settled) => return Ok(settled),
                Err(error) => error,
            };
            let wait = match error.code().is_retryable() && !self.is_stopped() {
                true => backoff.wait_if_left(),
                false => None,
            };
            let Some(wait) = wait else { return Err(error) };
            self.note_trouble(&error, backoff.failures());
            self.pause(wait).await;
        }
    }

    fn count(&self, settled: Settled, item: &WorkItem) {
        let collection = item.collection.name.to_string();
        let outcome = match settled {
            Settled::Done => "published",
            Settled::Superseded => "superseded",
            Settled::Lost => "lost",
        };
        metrics::counter!("braid_work_settled_total", "collection" => collection, "outcome" => outcome)
            .increment(1);
        self.note(|progress| match settled {
            Settled::Done => progress.published += 1,
            Settled::Superseded => progress.superseded += 1,
            Settled::Lost => progress.lost += 1,
        });
    }

    /// Makes a document a dead letter.
    async fn bury(&self, claim: &Claim, reason: String, held: &Held) -> Result<()> {
        tracing::warn!(document = %claim.document, sequence = %claim.sequence, %reason, "a document cannot be indexed");
        let failure = WorkFailure {
            reason,
            retry_after: None,
        };
        let settled = self.parts.queue.fail(claim, failure).await?;
        held.forget([claim]);
        if settled == Settled::Done {
            metrics::counter!("braid_work_dead_letters_total").increment(1);
            self.note(|progress| progress.failed += 1);
        }
        Ok(())
    }

    /// Gives back what is left of a claim: at once where the worker stops, and after a while where
    /// something failed. What cannot be given back comes back when its lease ends.
    pub(super) async fn give_back(&self, held: &Held, error: Option<&Error>) {
        let claims = held.claims();
        let given_back = match error {
            None => self.return_all(&claims, None).await,
            Some(error) if may_be_of_a_document(error) => self.try_again(&claims, error).await,
            Some(error) => self.return_all(&claims, Some(error)).await,
        };
        if let Err(error) = given_back {
            tracing::warn!(error = %error.chain(), "claims come back when their leases end");
        }
        held.forget(&claims);
    }

    /// Gives claims back uncounted: those that were given back equally often together.
    async fn return_all(&self, claims: &[Claim], error: Option<&Error>) -> Result<()> {
        let mut alike: BTreeMap<u32, Vec<Claim>> = BTreeMap::new();
        for claim in claims {
            let times = error.map_or(0, |_| claim.returned);
            alike.entry(times).or_default().push(claim.clone());
        }
        for (times, claims) in alike {
            let why = match error {
                None => GiveBack::Untouched,
                Some(error) => GiveBack::Hindered {
                    reason: error.chain(),
                    wait: self.parts.options.again_after(times),
                },
            };
            for settled in self.parts.queue.give_back(&claims, why).await? {
                self.note_given_back(settled);
            }
        }
        Ok(())
    }

    /// Ends claims one of which may be to blame, to be tried again: counted.
    async fn try_again(&self, claims: &[Claim], error: &Error) -> Result<()> {
        for claim in claims {
            let wait = self.parts.options.again_after(claim.attempt - 1);
            let failure = WorkFailure {
                reason: error.chain(),
                retry_after: Some(wait),
            };
            self.note_given_back(self.parts.queue.fail(claim, failure).await?);
        }
        Ok(())
    }

    fn note_given_back(&self, settled: Settled) {
        if settled == Settled::Done {
            metrics::counter!("braid_work_given_back_total").increment(1);
            self.note(|progress| progress.given_back += 1);
        }
    }
}

fn worn_out(claim: &Claim) -> String {
    let before = claim.attempt - 1;
    format!(
        "it was tried {before} times, and each time its worker ended or broke down before it was done"
    )
}

/// Whether the store refuses what the document is, rather than being unable.
fn is_to_blame(error: &Error) -> bool {
    matches!(
        error.code(),
        ErrorCode::InvalidRequest | ErrorCode::TooLarge | ErrorCode::UnreadableDocument
    )
}

/// Whether a defect shows that one of the documents at hand may have met with. Everything else that
/// fails is in the way of every document.
fn may_be_of_a_document(error: &Error) -> bool {
    error.code() == ErrorCode::Internal
}

/// Documents of one collection, at most `most` chunks together where each has fewer.
fn groups(items: Vec<WorkItem>, most: usize) -> Vec<Vec<WorkItem>> {
    let mut items = items;
    items.sort_by_key(|item| item.claim.collection);
    let mut groups: Vec<Vec<WorkItem>> = Vec::new();
    let mut chunks = 0;
    for item in items {
        let fits = groups
            .last()
            .and_then(|group| group.first())
            .is_some_and(|first| {
                first.claim.collection == item.claim.collection
                    && chunks + item.chunks.len() <= most
            });
        if !fits {
            chunks = 0;
            groups.push(Vec::new());
        }
        chunks += item.chunks.len();
        if let Some(group) = groups.last_mut() {
            group.push(item);
        }
    }
    groups
}
