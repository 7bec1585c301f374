//! Staging: versions first, then the heads that name them. A document is acknowledged when its head is
//! swapped; a request with several is acknowledged when all of them are.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use braid_core::operation::{Change, ChangeOutcome, Expected, StagedDocument};
use braid_core::ports::{NewJob, StageReceipt};
use braid_core::{CollectionId, DocumentId, Error, Result, Sequence};
use tokio::time::Instant;
use uuid::Uuid;

use super::ClusterLedger;
use crate::cluster::heads::{Head, ROUNDS, Read, State, contended};
use crate::cluster::shelf::Shelf;
use crate::cluster::versions::Version;

/// Documents that are written together.
const GROUP: usize = 128;

/// Longest time between writing a version and swapping the head: well below
/// [`LEFT_OVER`](crate::cluster::sweep::LEFT_OVER), after which a version without a head is removed.
const LONGEST: Duration = Duration::from_mins(10);

/// What one change does to its document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Staged {
        replaced: bool,
    },
    Deleted,
    Absent,
    /// The document is not what the change expects.
    Unmet,
    /// The version of the head says the same.
    Unchanged(Sequence),
    /// An earlier change of the request says the same.
    UnchangedBy(usize),
}

/// What the changes of one document do, one after the other.
#[derive(Debug, Default)]
struct Plan {
    steps: Vec<(usize, Step)>,
    /// Whether what was there is deleted.
    deletes: bool,
    /// The last put, if it stands.
    puts: Option<usize>,
    /// Whether this request was told that a version is there which another one could take back.
    relies: bool,
}

impl Plan {
    /// Whether the head changes.
    fn writes(&self) -> bool {
        self.deletes || self.puts.is_some() || self.relies
    }
}

/// One request.
struct Stager<'a> {
    ledger: &'a ClusterLedger,
    collection: CollectionId,
    shelf: &'a Shelf,
    changes: &'a [Change],
    job: Option<Uuid>,
    now_ms: i64,
    sequences: HashMap<usize, Sequence>,
    versions: HashMap<usize, Version>,
    outcomes: BTreeMap<usize, ChangeOutcome>,
}

impl ClusterLedger {
    pub(super) async fn stage_changes(
        &self,
        collection: CollectionId,
        changes: Vec<Change>,
        job: Option<NewJob>,
    ) -> Result<StageReceipt> {
        let (_, shelf) = self.open_shelf(collection).await?;
        let mut stager = Stager {
            ledger: self,
            collection,
            shelf: &shelf,
            changes: &changes,
            job: job.as_ref().map(|job| job.id.0),
            now_ms: self.now_ms(),
            sequences: HashMap::new(),
            versions: HashMap::new(),
            outcomes: BTreeMap::new(),
        };
        let mut of: BTreeMap<&DocumentId, Vec<usize>> = BTreeMap::new();
        for (at, change) in changes.iter().enumerate() {
            of.entry(change.document()).or_default().push(at);
        }
        let of: Vec<(&DocumentId, Vec<usize>)> = of.into_iter().collect();
        for group in of.chunks(GROUP) {
            stager.stage_group(group).await?;
            stager.versions.clear();
        }
        let newest = stager.sequences.values().max().copied();
        let outcomes: Vec<ChangeOutcome> = stager.outcomes.into_values().collect();
        if let Some(job) = job {
            self.record_job(collection, job, &changes, &outcomes)
                .await?;
        }
        Ok(StageReceipt {
            outcomes,
            newest: newest.unwrap_or_default(),
        })
    }
}

