//! The ledger in memory as a queue of what waits to be indexed: each version is published by itself.

use std::time::Duration;

use async_trait::async_trait;
use braid_core::operation::IndexableChunk;
use braid_core::ports::{
    Asked, Claim, Copied, CopyLog, GiveBack, SUSPECT_AFTER, Settled, WorkDepth, WorkFailure,
    WorkItem,
};
use braid_core::{
    ChunkRecord, CollectionId, DocumentId, Embedding, Error, Fingerprint, OperationKind, Result,
    Sequence, SlotSet, WorkQueue,
};

use super::RamLedger;
use super::state::{Data, State};

/// Who has a version, and what is known of those who had it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lease {
    token: u128,
    until_ms: i64,
    not_before_ms: i64,
    attempt: u32,
    returned: u32,
}

#[async_trait]
impl WorkQueue for RamLedger {
    async fn claim(
        &self,
        embedder: &Fingerprint,
        limit: usize,
        lease: Duration,
    ) -> Result<Vec<WorkItem>> {
        self.state.lock().claim(embedder, limit, lease)
    }

    async fn claim_documents(
        &self,
        collection: CollectionId,
        documents: &[DocumentId],
        lease: Duration,
    ) -> Result<Vec<Asked>> {
        let mut state = self.state.lock();
        state.check_writable()?;
        let asked = documents
            .iter()
            .map(|document| state.claim_named(collection, document, lease));
        asked.collect()
    }

    async fn renew(&self, claims: &[Claim], lease: Duration) -> Result<Vec<bool>> {
        let mut state = self.state.lock();
        state.check_writable()?;
        let until_ms = state.after(lease);
        let renew = |claim: &Claim| {
            let held = state.holds(claim) && state.is_waiting(claim);
            if let Some(lease) = state.leases.get_mut(&key(claim))
                && held
            {
                lease.until_ms = until_ms;
            }
            held
        };
        Ok(claims.iter().map(renew).collect())
    }

    async fn publish(&self, work: Vec<(WorkItem, Vec<Embedding>)>) -> Result<Vec<Settled>> {
        let mut state = self.state.lock();
        for (item, embeddings) in &work {
            check_embeddings(item, embeddings)?;
        }
        let published = work
            .into_iter()
            .map(|(item, embeddings)| state.publish_work(item, embeddings));
        published.collect()
    }

    async fn give_back(&self, claims: &[Claim], why: GiveBack) -> Result<Vec<Settled>> {
        let mut state = self.state.lock();
        state.check_writable()?;
        let given_back = claims.iter().map(|claim| state.give_back(claim, &why));
        Ok(given_back.collect())
    }

    async fn fail(&self, claim: &Claim, failure: WorkFailure) -> Result<Settled> {
        self.state.lock().fail_work(claim, failure)
    }

    async fn sweep(&self, grace: Duration) -> Result<u64> {
        let mut state = self.state.lock();
        state.check_writable()?;
        let before = state.now_ms - millis(grace);
        let epochs = &state.epochs;
        let old: Vec<u64> = epochs
            .iter()
            .filter(|(_, at)| **at <= before)
            .map(|(epoch, _)| *epoch)
            .collect();
        let mut removed = 0;
        for id in state.data.keys().copied().collect::<Vec<_>>() {
            removed += state.change(id, |data, _| Ok(data.drop_retired(&old)))?;
        }
        Ok(removed)
    }

    /// Nothing is known later that is not known at once.
    async fn tend(&self) -> Result<bool> {
        Ok(false)
    }

    async fn waiting(&self, embedder: &Fingerprint) -> Result<u64> {
        let state = self.state.lock();
        let data = state.data.values();
        let data = data.filter(|data| data.collection.fingerprint.embedder == *embedder);
        Ok(data.map(|data| data.waiting().count() as u64).sum())
    }

    async fn depth(&self) -> Result<WorkDepth> {
        let state = self.state.lock();
        let mut depth = WorkDepth::default();
        for (id, data) in &state.data {
            depth.failed += data.stats().failed;
            for (sequence, _) in data.waiting() {
                let lease = state.leases.get(&(*id, sequence));
                depth.waiting += 1;
                depth.claimed += u64::from(lease.is_some_and(|lease| state.is_current(*lease)));
            }
        }
        Ok(depth)
    }
}

#[async_trait]
impl CopyLog for RamLedger {
    async fn copied(&self, collection: CollectionId, source: &str) -> Result<Option<Copied>> {
        let state = self.state.lock();
        Ok(state.copied.get(&(collection, source.to_owned())).cloned())
    }

    /// There is nothing to set up.
    async fn expect(&self, _: CollectionId, _: &[ChunkRecord], _: u64) -> Result<()> {
        Ok(())
    }

