//! Scenes of ledgers that workers index for.

use std::time::Duration;

use braid_core::operation::PublishReceipt;
use braid_core::ports::{GiveBack, Settled, WorkFailure, WorkItem};
use braid_core::{Collection, DocumentId, Embedding, Ledger, LedgerPin, Sequence, Slot, WorkQueue};

const LEASE: Duration = Duration::from_secs(60);

/// Everything that waits.
async fn claim_all(work: &dyn WorkQueue, collection: &Collection) -> Vec<WorkItem> {
    let embedder = &collection.fingerprint.embedder;
    let mut all = Vec::new();
    loop {
        let claimed = work.claim(embedder, 100, LEASE).await.unwrap();
        if claimed.is_empty() {
            return all;
        }
        all.extend(claimed);
    }
}

/// One for each chunk, all different.
pub(crate) fn embeddings(item: &WorkItem) -> Vec<Embedding> {
    let chunks = item.chunks.iter();
    let embedding = chunks.map(|chunk| vec![1.0, chunk.record.slot.0 as f32].into());
    embedding.collect()
}

/// It may be claimed again at once.
async fn give_back(work: &dyn WorkQueue, item: &WorkItem) {
    let claims = std::slice::from_ref(&item.claim);
    let given_back = work.give_back(claims, GiveBack::Untouched);
    assert_eq!(given_back.await.unwrap(), [Settled::Done]);
}

/// Indexes what waits and was staged by operations up to `through`.
pub(super) async fn publish(
    work: &dyn WorkQueue,
    collection: &Collection,
    through: Sequence,
) -> PublishReceipt {
    let mut published = Vec::new();
    for item in claim_all(work, collection).await {
        if item.claim.sequence <= through {
            let embeddings = embeddings(&item);
            published.push((item, embeddings));
        } else {
            give_back(work, &item).await;
        }
    }
    let count = published.len();
    let settled = work.publish(published).await.unwrap();
    assert_eq!(settled, vec![Settled::Done; count]);
    PublishReceipt {
        published: count,
        ..PublishReceipt::default()
    }
}

/// Makes a dead letter of the version that the operation staged, if it waits.
pub(super) async fn fail(
    work: &dyn WorkQueue,
    collection: &Collection,
    sequence: Sequence,
    reason: &str,
) {
    for item in claim_all(work, collection).await {
        if item.claim.sequence != sequence {
            give_back(work, &item).await;
            continue;
        }
        let failure = WorkFailure {
            reason: reason.to_owned(),
            retry_after: None,
        };
        let settled = work.fail(&item.claim, failure).await.unwrap();
        assert_eq!(settled, Settled::Done);
    }
}

/// What a pin lets a query return, document by document: such a pin cannot list its slots. Checks on the
/// way that it is of one mind.
pub(crate) async fn visible(ledger: &dyn Ledger, pin: &dyn LedgerPin) -> Vec<String> {
    let mut ids: Vec<DocumentId> = Vec::new();
    let mut cursor = None;
    loop {
        let collection = pin.collection().id;
        let page = ledger.documents(collection, cursor.as_deref(), 3).await;
        let page = page.unwrap();
        ids.extend(page.items.into_iter().map(|document| document.id));
        match page.next {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    ids.sort_unstable();
    let mut shown = Vec::new();
    for id in ids {
        let whole = pin.document_chunks(&id, 0..=u32::MAX).await.unwrap();
        if whole.is_empty() {
            continue;
        }
        let slots: Vec<Slot> = whole.iter().map(|record| record.slot).collect();
        let ids = pin.chunk_ids(&slots).await.unwrap();
        let named: Vec<_> = whole.iter().map(|record| Some(record.id)).collect();
        assert_eq!(ids, named);
        let passages = pin.hydrate(&slots).await.unwrap();
        let records: Vec<_> = passages.into_iter().map(|passage| passage.record).collect();
        assert_eq!(records, whole, "document {id} is shown in part or twice");
        let texts = whole.iter().map(|record| record.chunk.text.as_str());
        shown.push(format!("{id}: {}", texts.collect::<Vec<_>>().join(" | ")));
    }
    shown
}
