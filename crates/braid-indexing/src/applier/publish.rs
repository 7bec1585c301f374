//! One run of operations: both indexes, then the ledger.

use braid_core::operation::PublishReceipt;
use braid_core::{Error, ErrorCode, Leg, Result, Sequence};

use super::Session;
use super::gather::{Run, take_within};
use crate::breakpoints::Breakpoint;
use crate::indexes::Indexes;
use crate::steps::Step;

/// Applies the next run of embedded operations to both indexes and publishes it. An index that has
/// the run already, from before a crash, is left alone. Gives the run's chunks.
pub(crate) async fn apply_run(session: &Session, indexes: &Indexes) -> Result<u64> {
    let _applying = session.state.applying.lock().await;
    if session.control.is_stopped() {
        return Ok(0);
    }
    let Some(run) = next_run(session).await? else {
        note_published_elsewhere(session).await?;
        return Ok(0);
    };
    let breakpoints = &session.parts.options.breakpoints;
    breakpoints.reach(Breakpoint::BeforeApply);
    for index in indexes.both() {
        let watermark = index.watermark().await?;
        check_not_behind(session, index.leg(), watermark)?;
        if watermark < run.through {
            session
                .source
                .write(index, run.change_since(watermark))
                .await?;
        }
        breakpoints.reach(match index.leg() {
            Leg::Dense => Breakpoint::AfterVectorApply,
            Leg::Lexical => Breakpoint::AfterLexicalApply,
        });
    }
    if run.purges() > 0 {
        breakpoints.reach(Breakpoint::AfterPurgeApply);
    }
    let ledger = &session.parts.ledger;
    let published = ledger.publish(session.collection(), run.through);
    let receipt = Step::Publish.timed(published).await?;
    breakpoints.reach(Breakpoint::AfterPublish);
    note_published(session, &run, &receipt);
    Ok(run.chunks())
}

/// An index that lost what is published already, as a remote one may behind this process's back, is
/// not written to: the applying task begins again, with comparing it with the ledger.
fn check_not_behind(session: &Session, leg: Leg, watermark: Sequence) -> Result<()> {
    let published = session.state.progress.borrow().published;
    if watermark >= published {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::Unavailable,
        format!(
            "the {leg} index is at operation {watermark}, older than the published {published}: it is brought back from the ledger"
        ),
    ))
}

/// The embedded operations after the published ones, as far as one batch goes.
async fn next_run(session: &Session) -> Result<Option<Run>> {
    let (published, embedded) = {
        let progress = session.state.progress.borrow();
        (progress.published, progress.embedded)
    };
    let chunks = session.parts.options.apply_batch_chunks;
    let ledger = &session.parts.ledger;
    let mut operations = ledger
        .operations(session.collection(), published, chunks.max(1))
        .await?;
    operations.retain(|operation| operation.sequence <= embedded);
    Ok(Run::new(&take_within(operations, chunks)))
}

/// The log was published behind this task's back: its idea of the watermark is renewed.
async fn note_published_elsewhere(session: &Session) -> Result<()> {
    let stats = session.parts.ledger.stats(session.collection()).await?;
    session.state.progress.send_modify(|progress| {
        progress.published = stats.published;
        progress.embedded = progress.embedded.min(stats.newest);
    });
    Ok(())
}

fn note_published(session: &Session, run: &Run, receipt: &PublishReceipt) {
    let name = session.name();
    tracing::debug!(
        collection = %name,
        through = %receipt.watermark,
        chunks = run.chunks(),
        purged = run.purges(),
        superseded = receipt.superseded,
        "published"
    );
    session.state.progress.send_modify(|progress| {
        progress.published = receipt.watermark;
        progress.newest = progress.newest.max(receipt.watermark);
        progress.chunks_applied += run.chunks();
        progress.chunks_purged += run.purges();
        progress.operations_published += receipt.published as u64;
        progress.purgeable = true;
    });
    metrics::counter!("braid_index_chunks_applied_total", "collection" => name.clone())
        .increment(run.chunks());
    metrics::counter!("braid_index_operations_published_total", "collection" => name)
        .increment(receipt.published as u64);
    session.state.record_lag();
}