    async fn record_copied(
        &self,
        collection: CollectionId,
        source: &str,
        copied: &Copied,
    ) -> Result<()> {
        let mut state = self.state.lock();
        state.check_writable()?;
        let key = (collection, source.to_owned());
        state.copied.insert(key, copied.clone());
        Ok(())
    }
}

fn key(claim: &Claim) -> (CollectionId, Sequence) {
    (claim.collection, claim.sequence)
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn check_embeddings(item: &WorkItem, embeddings: &[Embedding]) -> Result<()> {
    let dimension = item.collection.dimension;
    if embeddings.len() != item.chunks.len() || embeddings.iter().any(|it| it.len() != dimension) {
        return Err(Error::invalid(format!(
            "{} chunks need as many embeddings of {dimension} numbers",
            item.chunks.len()
        )));
    }
    Ok(())
}

impl State {
    fn after(&self, wait: Duration) -> i64 {
        self.now_ms.saturating_add(millis(wait))
    }

    fn is_current(&self, lease: Lease) -> bool {
        lease.token != 0 && lease.until_ms > self.now_ms
    }

    /// Whether nobody claimed the version after this claim.
    fn holds(&self, claim: &Claim) -> bool {
        let lease = self.leases.get(&key(claim));
        lease.is_some_and(|lease| lease.token == claim.token)
    }

    fn is_waiting(&self, claim: &Claim) -> bool {
        let data = self.data.get(&claim.collection);
        data.is_some_and(|data| data.waits(claim.sequence, &claim.document))
    }

    fn claim(
        &mut self,
        embedder: &Fingerprint,
        limit: usize,
        lease: Duration,
    ) -> Result<Vec<WorkItem>> {
        self.check_writable()?;
        let free = |(id, sequence)| self.is_free(id, sequence);
        let mut found = Vec::new();
        for (id, data) in &self.data {
            if data.collection.fingerprint.embedder == *embedder {
                let waiting = data.waiting();
                found.extend(
                    waiting
                        .filter(|(sequence, _)| free((*id, *sequence)))
                        .map(|(sequence, document)| (*id, sequence, document.clone())),
                );
            }
        }
        let is_suspect = |(id, sequence, _): &(CollectionId, Sequence, DocumentId)| {
            let lease = self.leases.get(&(*id, *sequence));
            lease.is_some_and(|lease| lease.attempt >= SUSPECT_AFTER)
        };
        if found.first().is_some_and(is_suspect) {
            found.truncate(1);
        } else {
            found.retain(|it| !is_suspect(it));
        }
        found.truncate(limit);
        let until_ms = self.after(lease);
        found
            .into_iter()
            .map(|(id, sequence, document)| self.take((id, sequence), document, until_ms))
            .collect()
    }

    fn is_free(&self, id: CollectionId, sequence: Sequence) -> bool {
        let lease = self.leases.get(&(id, sequence));
        lease.is_none_or(|lease| !self.is_current(*lease) && lease.not_before_ms <= self.now_ms)
    }

    fn take(
        &mut self,
        (id, sequence): (CollectionId, Sequence),
        document: DocumentId,
        until_ms: i64,
    ) -> Result<WorkItem> {
        self.tokens += 1;
        let lease = self.leases.entry((id, sequence)).or_default();
        lease.token = self.tokens;
        lease.until_ms = until_ms;
        lease.attempt += 1;
        let claim = Claim {
            collection: id,
            document,
            sequence,
            token: lease.token,
            attempt: lease.attempt,
            returned: lease.returned,
        };
        self.data(id).map(|data| data.work_item(claim))
    }

    fn claim_named(
        &mut self,
        id: CollectionId,
        document: &DocumentId,
        lease: Duration,
    ) -> Result<Asked> {
        let data = self.data(id)?;
        let waiting = data
            .waiting()
            .find(|(_, waits)| *waits == document)
            .map(|(sequence, _)| sequence);
        let Some(sequence) = waiting else {
            return Ok(Asked::Idle);
        };
        if !self.is_free(id, sequence) {
            return Ok(Asked::Waits);
        }
        let until_ms = self.after(lease);
        let item = self.take((id, sequence), document.clone(), until_ms)?;
        Ok(Asked::Claimed(Box::new(item)))
    }

    /// What a claim cannot do any more, if anything.
    fn settled(&self, claim: &Claim) -> Option<Settled> {
        let data = self.data.get(&claim.collection);
        let Some(row) = data.and_then(|data| data.documents.get(&claim.document)) else {
            return Some(Settled::Superseded);
        };
        if row.live == Some(claim.sequence) {
            return Some(Settled::Done);
        }
        if row.newest != claim.sequence {
            return Some(Settled::Superseded);
        }
        (!self.holds(claim) || !self.is_waiting(claim)).then_some(Settled::Lost)
    }

    fn publish_work(&mut self, item: WorkItem, embeddings: Vec<Embedding>) -> Result<Settled> {
        self.check_writable()?;
        let claim = item.claim;
        if let Some(settled) = self.settled(&claim) {
            return Ok(settled);
        }
        let embedder = item.collection.fingerprint.embedder;
        let stored = self.embeddings.entry(embedder).or_default();
        for (chunk, embedding) in item.chunks.into_iter().zip(embeddings) {
            stored
                .entry(chunk.record.embedding_key)
                .or_insert(embedding);
        }
        self.change(claim.collection, |data, epoch| {
            data.publish_alone(epoch, claim.sequence);
            Ok(())
        })?;
        self.leases.remove(&key(&claim));
        Ok(Settled::Done)
    }

    fn give_back(&mut self, claim: &Claim, why: &GiveBack) -> Settled {
        if let Some(settled) = self.settled(claim) {
            return settled;
        }
        let (wait, hindered) = match why {
            GiveBack::Untouched => (Duration::ZERO, 0),
            GiveBack::Hindered { wait, .. } => (*wait, 1),
        };
        let not_before_ms = self.after(wait);
        if let Some(lease) = self.leases.get_mut(&key(claim)) {
            lease.token = 0;
            lease.not_before_ms = not_before_ms;
            lease.attempt -= 1;
            lease.returned += hindered;
        }
        Settled::Done
    }

    fn fail_work(&mut self, claim: &Claim, failure: WorkFailure) -> Result<Settled> {
        self.check_writable()?;
        if let Some(settled) = self.settled(claim) {
            return Ok(settled);
        }
        let now_ms = self.now_ms;
        match failure.retry_after {
            Some(wait) => {
                let not_before_ms = self.after(wait);
                if let Some(lease) = self.leases.get_mut(&key(claim)) {
                    lease.token = 0;
                    lease.not_before_ms = not_before_ms;
                }
            }
            None => {
                self.leases.remove(&key(claim));
                self.change(claim.collection, |data, epoch| {
                    data.fail_operation((epoch, now_ms), claim.sequence, &failure.reason);
                    Ok(())
                })?;
            }
        }
        Ok(Settled::Done)
    }
}

impl Data {
    /// Staged versions that a publish would make retrievable, oldest first.
    fn waiting(&self) -> impl Iterator<Item = (Sequence, &DocumentId)> {
        let puts = self.operations.iter().filter_map(|it| match it {
            (sequence, OperationKind::Put { document, .. }) => Some((*sequence, document)),
            _ => None,
        });
        puts.filter(|(sequence, document)| self.newest_of(document) == Some(*sequence))
    }

    fn waits(&self, sequence: Sequence, document: &DocumentId) -> bool {
        let is_put = matches!(
            self.operations.get(&sequence),
            Some(OperationKind::Put { .. })
        );
        is_put && self.newest_of(document) == Some(sequence)
    }

    fn work_item(&self, claim: Claim) -> WorkItem {
        let version = self.versions.get(&claim.sequence);
        let chunk = |slot| {
            let record = self.chunks.get(slot)?.clone();
            let metadata = version?.metadata.clone();
            Some(IndexableChunk { record, metadata })
        };
        let slots = version.map(|version| version.slots.as_slice());
        WorkItem {
            claim,
            collection: self.collection.clone(),
            chunks: slots.unwrap_or_default().iter().filter_map(chunk).collect(),
        }
    }

    /// Publishes one operation, whatever is pending before it.
    fn publish_alone(&mut self, epoch: u64, sequence: Sequence) {
        let mut others = std::mem::take(&mut self.operations);
        let one = others.remove(&sequence);
        self.operations = one.into_iter().map(|kind| (sequence, kind)).collect();
        let published = self.published;
        self.publish(epoch, sequence);
        self.operations = others;
        self.published = published;
        self.pass_what_needs_no_work(epoch);
    }

    /// Moves the watermark past everything that no worker has to do.
    fn pass_what_needs_no_work(&mut self, epoch: u64) {
        let first = self.waiting().map(|(sequence, _)| sequence).min();
        let through = first.map_or(self.newest, |first| Sequence(first.0 - 1));
        self.publish(epoch, through);
        self.published = self.published.max(through);
    }

    /// Forgets the chunks that were retired at these epochs.
    fn drop_retired(&mut self, epochs: &[u64]) -> u64 {
        let retired = epochs.iter().filter_map(|epoch| self.retired.remove(epoch));
        let slots: SlotSet = retired.flatten().collect();
        self.chunks.retain(|slot, _| !slots.contains(slot.0));
        slots.len()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::work_suite::{WorkSubject, work_suite};

    #[tokio::test]
    async fn passes_the_suite() {
        work_suite(async || {
            let ledger = RamLedger::new();
            let clock = ledger.clone();
            WorkSubject {
                ledger: Arc::new(ledger.clone()),
                queue: Arc::new(ledger),
                advance_ms: Box::new(move |ms| clock.advance_ms(ms)),
                keep: Box::new(()),
            }
        })
        .await;
    }
}