impl Stager<'_> {
    /// Stages the changes of some documents.
    async fn stage_group(&mut self, group: &[(&DocumentId, Vec<usize>)]) -> Result<()> {
        let started = Instant::now();
        let mut open: Vec<&(&DocumentId, Vec<usize>)> = group.iter().collect();
        for _ in 0..ROUNDS {
            if open.is_empty() {
                return Ok(());
            }
            if started.elapsed() > LONGEST {
                break;
            }
            let documents: Vec<DocumentId> = open.iter().map(|(it, _)| (*it).clone()).collect();
            let mut reads = self.shelf.heads.read(&documents).await?;
            let plans = open.iter().zip(&reads);
            let plans = plans.map(|((_, changes), read)| self.plan(&read.head, changes));
            let mut plans: Vec<Plan> = plans.collect::<Result<_>>()?;
            self.confirm(&open, &mut reads, &mut plans).await?;
            self.number(&plans).await?;
            self.write_versions(&plans).await?;
            let lost = self.swap(reads, plans).await?;
            open = open
                .into_iter()
                .zip(lost)
                .filter(|(_, lost)| *lost)
                .map(|(it, _)| it)
                .collect();
        }
        match open.first() {
            None => Ok(()),
            Some((document, _)) => Err(contended(document)),
        }
    }

    /// Looks again where nothing is to be written: no swap shows that the head was the newest one, and one
    /// copy may not have it.
    async fn confirm(
        &self,
        open: &[&(&DocumentId, Vec<usize>)],
        reads: &mut [Read],
        plans: &mut [Plan],
    ) -> Result<()> {
        let idle = (0..plans.len()).filter(|at| !plans[*at].writes());
        let idle: Vec<usize> = idle.collect();
        if idle.is_empty() || !self.shelf.heads.table.is_replicated() {
            return Ok(());
        }
        let documents: Vec<DocumentId> = idle.iter().map(|at| open[*at].0.clone()).collect();
        let agreed = self.shelf.heads.read_agreed(&documents).await?;
        for (at, read) in idle.into_iter().zip(agreed) {
            plans[at] = self.plan(&read.head, &open[at].1)?;
            reads[at] = read;
        }
        Ok(())
    }

    /// What the changes at these places do to a document with this head.
    fn plan(&self, head: &Head, changes: &[usize]) -> Result<Plan> {
        let mut plan = Plan::default();
        let mut exists = head.exists();
        let is_of_a_job = head
            .newest
            .as_ref()
            .is_some_and(|newest| newest.job.is_some());
        for at in changes {
            let change = &self.changes[*at];
            if !self.meets(change, head, &plan)? {
                plan.steps.push((*at, Step::Unmet));
                continue;
            }
            let step = match change {
                Change::Put(staged) | Change::PutIf(_, staged) => {
                    let of_request = plan
                        .puts
                        .filter(|before| self.says_the_same(*before, staged));
                    let stored = head.newest_sequence().filter(|_| {
                        let untouched = !plan.deletes && plan.puts.is_none();
                        untouched && head.has(&staged.content_hash, staged.pipeline.as_str())
                    });
                    match (stored, of_request) {
                        (Some(sequence), _) => {
                            plan.relies = is_of_a_job && head.state == State::Waiting;
                            Step::Unchanged(sequence)
                        }
                        (None, Some(before)) => Step::UnchangedBy(before),
                        (None, None) => {
                            plan.puts = Some(*at);
                            let replaced = exists;
                            exists = true;
                            Step::Staged { replaced }
                        }
                    }
                }
                Change::Delete(_) | Change::DeleteIf(..) if exists => {
                    exists = false;
                    plan.puts = None;
                    plan.deletes = head.exists();
                    Step::Deleted
                }
                Change::Delete(_) | Change::DeleteIf(..) => Step::Absent,
            };
            plan.steps.push((*at, step));
        }
        Ok(plan)
    }

    /// Whether the document is what the change expects, after what was planned before.
    fn meets(&self, change: &Change, head: &Head, before: &Plan) -> Result<bool> {
        let put = before.puts.and_then(|at| self.changes[at].staged());
        match (change.expected(), put) {
            (None, _) => Ok(true),
            (Some(Expected::Failed(_) | Expected::Missing), Some(_)) => Ok(false),
            (Some(Expected::Passing(filter)), Some(put)) => {
                Ok(filter.matches(&put.document.metadata, put.language))
            }
            (Some(Expected::Missing), None) => Ok(before.deletes || !head.exists()),
            (Some(_), None) if before.deletes => Ok(false),
            (Some(Expected::Failed(sequence)), None) => {
                Ok(head.state == State::Failed && head.newest_sequence() == Some(*sequence))
            }
            (Some(Expected::Passing(filter)), None) => head.passes(filter),
        }
    }

    fn says_the_same(&self, before: usize, staged: &StagedDocument) -> bool {
        self.changes[before].staged().is_some_and(|before| {
            before.content_hash == staged.content_hash && before.pipeline == staged.pipeline
        })
    }

    /// Gives a number to each change that needs one and has none.
    async fn number(&mut self, plans: &[Plan]) -> Result<()> {
        let steps = plans.iter().flat_map(|plan| &plan.steps);
        let mut needed: Vec<usize> = steps
            .filter(|(_, step)| matches!(step, Step::Staged { .. } | Step::Deleted))
            .map(|(at, _)| *at)
            .filter(|at| !self.sequences.contains_key(at))
            .collect();
        needed.sort_unstable();
        let counters = &self.ledger.registry.counters;
        let taken = counters.sequences(self.collection, needed.len()).await?;
        self.sequences.extend(needed.into_iter().zip(taken));
        Ok(())
    }

    /// Writes the versions that heads are going to name and that are not written yet.
    async fn write_versions(&mut self, plans: &[Plan]) -> Result<()> {
        let puts = plans.iter().filter_map(|plan| plan.puts);
        let puts: Vec<usize> = puts.filter(|at| !self.versions.contains_key(at)).collect();
        let mut written = Vec::with_capacity(puts.len());
        for at in puts {
            let staged = self.changes[at].staged();
            let staged = staged.ok_or_else(|| Error::internal("a delete has no version"))?;
            let counters = &self.ledger.registry.counters;
            let slots = counters.slots(self.collection, staged.chunks.len()).await?;
            let version = Version::new(staged, self.sequence(at)?, &slots, self.now_ms);
            self.versions.insert(at, version);
            written.push(at);
        }
        let versions = written.iter().filter_map(|at| self.versions.get(at));
        self.shelf
            .versions
            .write(&versions.collect::<Vec<_>>())
            .await
    }

    fn sequence(&self, at: usize) -> Result<Sequence> {
        let sequence = self.sequences.get(&at).copied();
        sequence.ok_or_else(|| Error::internal("a change has no number"))
    }

    /// Swaps the heads, and notes the outcomes of those where nobody was faster. In order: whether
    /// somebody was.
    async fn swap(&mut self, reads: Vec<Read>, plans: Vec<Plan>) -> Result<Vec<bool>> {
        let mut swaps = Vec::new();
        let mut swapped = Vec::with_capacity(plans.len());
        for (read, plan) in reads.into_iter().zip(&plans) {
            let next = self.next(read.head.clone(), plan)?;
            swapped.push(next.is_some());
            if let Some(next) = next {
                swaps.push(read.swap(&next)?);
            }
        }
        let mut applied = self.shelf.heads.table.swap(swaps).await?.into_iter();
        let mut lost = Vec::with_capacity(plans.len());
        for (plan, swapped) in plans.iter().zip(swapped) {
            let is_lost = swapped && applied.next() != Some(true);
            lost.push(is_lost);
            if !is_lost {
                for (at, step) in &plan.steps {
                    let outcome = self.outcome(*at, *step)?;
                    self.outcomes.insert(*at, outcome);
                }
            }
        }
        Ok(lost)
    }

    /// The head after `plan`; `None` where it stays.
    fn next(&self, head: Head, plan: &Plan) -> Result<Option<Head>> {
        // What was there must not be lost by taking the new version back.
        let may_lose = head.exists() && head.state != State::Idle;
        let mut next = head;
        if plan.deletes {
            next = next.delete(self.now_ms);
        }
        if let Some(at) = plan.puts {
            let version = self.versions.get(&at);
            let version = version.ok_or_else(|| Error::internal("a put has no version"))?;
            let job = self.job.filter(|_| !may_lose && !plan.deletes);
            return next.put(version.newest(job), self.now_ms).map(Some);
        }
        if plan.deletes {
            return Ok(Some(next));
        }
        if let Some(newest) = next.newest.as_mut().filter(|_| plan.relies) {
            newest.job = None;
            return Ok(Some(next));
        }
        Ok(None)
    }

    fn outcome(&self, at: usize, step: Step) -> Result<ChangeOutcome> {
        Ok(match step {
            Step::Staged { replaced } => ChangeOutcome::Staged {
                sequence: self.sequence(at)?,
                replaced,
                duplicate: None,
            },
            Step::Deleted => ChangeOutcome::Deleted {
                sequence: self.sequence(at)?,
            },
            Step::Absent => ChangeOutcome::Absent,
            Step::Unmet => ChangeOutcome::Unmet,
            Step::Unchanged(sequence) => ChangeOutcome::Unchanged { sequence },
            Step::UnchangedBy(before) => ChangeOutcome::Unchanged {
                sequence: self.sequence(before)?,
            },
        })
    }
}
