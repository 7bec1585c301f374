//! Does every index hold what the ledger says? And if not, make it so.

use std::sync::Arc;

use braid_core::{CollectionId, Ledger, Leg, Result, Sequence, Slot, SlotSet};

use crate::indexer::IndexerParts;
use crate::indexes::{DerivedIndex, Indexes, Source};
use crate::progress::{Health, Progress};
use crate::reconcile;
use crate::state::CollectionState;

/// What [`Indexer::verify`](crate::Indexer::verify) found.
#[derive(Clone, Debug, PartialEq)]
pub struct VerifyReport {
    /// Inconsistencies within the ledger itself.
    pub ledger: Vec<String>,
    /// The vector store.
    pub vector: IndexReport,
    /// The lexical index.
    pub lexical: IndexReport,
    /// Acknowledged operations that were not applied yet; they are not counted as missing.
    pub lag: u64,
    /// Whether what was found has been mended: looked at again afterwards, ledger and indexes are
    /// sound.
    pub repaired: bool,
    /// What is still wrong after an attempt to mend it, in one sentence each.
    pub left: Vec<String>,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.ledger.is_empty() && self.vector.is_sound() && self.lexical.is_sound()
    }
}

/// How one index compares with the ledger.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IndexReport {
    /// Entries it holds.
    pub held: u64,
    /// Live slots without an entry.
    pub missing: SlotSet,
    /// Entries that no document and no pending purge accounts for.
    pub extra: SlotSet,
    /// The newest operation it holds.
    pub watermark: Sequence,
}

impl IndexReport {
    /// Whether the index holds what it must and nothing else.
    pub fn is_sound(&self) -> bool {
        self.missing.is_empty() && self.extra.is_empty()
    }
}

/// Slots whose embeddings are looked at together.
const SLICE: usize = 1024;

pub(crate) async fn verify(
    parts: &Arc<IndexerParts>,
    state: &CollectionState,
    repair: bool,
) -> Result<VerifyReport> {
    drain(parts, state).await?;
    let applying = state.applying.lock().await;
    let collection = state.served().collection.clone();
    let ledger = &*parts.ledger;
    let mut report = VerifyReport {
        ledger: ledger.check(collection.id).await?,
        vector: IndexReport::default(),
        lexical: IndexReport::default(),
        lag: ledger.stats(collection.id).await?.lag(),
        repaired: false,
        left: Vec::new(),
    };
    let source = Source::new(Arc::clone(parts), &collection);
    let indexes = Indexes::open(parts, &collection).await?;
    for index in indexes.both() {
        let checked = check_index(ledger, &source, index, (collection.id, repair)).await?;
        match index.leg() {
            Leg::Dense => report.vector = checked,
            Leg::Lexical => report.lexical = checked,
        }
    }
    if repair {
        restore_embeddings(ledger, &source, (collection.id, &report.ledger)).await?;
        report.left = what_is_left(ledger, collection.id, &indexes).await?;
        report.repaired = report.left.is_empty();
    }
    drop(applying);
    if repair {
        state.revive.notify_waiters();
    }
    Ok(report)
}

/// Looks again at everything that was to be mended.
async fn what_is_left(
    ledger: &dyn Ledger,
    collection: CollectionId,
    indexes: &Indexes,
) -> Result<Vec<String>> {
    let mut left = ledger.check(collection).await?;
    for index in indexes.both() {
        let difference = reconcile::difference(ledger, collection, index).await?;
        if !difference.is_empty() {
            let (missing, extra) = (difference.missing.len(), difference.extra.len());
            let leg = index.leg();
            left.push(format!(
                "the {leg} index still lacks {missing} entries and has {extra} too many"
            ));
        }
    }
    Ok(left)
}

/// Lets the appliers catch up with what is acknowledged now, unless something holds them up.
async fn drain(parts: &IndexerParts, state: &CollectionState) -> Result<()> {
    let newest = parts
        .ledger
        .stats(state.served().collection.id)
        .await?
        .newest;
    let held_up = |progress: &Progress| {
        let health = progress.health();
        progress.paused || matches!(health, Health::Retrying { .. } | Health::Stopped)
    };
    let drained = state
        .wait(|progress| progress.published >= newest || held_up(progress))
        .await;
    if let Err(error) = drained {
        tracing::warn!(error = %error.chain(), "verifying without the pending operations");
    }
    Ok(())
}

async fn check_index(
    ledger: &dyn Ledger,
    source: &Source,
    index: &dyn DerivedIndex,
    (collection, repair): (CollectionId, bool),
) -> Result<IndexReport> {
    let held = index.slots().await?.len();
    let watermark = index.watermark().await?;
    let difference = reconcile::difference(ledger, collection, index).await?;
    let report = IndexReport {
        held,
        missing: difference.missing.clone(),
        extra: difference.extra.clone(),
        watermark,
    };
    if repair && !difference.is_empty() {
        let published = ledger.stats(collection).await?.published;
        let change = difference.into_change(watermark, watermark.max(published));
        source.write(index, change).await?;
    }
    Ok(report)
}

/// Embeds live chunks whose stored embedding is gone, if the ledger found anything wrong.
async fn restore_embeddings(
    ledger: &dyn Ledger,
    source: &Source,
    (collection, issues): (CollectionId, &[String]),
) -> Result<()> {
    if issues.is_empty() {
        return Ok(());
    }
    let live: Vec<Slot> = ledger
        .live_slots(collection)
        .await?
        .iter()
        .map(Slot)
        .collect();
    for slots in live.chunks(SLICE) {
        let chunks = source.chunks(slots).await?;
        source.embeddings.ensure(&chunks).await?;
    }
    Ok(())
}
